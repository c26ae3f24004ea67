//! MXNet RecordIO, the format in which the field ships its training sets.
//!
//! ```text
//! part    = magic 0xced7230a u32 | (cflag << 29 | length) u32 | data | zeros to a multiple of 4      little endian
//! record  = one part of cflag 0, or parts 1, 2, …, 3 joined by the magic number
//! payload = flag u32 | label f32 | id u64 | id2 u64 | flag × label f32 | encoded image
//! ```

mod framing;
mod header;
mod index;
mod writer;

use std::path::{Path, PathBuf};

use image::RgbImage;
use rayon::prelude::*;

pub use writer::{RecordLayout, RecordWriter};

use super::positioned::PositionedFile;
use super::{FaceSource, Hash, Rejected};
use crate::decode::{DecodeLimits, decode_rgb};
use crate::error::{DataError, ImageProblem};
use crate::split::Selection;
use header::Header;

/// Faces in an MXNet `.rec` file, with random access by positioned reads.
///
/// Both layouts are read: InsightFace's, where the record with key 0 holds no image and the last records list each
/// identity's images, and im2rec's, where every record is a labelled image. Labels with several numbers give their
/// first, those with 513 (an embedding and a class) their last. An index that is missing, damaged or shorter than
/// the header record promises is rebuilt in memory from the `.rec` file, with a warning.
///
/// Identities are named by their class number, padded with zeros so that ranges of names work as expected. Images
/// come in the order of their keys. Records whose label is no class number are left out and listed as
/// [`rejected`](FaceSource::rejected).
///
/// [`hash`](FaceSource::hash) covers every image's key, place and label and the file's content, of which beyond 64
/// MiB only 256 blocks of 64 KiB spread evenly are read.
#[derive(Debug)]
pub struct RecordFile {
    file: PositionedFile,
    limits: DecodeLimits,
    identities: Vec<String>,
    items: Vec<Item>,
    rejected: Vec<Rejected>,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    key: u64,
    offset: u64,
    label: u32,
}

impl RecordFile {
    /// Opens the selected identities of a `.rec` file with its `.idx` beside it.
    ///
    /// # Errors
    /// A missing or damaged file, an unknown identity, or a file without images.
    pub fn open(
        path: impl AsRef<Path>,
        selection: &Selection,
        limits: &DecodeLimits,
    ) -> Result<Self, DataError> {
        let path = path.as_ref();
        let file = PositionedFile::open(path)?;
        if file.len() == 0 {
            return Err(DataError::format(
                path,
                0,
                "the file is empty (0 bytes); restore it",
            ));
        }
        let (entries, indexed) = entries(&file)?;
        let (mut items, mut rejected) = label(&file, &entries, limits);
        if indexed && promised(&file, &entries, limits).is_some_and(|n| n > items.len() as u64) {
            log::warn!(
                "{}: the index is shorter than the header record promises; scanning",
                path.display()
            );
            let scanned = scan(&file);
            (items, rejected) = label(&file, &scanned, limits);
        }
        if items.is_empty() {
            return Err(DataError::format(
                path,
                0,
                "no labelled images; is this an image record file?",
            ));
        }
        let mut classes: Vec<u32> = items.iter().map(|item| item.label).collect();
        classes.sort_unstable();
        classes.dedup();
        let digits = classes.last().map_or(1, |c| c.to_string().len());
        let names: Vec<String> = classes.iter().map(|c| format!("{c:0digits$}")).collect();
        let chosen = selection.select(&names)?;
        let mut dense = vec![u32::MAX; classes.len()];
        for (label, &place) in chosen.iter().enumerate() {
            dense[place] = label as u32;
        }
        items.retain_mut(|item| {
            let place = classes.binary_search(&item.label).unwrap_or_default();
            item.label = dense[place];
            item.label != u32::MAX
        });
        items.shrink_to_fit();
        let identities = chosen
            .into_iter()
            .map(|place| names[place].clone())
            .collect();
        Ok(Self {
            file,
            limits: limits.clone(),
            identities,
            items,
            rejected,
        })
    }

    fn item(&self, i: usize) -> Result<&Item, DataError> {
        self.items.get(i).ok_or(DataError::OutOfRange {
            index: i,
            len: self.items.len(),
        })
    }

    fn bad(&self, i: usize, reason: ImageProblem) -> DataError {
        DataError::image(
            format!("{}: {}", self.file.path().display(), self.name(i)),
            reason,
        )
    }
}

