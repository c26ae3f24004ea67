//! Following a file of JSON lines that somebody else appends to.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
};

use serde_json::{Map, Value};

/// Bytes read at a time.
const CHUNK: u64 = 2 << 20;
/// Bytes before the place reached that are remembered, to notice a file that was replaced.
const MEMORY: usize = 96;

/// A place in a growing file.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    offset: u64,
    before: Vec<u8>,
}

/// What is new.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The file is another one, or was cut back: what was read before is void.
    pub(super) restarted: bool,
    /// Whole lines that are JSON objects; others are passed over.
    pub(super) lines: Vec<Map<String, Value>>,
    /// There is more to read at once.
    pub(super) more: bool,
}

impl Tail {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            offset: 0,
            before: Vec::new(),
        }
    }

    /// Reads what was appended since the last call. A line without its end waits; a missing file is an empty one.
    pub(super) fn read(&mut self) -> News {
        let mut news = News::default();
        if let Err(error) = self.advance(&mut news)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::debug!("{}: {error}", self.path.display());
        }
        news
    }

    fn advance(&mut self, news: &mut News) -> io::Result<()> {
        let opened = File::open(&self.path);
        if opened
            .as_ref()
            .is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
        {
            self.restart(news);
        }
        let mut file = opened?;
        let length = file.metadata()?.len();
        if length < self.offset || !self.continues(&mut file)? {
            self.restart(news);
        }
        if length == self.offset {
            return Ok(());
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.take(CHUNK).read_to_end(&mut bytes)?;
        let whole = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            // No line is that long: whatever this is, it is passed over.
            None if bytes.len() as u64 == CHUNK => bytes.len(),
            None => return Ok(()),
        };
        for line in bytes[..whole].split(|byte| *byte == b'\n') {
            if let Ok(Value::Object(line)) = serde_json::from_slice(line) {
                news.lines.push(line);
            }
        }
        self.offset += whole as u64;
        news.more = length > self.offset && bytes.len() as u64 == CHUNK;
        let kept = whole.saturating_sub(MEMORY);
        self.before = bytes[kept..whole].to_vec();
        Ok(())
    }

    /// Whether the bytes before the place reached are still those that were read.
    fn continues(&self, file: &mut File) -> io::Result<bool> {
        let mut before = vec![0; self.before.len()];
        file.seek(SeekFrom::Start(self.offset - before.len() as u64))?;
        file.read_exact(&mut before)?;
        Ok(before == self.before)
    }

    fn restart(&mut self, news: &mut News) {
        news.restarted = self.offset > 0;
        self.offset = 0;
        self.before.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::{fs, io::Write, path::Path};

    fn append(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn steps(news: &News) -> Vec<u64> {
        news.lines
            .iter()
            .map(|line| line["step"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn appended_lines_are_read_once_and_half_a_line_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.jsonl");
        let mut tail = Tail::new(path.clone());
        assert!(tail.read().lines.is_empty());
        append(&path, "{\"step\":1}\nno json\n{\"step\":2}\n{\"st");
        assert_eq!(steps(&tail.read()), [1, 2]);
        assert!(tail.read().lines.is_empty());
        append(&path, "ep\":3}\n");
        let news = tail.read();
        assert_eq!((steps(&news), news.restarted), (vec![3], false));
    }

    #[test]
    fn a_file_that_was_cut_back_or_replaced_starts_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.jsonl");
        let mut tail = Tail::new(path.clone());
        append(&path, "{\"step\":1}\n{\"step\":2}\n");
        tail.read();
        fs::write(&path, "{\"step\":1}\n").unwrap();
        let news = tail.read();
        assert_eq!((steps(&news), news.restarted), (vec![1], true));
        // Cut back and grown beyond the old place between two looks.
        append(&path, "{\"step\":2}\n");
        tail.read();
        fs::write(&path, "{\"step\":1}\n{\"step\":7}\n{\"step\":8}\n").unwrap();
        let news = tail.read();
        assert_eq!((steps(&news), news.restarted), (vec![1, 7, 8], true));
        fs::remove_file(&path).unwrap();
        assert!(tail.read().restarted);
    }
}
