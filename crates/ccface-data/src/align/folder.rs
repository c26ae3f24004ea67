//! A folder of pictures to a folder of aligned faces.

use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use rayon::prelude::*;
use serde::Serialize;

use super::{AlignError, AlignOptions, LandmarkRow, align_face, read_landmarks};
use crate::decode::{DecodeLimits, decode_rgb};
use crate::error::ImageProblem;

/// Faces aligned between two progress reports.
const CHUNK: usize = 32;

/// What [`align_folder`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AlignReport {
    /// Faces written.
    pub aligned: usize,
    /// Listed faces that were not written, in the landmark file's order.
    pub failed: Vec<AlignFailure>,
}

/// One face that could not be aligned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlignFailure {
    /// The picture as the landmark file names it.
    pub path: String,
    /// The landmark file's line, the header being line 1.
    pub line: u64,
    /// Why, and how to mend it.
    pub reason: String,
}

/// Aligns every picture that `landmarks` lists from below `images` to a 112×112 PNG below `out`.
///
/// `a/b.pgm` becomes `a/b.png`; a picture without colour gives a grey PNG. A file is either whole or not there:
/// it is written under another name and then renamed. `progress` hears how many of the listed faces are done, and
/// how many there are.
///
/// A picture that is missing, cannot be decoded or has unusable landmarks is told in the report; the others are
/// aligned all the same.
///
/// # Errors
/// [`AlignError`] for a missing folder, a mistake in the landmark file, options out of range, an output folder
/// that is the input folder, or a file that cannot be written.
pub fn align_folder(
    images: &Path,
    landmarks: &Path,
    out: &Path,
    options: &AlignOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<AlignReport, AlignError> {
    options.validate()?;
    if !images.is_dir() {
        return Err(AlignError::Missing {
            path: images.to_path_buf(),
            what: "folder of pictures",
        });
    }
    let rows = read_landmarks(landmarks)?;
    fs::create_dir_all(out).map_err(|source| io(out, source))?;
    let real = |path: &Path| fs::canonicalize(path).map_err(|source| io(path, source));
    if real(images)? == real(out)? {
        return Err(AlignError::OutputIsInput {
            path: out.to_path_buf(),
        });
    }

    let mut report = AlignReport::default();
    let mut done = 0;
    for chunk in rows.chunks(CHUNK) {
        let results: Vec<Result<(), Problem>> = chunk
            .par_iter()
            .map(|row| align_one(images, row, out, options))
            .collect();
        for (row, result) in chunk.iter().zip(results) {
            match result {
                Ok(()) => report.aligned += 1,
                Err(Problem::Fatal(error)) => return Err(error),
                Err(Problem::Face(reason)) => report.failed.push(AlignFailure {
                    path: row.path.clone(),
                    line: row.line,
                    reason,
                }),
            }
        }
        done += chunk.len();
        progress(done, rows.len());
    }
    Ok(report)
}

/// Why one face was not written.
enum Problem {
    /// It concerns this face alone.
    Face(String),
    /// It concerns them all.
    Fatal(AlignError),
}

fn align_one(
    images: &Path,
    row: &LandmarkRow,
    out: &Path,
    options: &AlignOptions,
) -> Result<(), Problem> {
    let picture =
        read_picture(&images.join(&row.path)).map_err(|e| Problem::Face(e.to_string()))?;
    let face = align_face(&picture, &row.points, options).map_err(|e| match e {
        AlignError::Degenerate { .. } => Problem::Face(e.to_string()),
        other => Problem::Fatal(other),
    })?;
    write_png(&out.join(&row.path).with_extension("png"), face).map_err(Problem::Fatal)
}

fn read_picture(path: &Path) -> Result<RgbImage, ImageProblem> {
    let limits = DecodeLimits::default();
    let unreadable = |e: std::io::Error| ImageProblem::Unreadable {
        detail: e.to_string(),
    };
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte more than allowed is enough for the decoder to refuse it.
    file.take(limits.max_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    decode_rgb(&bytes, &limits)
}

/// Writes `face` beside `path` and renames it; grey where all channels agree.
fn write_png(path: &Path, face: RgbImage) -> Result<(), AlignError> {
    let encode = |detail: String| AlignError::Encode {
        path: path.to_path_buf(),
        detail,
    };
    let picture = if face.pixels().all(|p| p[0] == p[1] && p[1] == p[2]) {
        DynamicImage::ImageLuma8(GrayImage::from_fn(face.width(), face.height(), |x, y| {
            image::Luma([face.get_pixel(x, y)[0]])
        }))
    } else {
        DynamicImage::ImageRgb8(face)
    };
    let mut bytes = Vec::new();
    picture
        .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
        .map_err(|e| encode(e.to_string()))?;

    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|source| io(folder, source))?;
    }
    let unfinished = unfinished(path);
    let written = fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, path));
    written.map_err(|source| {
        // Nothing to do where even this fails: the first error is the one to report.
        let _ = fs::remove_file(&unfinished);
        io(path, source)
    })
}

