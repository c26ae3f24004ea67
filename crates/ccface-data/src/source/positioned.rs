//! Reading a file at any place, from any thread.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::DataError;

/// A file that many threads read at their own places without moving a shared cursor.
#[derive(Debug)]
pub(crate) struct PositionedFile {
    path: PathBuf,
    len: u64,
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    file: std::sync::Mutex<File>,
}

impl PositionedFile {
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        if !path.exists() {
            return Err(DataError::Missing {
                path: path.to_path_buf(),
                what: "file",
            });
        }
        let file = File::open(path).map_err(|e| DataError::io(path, e))?;
        let meta = file.metadata().map_err(|e| DataError::io(path, e))?;
        if !meta.is_file() {
            return Err(DataError::layout(path, "not a regular file"));
        }
        Ok(Self {
            path: path.to_path_buf(),
            len: meta.len(),
            #[cfg(unix)]
            file,
            #[cfg(not(unix))]
            file: std::sync::Mutex::new(file),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Fills the buffer from `offset` on.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(offset, buffer)
    }

    #[cfg(unix)]
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }

    #[cfg(not(unix))]
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }

    /// BLAKE3 over the length and the content: all of it up to 64 MiB, beyond that 256 blocks of 64 KiB spread evenly
    /// from the first byte to the last.
    pub(crate) fn sampled_hash(&self, hasher: &mut blake3::Hasher) -> Result<(), DataError> {
        const WHOLE: u64 = 64 << 20;
        const BLOCK: u64 = 64 << 10;
        const BLOCKS: u64 = 256;
        hasher.update(&self.len.to_le_bytes());
        let offsets: Vec<u64> = if self.len <= WHOLE {
            (0..self.len.div_ceil(BLOCK)).map(|i| i * BLOCK).collect()
        } else {
            (0..BLOCKS)
                .map(|i| (self.len - BLOCK) / (BLOCKS - 1) * i)
                .collect()
        };
        let mut block = vec![0; BLOCK as usize];
        for offset in offsets {
            let n = BLOCK.min(self.len - offset) as usize;
            self.read(offset, &mut block[..n])
                .map_err(|e| DataError::io(&self.path, e))?;
            hasher.update(&block[..n]);
        }
        Ok(())
    }
}
