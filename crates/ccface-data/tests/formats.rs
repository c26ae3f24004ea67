//! Sets that an independent program wrote (`scripts/format_fixtures.py`) read as it meant them.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use ccface_data::decode::{DecodeLimits, decode_rgb};
use ccface_data::source::{FaceSource, RecordFile, VerificationSet, rebuild_index};
use ccface_data::{ImageProblem, Selection};
use image::RgbImage;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/formats")
        .join(name)
}

/// The generator's picture.
fn picture(person: usize, number: usize) -> RgbImage {
    RgbImage::from_fn(8, 8, |x, y| {
        image::Rgb([
            (40 * person + 10) as u8,
            (30 * number + 5) as u8,
            (8 * y + x) as u8,
        ])
    })
}

#[test]
fn record_files_of_every_variant_with_split_records_read_alike() {
    let faces: Vec<(usize, usize)> = (0..3)
        .flat_map(|p| (0..2 + p).map(move |n| (p, n)))
        .collect();
    for (name, n, first_key) in [("insightface", 9, 1), ("plain", 9, 0), ("embedded", 4, 0)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.rec");
        std::fs::copy(fixture(&format!("{name}.rec")), &path).unwrap();
        let open = || RecordFile::open(&path, &Selection::All, &DecodeLimits::default()).unwrap();
        let check = |file: &RecordFile| {
            assert_eq!(file.len(), n, "{name}");
            for (i, &(person, number)) in faces.iter().take(n).enumerate() {
                assert_eq!(file.identity(i), person, "{name} {i}");
                assert_eq!(file.name(i), format!("{person}/{}", first_key + i));
                assert_eq!(
                    file.image(i).unwrap(),
                    picture(person, number),
                    "{name} {i}"
                );
            }
            assert!(file.rejected().is_empty());
        };
        // Without an index, with a rebuilt one, and with the writer's own.
        check(&open());
        rebuild_index(&path).unwrap();
        check(&open());
        std::fs::copy(fixture(&format!("{name}.idx")), path.with_extension("idx")).unwrap();
        check(&open());
    }
}

#[test]
fn pair_sets_of_every_python_read_alike() {
    let names = [
        "python2",
        "python3",
        "python3_protocol2",
        "numpy",
        "numpy_old",
        "numpy_protocol5",
    ];
    for name in names {
        let path = fixture(&format!("{name}.bin"));
        let set = VerificationSet::open(path, &DecodeLimits::default()).unwrap();
        assert_eq!(set.same(), [true, false, true], "{name}");
        let faces = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 0), (2, 3)];
        for (i, (person, number)) in faces.into_iter().enumerate() {
            assert_eq!(set.image(i).unwrap(), picture(person, number), "{name} {i}");
        }
    }
}

#[test]
fn a_pickle_that_would_run_a_command_is_refused_by_name() {
    let error =
        VerificationSet::open(fixture("malicious.bin"), &DecodeLimits::default()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("'posix.system'") && text.contains("nothing was run"),
        "{text}"
    );
}

/// Left half red, right half blue, unless the row says otherwise.
#[test]
fn pictures_of_every_odd_kind_decode_to_upright_eight_bit_colour() {
    let read = |name: &str| {
        let bytes = std::fs::read(fixture("pictures").join(name)).unwrap();
        decode_rgb(&bytes, &DecodeLimits::default())
    };
    let near = |pixel: &image::Rgb<u8>, wanted: [u8; 3], name: &str| {
        let fits = pixel.0.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) < 12);
        assert!(fits, "{name}: {pixel:?} instead of {wanted:?}");
    };
    let (red, blue) = ([230, 20, 20], [20, 20, 230]);
    for name in ["cmyk.jpg", "progressive.jpg", "palette.png", "alpha.png"] {
        let picture = read(name).unwrap();
        assert_eq!(picture.dimensions(), (32, 16), "{name}");
        near(picture.get_pixel(4, 8), red, name);
        near(picture.get_pixel(27, 8), blue, name);
    }
    let turned = read("turned.jpg").unwrap();
    assert_eq!(turned.dimensions(), (16, 32));
    near(turned.get_pixel(8, 4), red, "turned.jpg");
    near(turned.get_pixel(8, 27), blue, "turned.jpg");
    let grey = read("grey.jpg").unwrap();
    near(grey.get_pixel(4, 8), [83; 3], "grey.jpg");
    assert_eq!(read("grey16.png").unwrap().get_pixel(0, 0).0, [0x80; 3]);
    assert_eq!(read("grey16.pgm").unwrap().get_pixel(0, 0).0, [0x80; 3]);
    assert!(matches!(
        read("bomb.png"),
        Err(ImageProblem::Oversized { .. })
    ));
}