/// Writes a new `.idx` for a `.rec` file by walking through it; returns its path and the number of records.
///
/// # Errors
/// A missing file, or one that is damaged: nothing is written then, and the message says where the damage begins.
pub fn rebuild_index(path: impl AsRef<Path>) -> Result<(PathBuf, usize), DataError> {
    let path = path.as_ref();
    let file = PositionedFile::open(path)?;
    let (entries, damage) = index::scan(&file);
    if let Some(reason) = damage {
        let text = format!("{reason}; {} records before it are whole", entries.len());
        return Err(DataError::format(
            path,
            entries.iter().map(|e| e.1).max().unwrap_or(0),
            text,
        ));
    }
    let target = path.with_extension("idx");
    let partial = writer::partial(&target);
    std::fs::write(&partial, index::text(&entries)).map_err(|e| DataError::io(&partial, e))?;
    std::fs::rename(&partial, &target).map_err(|e| DataError::io(&target, e))?;
    Ok((target, entries.len()))
}

/// The index beside the file where it is usable, otherwise a scan; and which it was.
fn entries(file: &PositionedFile) -> Result<(index::Entries, bool), DataError> {
    let path = file.path().with_extension("idx");
    if !path.exists() {
        log::warn!("{}: no index beside it; scanning", file.path().display());
    } else {
        match index::read(&path) {
            Ok(entries)
                if entries.iter().all(|e| e.1 % 4 == 0 && e.1 < file.len())
                    && !entries.is_empty() =>
            {
                return Ok((entries, true));
            }
            Ok(_) => log::warn!(
                "{}: places beyond the record file; scanning",
                path.display()
            ),
            Err(DataError::Io { path, source }) => return Err(DataError::Io { path, source }),
            Err(e) => log::warn!("{e}; scanning"),
        }
    }
    let found = scan(file);
    if found.is_empty() {
        let text = "no whole record; this is no RecordIO file, or its beginning is damaged";
        return Err(DataError::format(file.path(), 0, text));
    }
    Ok((found, false))
}

fn scan(file: &PositionedFile) -> index::Entries {
    let (found, damage) = index::scan(file);
    if let Some(reason) = damage {
        log::warn!(
            "{}: {reason}; only the {} records before it are used",
            file.path().display(),
            found.len()
        );
    }
    found
}

/// The header record of InsightFace's layout: keys of the identity records, `[first, end)`.
fn header_record(
    file: &PositionedFile,
    entries: &index::Entries,
    limits: &DecodeLimits,
) -> Option<(u64, u64)> {
    let (_, offset) = *entries.first().filter(|e| e.0 == 0)?;
    let (payload, _) = framing::record(file, offset, limits.max_bytes).ok()?;
    let header = Header::parse(&payload).ok()?;
    if header.len < payload.len() {
        return None;
    }
    let (first, end) = header::range(&payload)?;
    let exact = first >= 1.0 && end >= first && end < 16_777_216.0;
    exact.then_some((first as u64, end as u64))
}

/// How many images the header record promises.
fn promised(file: &PositionedFile, entries: &index::Entries, limits: &DecodeLimits) -> Option<u64> {
    header_record(file, entries, limits).map(|(first, _)| first - 1)
}

/// Every image with its label, from the identity records where they cover everything, otherwise from the records.
fn label(
    file: &PositionedFile,
    entries: &index::Entries,
    limits: &DecodeLimits,
) -> (Vec<Item>, Vec<Rejected>) {
    let header = header_record(file, entries, limits);
    let images: &[(u64, u64)] = match header {
        Some((first, _)) => {
            let from = entries.partition_point(|e| e.0 < 1);
            let to = entries.partition_point(|e| e.0 < first);
            &entries[from..to]
        }
        // A header record whose numbers are no longer exact, or none at all.
        None => entries,
    };
    if let Some(items) =
        header.and_then(|range| by_identity_records(file, entries, images, range, limits))
    {
        return (items, Vec::new());
    }
    // Boxed, since millions of results are held at once.
    let labels: Vec<_> = images
        .par_iter()
        .map(|(_, offset)| label_of(file, *offset, limits).map_err(Box::new))
        .collect();
    let (mut items, mut rejected) = (Vec::with_capacity(images.len()), Vec::new());
    for ((key, offset), label) in images.iter().zip(labels) {
        match label {
            Ok(Some(label)) => items.push(Item {
                key: *key,
                offset: *offset,
                label,
            }),
            Ok(None) => {}
            Err(reason) => rejected.push(Rejected {
                name: format!("key {key}"),
                reason: *reason,
            }),
        }
    }
    (items, rejected)
}

