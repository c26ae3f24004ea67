#![allow(clippy::unwrap_used)]

use std::fs;

use super::framing::append;
use super::*;
use crate::source::testing::people;

/// A payload that holds the magic number at aligned and unaligned places.
fn tricky() -> Vec<u8> {
    let magic = framing::MAGIC.to_le_bytes();
    [
        &magic[..],
        &[1, 2, 3, 4],
        &magic,
        &magic,
        &[5, 6],
        &magic,
        &[7],
    ]
    .concat()
}

fn write(dir: &Path, layout: RecordLayout) -> PathBuf {
    let source = people(3, 2, 9);
    let path = dir.join("train.rec");
    let mut writer = RecordWriter::create(&path, layout).unwrap();
    for i in 0..source.len() {
        writer
            .push(10 * source.identity(i) as u32, &source.encoded(i).unwrap())
            .unwrap();
    }
    writer.finish(9, 9).unwrap();
    path
}

fn open(path: &Path) -> Result<RecordFile, DataError> {
    RecordFile::open(path, &Selection::All, &DecodeLimits::default())
}

fn assert_same(file: &RecordFile) {
    let source = people(3, 2, 9);
    assert_eq!(file.len(), source.len());
    assert_eq!(file.identities(), ["00", "10", "20"]);
    for i in 0..source.len() {
        assert_eq!(file.identity(i), source.identity(i));
        assert_eq!(file.image(i).unwrap(), source.image(i).unwrap());
    }
}

#[test]
fn what_is_written_in_either_layout_reads_back() {
    for layout in [RecordLayout::InsightFace, RecordLayout::Plain] {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), layout);
        assert_same(&open(&path).unwrap());
        assert_eq!(
            fs::read_to_string(dir.path().join("property")).unwrap(),
            "21,9,9\n"
        );
        assert!(!dir.path().join("train.rec.tmp").exists());
        let first = if layout == RecordLayout::Plain {
            "00/0"
        } else {
            "00/1"
        };
        assert_eq!(open(&path).unwrap().name(0), first);
    }
}

#[test]
fn a_missing_short_or_damaged_index_is_rebuilt() {
    for layout in [RecordLayout::InsightFace, RecordLayout::Plain] {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), layout);
        let index = dir.path().join("train.idx");
        let whole = fs::read_to_string(&index).unwrap();
        fs::remove_file(&index).unwrap();
        assert_same(&open(&path).unwrap());
        for bad in ["hello\n", "0\t0\n0\t0\n", "0\t2\n", "0\t99999999\n", ""] {
            fs::write(&index, bad).unwrap();
            assert_same(&open(&path).unwrap());
        }
        let (target, records) = rebuild_index(&path).unwrap();
        assert_eq!((target, records), (index.clone(), whole.lines().count()));
        assert_eq!(fs::read_to_string(&index).unwrap(), whole);
        if layout == RecordLayout::InsightFace {
            let short: String = whole.lines().take(4).map(|l| format!("{l}\n")).collect();
            fs::write(&index, short).unwrap();
            assert_same(&open(&path).unwrap());
        }
    }
}

#[test]
fn records_split_at_the_magic_number_join_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rec");
    let mut bytes = Vec::new();
    let payloads = [
        tricky(),
        Vec::new(),
        b"plain".to_vec(),
        framing::MAGIC.to_le_bytes().to_vec(),
    ];
    let mut offsets = Vec::new();
    for payload in &payloads {
        offsets.push(bytes.len() as u64);
        append(&mut bytes, payload);
    }
    fs::write(&path, &bytes).unwrap();
    let file = PositionedFile::open(&path).unwrap();
    for (i, payload) in payloads.iter().enumerate() {
        let (read, next) = framing::record(&file, offsets[i], 1000).unwrap();
        assert_eq!(&read, payload);
        assert_eq!(
            next,
            offsets.get(i + 1).copied().unwrap_or(bytes.len() as u64)
        );
        assert_eq!(framing::skip(&file, offsets[i]).unwrap(), next);
    }
    assert!(framing::record(&file, 0, 10).unwrap_err().contains("limit"));
    assert!(framing::part(&file, 4).is_err());
}

#[test]
fn labels_that_are_no_class_are_left_out_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rec");
    let image = people(1, 1, 5).encoded(0).unwrap();
    let mut bytes = Vec::new();
    for (id, label) in [(0u64, 3.0f32), (1, -1.0), (2, f32::NAN), (3, 2e9), (4, 1.5)] {
        let mut payload = 0u32.to_le_bytes().to_vec();
        payload.extend(label.to_le_bytes());
        payload.extend(id.to_le_bytes());
        payload.extend(0u64.to_le_bytes());
        payload.extend(&image);
        append(&mut bytes, &payload);
    }
    fs::write(&path, bytes).unwrap();
    let file = open(&path).unwrap();
    assert_eq!((file.len(), file.rejected().len()), (1, 4));
    assert!(
        file.rejected()[0]
            .reason
            .to_string()
            .contains("label -1 is out of range")
    );
}

#[test]
fn a_selection_renumbers_the_identities() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), RecordLayout::InsightFace);
    let limits = DecodeLimits::default();
    let some = RecordFile::open(&path, &"10..20".parse().unwrap(), &limits).unwrap();
    assert_eq!(
        (some.len(), some.identity(0), some.identities().len()),
        (5, 0, 2)
    );
    let error = RecordFile::open(&path, &"11".parse().unwrap(), &limits).unwrap_err();
    assert!(error.to_string().contains("did you mean '10'"));
    assert_ne!(some.hash().unwrap(), open(&path).unwrap().hash().unwrap());
}

#[test]
fn files_that_are_missing_empty_or_something_else_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rec");
    assert!(
        open(&path)
            .unwrap_err()
            .to_string()
            .contains("no such file")
    );
    fs::write(&path, "").unwrap();
    assert!(open(&path).unwrap_err().to_string().contains("empty"));
    fs::write(&path, "PK something else entirely").unwrap();
    assert!(
        open(&path)
            .unwrap_err()
            .to_string()
            .contains("no RecordIO file")
    );
    assert!(
        rebuild_index(&path)
            .unwrap_err()
            .to_string()
            .contains("0 records before it")
    );
}

#[test]
fn a_truncated_file_keeps_its_whole_records() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), RecordLayout::Plain);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 40]).unwrap();
    let file = open(&path).unwrap();
    let last = file.len() - 1;
    // The index still names the last record, which is then bad when read or left out when opened.
    assert!(file.len() == 6 || file.image(last).is_err());
    fs::remove_file(dir.path().join("train.idx")).unwrap();
    assert_eq!(open(&path).unwrap().len(), 6);
}

#[test]
fn the_writer_refuses_what_the_format_cannot_hold() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer =
        RecordWriter::create(dir.path().join("a.rec"), RecordLayout::InsightFace).unwrap();
    assert!(writer.push(1 << 24, b"x").is_err());
    writer.push(5, b"x").unwrap();
    assert!(
        writer
            .push(4, b"x")
            .unwrap_err()
            .to_string()
            .contains("sorted by label")
    );
}
