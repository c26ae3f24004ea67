//! What the end-to-end tests share: the program under test, and small data sets.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use image::{Rgb, RgbImage};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// A file under `../shared`, where development data lies; `None` (said on standard output) where it does not.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let full = root().join("../shared").join(path);
    if full.exists() {
        return Some(full);
    }
    println!("skipped: {} is not here", full.display());
    None
}

/// `ccface`, to be given its arguments.
pub(crate) fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_ccface-under-test"));
    program.current_dir(root()).env_remove("RUST_LOG");
    program
}

/// Runs `ccface` with these arguments.
pub(crate) fn ccface<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Output {
    program()
        .args(args)
        .output()
        .expect("the program under test starts")
}

/// Runs `ccface`, insists on success and gives standard output.
pub(crate) fn succeed<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> String {
    success(ccface(args))
}

/// Insists on success and gives standard output.
pub(crate) fn success(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "exit {:?}\n{errors}",
        output.status.code()
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `ccface`, insists on exit code 2 without a panic, and gives what it said.
pub(crate) fn refuse<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> String {
    let output = ccface(args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

/// A face-like picture of identity `who`: a few blobs whose places are the identity, with a little noise of `shot`.
pub(crate) fn face(who: u64, shot: u64, size: u32) -> RgbImage {
    let hash = |a: u64, b: u64| {
        let mut x = a.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b.wrapping_mul(0xD1B5_4A32_D192_ED03);
        x ^= x >> 29;
        x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (x >> 11) as f64 / (1u64 << 53) as f64
    };
    RgbImage::from_fn(size, size, |x, y| {
        let (u, v) = (
            f64::from(x) / f64::from(size),
            f64::from(y) / f64::from(size),
        );
        let mut value = [90.0; 3];
        for blob in 0..5 {
            let (cx, cy) = (hash(who, 10 + blob), hash(who, 20 + blob));
            let shift = 0.02 * (hash(shot, 30 + blob) - 0.5);
            let distance = ((u - cx - shift).powi(2) + (v - cy).powi(2)) / 0.02;
            for (channel, value) in value.iter_mut().enumerate() {
                *value +=
                    130.0 * (hash(who, 40 + blob * 3 + channel as u64) - 0.3) * (-distance).exp();
            }
        }
        let noise = 6.0 * (hash(shot * 7919 + u64::from(x), u64::from(y)) - 0.5);
        Rgb(value.map(|v| (v + noise).clamp(0.0, 255.0) as u8))
    })
}

/// Writes `people × shots` pictures as an image folder.
pub(crate) fn folder(dir: &Path, people: u64, shots: u64, size: u32) {
    for who in 0..people {
        let place = dir.join(format!("p{who:02}"));
        std::fs::create_dir_all(&place).unwrap();
        for shot in 0..shots {
            face(who, shot, size)
                .save(place.join(format!("{shot:02}.png")))
                .unwrap();
        }
    }
}
