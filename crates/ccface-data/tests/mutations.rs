//! A thousand damaged files per reader: an answer or an error each time, never a panic, a hang, or more memory than
//! allowed.
#![allow(clippy::unwrap_used)]

use std::alloc::System;
use std::path::{Path, PathBuf};

use cap::Cap;
use ccface_data::decode::{DecodeLimits, decode_rgb, dimensions};
use ccface_data::rng::{Purpose, Stream};
use ccface_data::source::{FaceSource, Manifest, RecordFile, VerificationSet, rebuild_index};
use ccface_data::{DataError, Selection};

/// Ends the process where more is taken; the readers' own limits lie well below.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, 512 << 20);

const FILES: u64 = 1000;

fn limits() -> DecodeLimits {
    DecodeLimits {
        max_bytes: 1 << 20,
        max_side: 512,
        max_alloc: 8 << 20,
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/formats")
        .join(name)
}

/// One to four injuries: bits, extreme numbers, and stretches cut out, doubled or blanked.
fn damage(bytes: &[u8], round: u64, purpose: u32) -> Vec<u8> {
    let mut stream = Stream::new(1, 0, round, Purpose::Other(purpose));
    let mut out = bytes.to_vec();
    for _ in 0..=stream.below(4) {
        if out.is_empty() {
            break;
        }
        // Headers are short and matter most, so half of the injuries fall on the first 64 bytes.
        let reach = if stream.chance(0.5) {
            out.len().min(64)
        } else {
            out.len()
        };
        let at = stream.below(reach);
        let end = (at + 1 + stream.below(40)).min(out.len());
        match stream.below(7) {
            0 => out[at] ^= 1 << stream.below(8),
            1 => out[at] = *stream.choice(&[0, 1, 0x7f, 0x80, 0xff, b'\n', b'.', b'(']),
            2 => {
                let extreme = *stream.choice(&[0u64, u64::MAX, i64::MAX as u64, 1 << 31, 1 << 24]);
                for (target, byte) in out[at..].iter_mut().zip(extreme.to_le_bytes()) {
                    *target = byte;
                }
            }
            3 => out.truncate(at),
            4 => drop(out.drain(at..end)),
            5 => {
                let copy = out[at..end].to_vec();
                out.splice(at..at, copy);
            }
            _ => out[at..end].fill(0),
        }
    }
    out
}

/// Reads everything that is left to read.
fn exhaust(source: &dyn FaceSource) -> usize {
    let readable = (0..source.len())
        .filter(|&i| source.image(i).is_ok())
        .count();
    source.hash().unwrap();
    readable
}

/// Runs a reader over the damaged files; some must survive and some must not, or the damage is none.
fn thousand(name: &str, read: impl Fn(u64) -> Result<usize, DataError>) {
    let (mut refused, mut read_images) = (0, 0);
    for round in 0..FILES {
        match read(round) {
            Ok(images) => read_images += images,
            Err(error) => {
                let text = error.to_string();
                assert!(
                    !text.is_empty() && text.len() < 2000,
                    "{name} {round}: {text}"
                );
                refused += 1;
            }
        }
    }
    assert!(
        refused > 0 && read_images > 0,
        "{name}: {refused} refused, {read_images} read"
    );
}

#[test]
fn damaged_record_files_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rec");
    for (purpose, name) in (0..).zip(["insightface", "plain", "embedded"]) {
        let bytes = std::fs::read(fixture(&format!("{name}.rec"))).unwrap();
        std::fs::copy(fixture(&format!("{name}.idx")), path.with_extension("idx")).unwrap();
        thousand(name, |round| {
            std::fs::write(&path, damage(&bytes, round, purpose)).unwrap();
            if round == FILES / 2 {
                std::fs::remove_file(path.with_extension("idx")).unwrap();
            }
            RecordFile::open(&path, &Selection::All, &limits()).map(|file| exhaust(&file))
        });
    }
}

#[test]
fn damaged_indices_never_panic_and_lose_nothing_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rec");
    std::fs::copy(fixture("insightface.rec"), &path).unwrap();
    let bytes = std::fs::read(fixture("insightface.idx")).unwrap();
    for round in 0..FILES {
        std::fs::write(path.with_extension("idx"), damage(&bytes, round, 10)).unwrap();
        if let Ok(file) = RecordFile::open(&path, &Selection::All, &limits()) {
            exhaust(&file);
        }
    }
    rebuild_index(&path).unwrap();
    assert_eq!(
        exhaust(&RecordFile::open(&path, &Selection::All, &limits()).unwrap()),
        9
    );
}

#[test]
fn damaged_pair_sets_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.bin");
    for (purpose, name) in (20..).zip([
        "python2",
        "python3",
        "numpy",
        "numpy_old",
        "numpy_protocol5",
    ]) {
        let bytes = std::fs::read(fixture(&format!("{name}.bin"))).unwrap();
        thousand(name, |round| {
            std::fs::write(&path, damage(&bytes, round, purpose)).unwrap();
            VerificationSet::open(&path, &limits()).map(|set| exhaust(&set))
        });
    }
}

#[test]
fn damaged_manifests_never_panic_and_never_lead_out() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("in")).unwrap();
    let mut text = "path,identity,group,split\n".to_string();
    for i in 0..12 {
        let name = format!("{i}.png");
        image::RgbImage::new(4, 4)
            .save(dir.path().join("in").join(&name))
            .unwrap();
        text.push_str(&format!("{name},person {},g{},train\n", i / 3, i % 2));
    }
    text.push_str("../secret.png,x,g0,train\n");
    image::RgbImage::new(9, 9)
        .save(dir.path().join("secret.png"))
        .unwrap();
    let path = dir.path().join("in/m.csv");
    thousand("manifest", |round| {
        std::fs::write(&path, damage(text.as_bytes(), round, 30)).unwrap();
        let manifest = Manifest::open(&path, &Selection::All, None, &limits())?;
        let pictures = (0..manifest.len()).filter_map(|i| manifest.image(i).ok());
        Ok(pictures
            .inspect(|picture| assert_eq!(picture.width(), 4))
            .count())
    });
}

#[test]
fn damaged_pictures_never_panic() {
    let names = [
        "turned.jpg",
        "progressive.jpg",
        "cmyk.jpg",
        "palette.png",
        "grey16.png",
        "grey16.pgm",
    ];
    let mut files: Vec<(String, Vec<u8>)> = names
        .map(|name| {
            (
                name.to_string(),
                std::fs::read(fixture("pictures").join(name)).unwrap(),
            )
        })
        .to_vec();
    let mut bmp = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(9, 5)
        .write_to(&mut bmp, image::ImageFormat::Bmp)
        .unwrap();
    files.push(("bmp".to_string(), bmp.into_inner()));
    for (purpose, (name, bytes)) in (40..).zip(files) {
        thousand(&name, |round| {
            let damaged = damage(&bytes, round, purpose);
            let _ = dimensions(&damaged, &limits());
            match decode_rgb(&damaged, &limits()) {
                Ok(picture) => {
                    assert!(picture.width() <= 512 && picture.height() <= 512);
                    Ok(1)
                }
                Err(reason) => Err(DataError::Image {
                    name: name.clone(),
                    reason,
                }),
            }
        });
    }
    assert!(
        MEMORY.max_allocated() < 256 << 20,
        "{} bytes",
        MEMORY.max_allocated()
    );
}
