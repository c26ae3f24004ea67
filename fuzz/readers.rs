//! What is done with a fuzzer's input, one function a reader. The fuzz targets and the test of the saved corpora share
//! this file, so that an input which once broke a reader is tried again on stable Rust.
//!
//! Whatever the bytes, a reader gives faces or an error: no panic, no hang, no allocation beyond the limits.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ccface_data::{
    FaceSource, Selection,
    decode::DecodeLimits,
    source::{OpenOptions, RecordFile, open, rebuild_index},
};

/// Limits so small that a fuzzer meets them.
fn limits() -> DecodeLimits {
    DecodeLimits {
        max_bytes: 64 << 10,
        max_side: 256,
        max_alloc: 4 << 20,
    }
}

/// Opens a source and reads all of it.
fn read_all(path: &Path) {
    let options = OpenOptions {
        limits: limits(),
        ..OpenOptions::default()
    };
    if let Ok(source) = open(path, &options) {
        visit(&source);
    }
}

fn visit(source: &Arc<dyn FaceSource>) {
    for i in 0..source.len().min(64) {
        assert!(source.identity(i) < source.identities().len());
        assert!(source.group(i).is_none_or(|g| g < source.groups().len()));
        let _ = (
            source.name(i),
            source.image(i),
            source.encoded(i),
            source.image_hash(i),
        );
    }
    let _ = source.hash();
}

fn in_folder(work: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    work(folder.path());
}

/// The bytes are a `.rec` file without an index.
pub(crate) fn recordio(bytes: &[u8]) {
    in_folder(|folder| {
        let path = folder.join("train.rec");
        fs::write(&path, bytes).expect("a file");
        read_all(&path);
        if rebuild_index(&path).is_ok() {
            read_all(&path);
        }
    });
}

/// The bytes are the `.idx` beside a good `.rec` file.
pub(crate) fn index(bytes: &[u8]) {
    in_folder(|folder| {
        let path = folder.join("train.rec");
        fs::write(&path, good_records()).expect("a file");
        fs::write(folder.join("train.idx"), bytes).expect("a file");
        let file = RecordFile::open(&path, &Selection::default(), &limits());
        if let Ok(file) = file {
            let source: Arc<dyn FaceSource> = Arc::new(file);
            visit(&source);
        }
    });
}

/// The bytes are a `.bin` verification set.
pub(crate) fn verification_set(bytes: &[u8]) {
    in_folder(|folder| {
        let path = folder.join("pairs.bin");
        fs::write(&path, bytes).expect("a file");
        read_all(&path);
    });
}

/// The bytes are a CSV manifest beside one good picture, `a.png`.
pub(crate) fn manifest(bytes: &[u8]) {
    in_folder(|folder| {
        fs::write(folder.join("a.png"), picture(1)).expect("a file");
        let path = folder.join("list.csv");
        fs::write(&path, bytes).expect("a file");
        read_all(&path);
    });
}

/// A 5×5 picture in the PPM format, which has no compression to hide in.
fn picture(v: u8) -> Vec<u8> {
    let mut bytes = b"P6 5 5 255\n".to_vec();
    bytes.extend((0..75u8).map(|i| i.wrapping_mul(v)));
    bytes
}

/// Four records of two classes, one of them in two parts.
fn good_records() -> Vec<u8> {
    const MAGIC: u32 = 0xced7_230a;
    let mut bytes = Vec::new();
    let mut part = |flag: u32, data: &[u8]| {
        bytes.extend(MAGIC.to_le_bytes());
        bytes.extend((flag << 29 | data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    };
    for i in 0..4u8 {
        let mut payload = 0u32.to_le_bytes().to_vec();
        payload.extend(f32::from(i / 2).to_le_bytes());
        payload.extend(u64::from(i).to_le_bytes());
        payload.extend(0u64.to_le_bytes());
        payload.extend(picture(i));
        if i == 3 {
            part(1, &payload[..40]);
            part(3, &payload[40..]);
        } else {
            part(0, &payload);
        }
    }
    bytes
}
