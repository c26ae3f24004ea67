//! Writing `.rec`, `.idx` and `property`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::framing::{MAX_PART, append};
use super::index;
use crate::error::DataError;

/// How a `.rec` file tells which image belongs to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordLayout {
    /// InsightFace's: a header record with key 0, images from key 1 on, then one record per identity.
    #[default]
    InsightFace,
    /// im2rec's: images from key 0 on, the label in each.
    Plain,
}

/// Writes a labelled set as `.rec` with its `.idx` and `property` beside it.
///
/// Files appear under their names only when [`finish`](RecordWriter::finish) succeeds.
pub struct RecordWriter {
    path: PathBuf,
    out: BufWriter<File>,
    layout: RecordLayout,
    entries: Vec<(u64, u64)>,
    at: u64,
    next: u64,
    ranges: Vec<(u32, u64, u64)>,
    scratch: Vec<u8>,
}

impl RecordWriter {
    /// Begins a set at `path` (`….rec`).
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: impl AsRef<Path>, layout: RecordLayout) -> Result<Self, DataError> {
        let path = path.as_ref().to_path_buf();
        let partial = partial(&path);
        let file = File::create(&partial).map_err(|e| DataError::io(&partial, e))?;
        let next = u64::from(layout == RecordLayout::InsightFace);
        Ok(Self {
            path,
            out: BufWriter::with_capacity(1 << 20, file),
            layout,
            entries: Vec::new(),
            at: 0,
            next,
            ranges: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Adds an encoded image; in InsightFace's layout the images of one label come one after another.
    ///
    /// # Errors
    /// A label of 2²⁴ or more (it is stored as `f32`), an image of 512 MiB or more, a label that came earlier and
    /// not last (InsightFace's layout), or a full disk.
    pub fn push(&mut self, label: u32, image: &[u8]) -> Result<(), DataError> {
        if label >= 1 << 24 {
            return Err(DataError::config(
                "label",
                label,
                "labels are stored as f32: below 16777216",
            ));
        }
        let key = self.next;
        match self.ranges.last_mut() {
            Some(last) if last.0 == label => last.2 = key + 1,
            _ => {
                if self.layout == RecordLayout::InsightFace
                    && self.ranges.last().is_some_and(|last| last.0 > label)
                {
                    let text = "InsightFace's layout needs the images sorted by label";
                    return Err(DataError::config("label", label, text));
                }
                self.ranges.push((label, key, key + 1));
            }
        }
        let mut payload = head(0, label as f32, key);
        payload.extend_from_slice(image);
        self.next += 1;
        self.record(key, &payload)
    }

    /// Writes what is left, the index and the property file, and gives the files their names.
    ///
    /// # Errors
    /// When the disk is full or a file cannot be renamed.
    pub fn finish(mut self, width: u32, height: u32) -> Result<(), DataError> {
        if self.layout == RecordLayout::InsightFace {
            let first = self.next;
            let ranges = std::mem::take(&mut self.ranges);
            if first + ranges.len() as u64 >= 1 << 24 {
                return Err(DataError::config(
                    "images",
                    first,
                    "InsightFace's layout stores keys as f32, below 16777216: write the plain layout",
                ));
            }
            self.pair(0, first, first + ranges.len() as u64)?;
            for (i, (_, from, to)) in ranges.iter().enumerate() {
                self.pair(first + i as u64, *from, *to)?;
            }
            self.ranges = ranges;
        }
        let partial = partial(&self.path);
        let io = |e| DataError::io(&partial, e);
        let file = self.out.into_inner().map_err(|e| io(e.into_error()))?;
        file.sync_all().map_err(io)?;
        self.entries.sort_unstable();
        let classes = self
            .ranges
            .iter()
            .map(|r| r.0)
            .max()
            .map_or(0, |last| last + 1);
        let property = self.path.with_file_name("property");
        let put = |path: &Path, text: String| {
            std::fs::write(path, text).map_err(|e| DataError::io(path, e))
        };
        put(&self.path.with_extension("idx"), index::text(&self.entries))?;
        put(&property, format!("{classes},{height},{width}\n"))?;
        std::fs::rename(&partial, &self.path).map_err(|e| DataError::io(&self.path, e))
    }

    /// A record that holds a range of keys and no image.
    fn pair(&mut self, key: u64, from: u64, to: u64) -> Result<(), DataError> {
        let mut payload = head(2, 0.0, key);
        payload.extend_from_slice(&(from as f32).to_le_bytes());
        payload.extend_from_slice(&(to as f32).to_le_bytes());
        self.record(key, &payload)
    }

    fn record(&mut self, key: u64, payload: &[u8]) -> Result<(), DataError> {
        if payload.len() > MAX_PART {
            return Err(DataError::config(
                "image",
                payload.len(),
                "a record holds less than 512 MiB",
            ));
        }
        self.scratch.clear();
        append(&mut self.scratch, payload);
        self.out
            .write_all(&self.scratch)
            .map_err(|e| DataError::io(&self.path, e))?;
        self.entries.push((key, self.at));
        self.at += self.scratch.len() as u64;
        Ok(())
    }
}

fn head(flag: u32, label: f32, id: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(super::header::FIXED);
    head.extend_from_slice(&flag.to_le_bytes());
    head.extend_from_slice(&label.to_le_bytes());
    head.extend_from_slice(&id.to_le_bytes());
    head.extend_from_slice(&0u64.to_le_bytes());
    head
}

/// The name that a file has while it is written.
pub(super) fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    path.with_file_name(name)
}