/// Labels from the identity records: one read per identity in place of one per image.
fn by_identity_records(
    file: &PositionedFile,
    entries: &index::Entries,
    images: &[(u64, u64)],
    (first, end): (u64, u64),
    limits: &DecodeLimits,
) -> Option<Vec<Item>> {
    let from = entries.partition_point(|e| e.0 < first);
    let to = entries.partition_point(|e| e.0 < end);
    let offset_of = |key: u64| {
        images
            .binary_search_by_key(&key, |e| e.0)
            .ok()
            .map(|place| images[place].1)
    };
    let ranges: Option<Vec<(u64, u64, u32)>> = entries[from..to]
        .par_iter()
        .map(|(_, offset)| {
            let (payload, _) = framing::record(file, *offset, limits.max_bytes).ok()?;
            let (a, b) = header::range(&payload)?;
            let exact = a >= 1.0 && b > a && b < 16_777_216.0;
            exact.then_some(())?;
            let label = label_of(file, offset_of(a as u64)?, limits).ok()??;
            Some((a as u64, b as u64, label))
        })
        .collect();
    let mut ranges = ranges?;
    ranges.sort_unstable();
    let mut items = Vec::with_capacity(images.len());
    for (key, offset) in images {
        let place = ranges.partition_point(|r| r.0 <= *key).checked_sub(1)?;
        let (_, end, label) = ranges[place];
        (*key < end).then_some(())?;
        items.push(Item {
            key: *key,
            offset: *offset,
            label,
        });
    }
    Some(items)
}

/// The class of the record at `offset`, read without its image; `None` where it holds no image.
fn label_of(
    file: &PositionedFile,
    offset: u64,
    limits: &DecodeLimits,
) -> Result<Option<u32>, ImageProblem> {
    let damaged = |detail: String| ImageProblem::Record { detail };
    let part = framing::part(file, offset).map_err(damaged)?;
    let mut head = [0; header::FIXED];
    let header = if part.flag == 0 && part.length >= head.len() as u64 {
        file.read(part.data, &mut head)
            .map_err(|e| damaged(e.to_string()))?;
        let mut header = Header::fixed(&head).map_err(damaged)?;
        if header.len as u64 > part.length {
            return Err(damaged(header.too_many(part.length as usize)));
        }
        if header.len as u64 == part.length {
            return Ok(None);
        }
        if header.flag > 0 {
            let mut label = [0; 4];
            let at = part.data + header.label_at() as u64;
            file.read(at, &mut label)
                .map_err(|e| damaged(e.to_string()))?;
            header.label = f32::from_le_bytes(label);
        }
        header
    } else {
        let (payload, _) = framing::record(file, offset, limits.max_bytes).map_err(damaged)?;
        let header = Header::parse(&payload).map_err(damaged)?;
        if header.len == payload.len() {
            return Ok(None);
        }
        header
    };
    header::class(header.label)
        .map(Some)
        .map_err(|detail| ImageProblem::Label {
            label: header.label.to_string(),
            detail,
        })
}

impl FaceSource for RecordFile {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn identity(&self, i: usize) -> usize {
        self.items[i].label as usize
    }

    fn identities(&self) -> &[String] {
        &self.identities
    }

    fn name(&self, i: usize) -> String {
        let item = &self.items[i];
        format!("{}/{}", self.identities[item.label as usize], item.key)
    }

    fn image(&self, i: usize) -> Result<RgbImage, DataError> {
        decode_rgb(&self.encoded(i)?, &self.limits).map_err(|reason| self.bad(i, reason))
    }

    fn hash(&self) -> Result<String, DataError> {
        let mut hasher = blake3::Hasher::new();
        for item in &self.items {
            hasher.update(&item.key.to_le_bytes());
            hasher.update(&item.offset.to_le_bytes());
            hasher.update(&item.label.to_le_bytes());
        }
        self.file.sampled_hash(&mut hasher)?;
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn image_hash(&self, i: usize) -> Result<Hash, DataError> {
        Ok(blake3::hash(&self.encoded(i)?).into())
    }

    fn encoded(&self, i: usize) -> Result<Vec<u8>, DataError> {
        let item = self.item(i)?;
        let damaged = |detail| self.bad(i, ImageProblem::Record { detail });
        let (mut payload, _) =
            framing::record(&self.file, item.offset, self.limits.max_bytes + 4096)
                .map_err(damaged)?;
        let header = Header::parse(&payload).map_err(damaged)?;
        payload.drain(..header.len);
        Ok(payload)
    }

    fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }
}

#[cfg(test)]
mod tests;