/// The name under which `path` is written at first: hidden, and ignored by version control.
fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp"))
}

fn io(path: &Path, source: std::io::Error) -> AlignError {
    AlignError::Io {
        path: path.to_path_buf(),
        source,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::align::ARCFACE_TEMPLATE_112;

    const HEADER: &str = "path,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\n";

    fn line(path: &str) -> String {
        let numbers: Vec<String> = ARCFACE_TEMPLATE_112
            .iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        format!("{path},{}\n", numbers.join(","))
    }

    fn run(folder: &Path, out: &str) -> Result<AlignReport, AlignError> {
        align_folder(
            &folder.join("raw"),
            &folder.join("marks.csv"),
            &folder.join(out),
            &AlignOptions::default(),
            &mut |_, _| {},
        )
    }

    #[test]
    fn every_listed_picture_becomes_a_png_and_the_bad_ones_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let raw = folder.path().join("raw");
        fs::create_dir_all(raw.join("a")).unwrap();
        let grey = GrayImage::from_fn(112, 112, |x, y| image::Luma([(x + y) as u8]));
        let colour = RgbImage::from_fn(112, 112, |x, y| image::Rgb([x as u8, y as u8, 3]));
        grey.save(raw.join("a/1.pgm")).unwrap();
        colour.save(raw.join("a/2.png")).unwrap();
        fs::write(raw.join("a/3.png"), b"no picture").unwrap();
        let spot = format!("a/1b.pgm{}\n", ",5".repeat(10));
        grey.save(raw.join("a/1b.pgm")).unwrap();
        let listed = ["a/1.pgm", "a/2.png", "a/3.png", "b/4.png"]
            .map(line)
            .concat();
        fs::write(
            folder.path().join("marks.csv"),
            format!("{HEADER}{listed}{spot}"),
        )
        .unwrap();

        let mut heard = Vec::new();
        let out = folder.path().join("out");
        let report = align_folder(
            &raw,
            &folder.path().join("marks.csv"),
            &out,
            &AlignOptions::default(),
            &mut |done, of| heard.push((done, of)),
        )
        .unwrap();
        assert_eq!((report.aligned, heard), (2, vec![(5, 5)]));
        let told: Vec<_> = report
            .failed
            .iter()
            .map(|f| (f.path.as_str(), f.line))
            .collect();
        assert_eq!(told, [("a/3.png", 4), ("b/4.png", 5), ("a/1b.pgm", 6)]);
        for (failure, word) in report
            .failed
            .iter()
            .zip(["not an image", "cannot be read", "spot"])
        {
            assert!(failure.reason.contains(word), "{failure:?}");
        }
        assert_eq!(
            image::open(out.join("a/1.png")).unwrap(),
            DynamicImage::ImageLuma8(grey)
        );
        assert_eq!(
            image::open(out.join("a/2.png")).unwrap(),
            DynamicImage::ImageRgb8(colour)
        );
        let mut names: Vec<_> = fs::read_dir(out.join("a"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(
            names,
            ["1.png", "2.png"],
            "nothing unfinished is left behind"
        );
    }

    #[test]
    fn a_missing_folder_and_an_output_over_the_input_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("marks.csv"),
            format!("{HEADER}{}", line("1.png")),
        )
        .unwrap();
        let missing = run(folder.path(), "out").unwrap_err();
        assert!(
            missing.to_string().contains("no such folder of pictures"),
            "{missing}"
        );
        fs::create_dir(folder.path().join("raw")).unwrap();
        let same = run(folder.path(), "raw/../raw").unwrap_err();
        assert!(matches!(same, AlignError::OutputIsInput { .. }), "{same}");
    }

    #[test]
    fn an_output_that_cannot_be_written_ends_the_run_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("raw/a")).unwrap();
        GrayImage::new(8, 8)
            .save(folder.path().join("raw/a/1.png"))
            .unwrap();
        fs::write(
            folder.path().join("marks.csv"),
            format!("{HEADER}{}", line("a/1.png")),
        )
        .unwrap();
        fs::create_dir(folder.path().join("out")).unwrap();
        fs::write(
            folder.path().join("out/a"),
            b"a file where a folder belongs",
        )
        .unwrap();
        let error = run(folder.path(), "out").unwrap_err();
        assert!(error.to_string().contains("out/a: "), "{error}");
    }
}
