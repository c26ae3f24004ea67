//! The teacher's embeddings on disk, keyed by teacher and image; a cache that does not fit is never used.

use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use ccface_data::source::Hash;

use crate::{TrainError, encoder::FaceEncoder};

const MAGIC: &str = "ccface teacher cache 1";

/// What the cache did for a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheOutcome {
    /// Images whose embeddings were found.
    pub hits: usize,
    /// Images that were embedded anew.
    pub misses: usize,
    /// Why a cache file that was there was not used.
    pub rejected: Option<String>,
    /// Images that could not be read, each with its reason.
    pub unreadable: Vec<String>,
}

/// Embedding pairs (image, mirror image) of one teacher by image hash.
///
/// The file is named after the teacher's hash and input (size, colour order, scale), and repeats both inside. Layout: a magic line,
/// a JSON header line, then for each image 32 bytes of its hash and `2·dim` f32 (little endian), then the BLAKE3 of all
/// before. Another teacher, another scale or a changed byte makes the file void; a changed image simply has another hash.
#[derive(Debug)]
pub struct TeacherCache {
    path: Option<PathBuf>,
    header: Header,
    rows: HashMap<Hash, Vec<f32>>,
    rejected: Option<String>,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Header {
    teacher: String,
    input: String,
    dim: usize,
}

impl TeacherCache {
    /// A cache that is never written.
    pub fn in_memory(teacher: &dyn FaceEncoder) -> Self {
        Self {
            path: None,
            header: header(teacher),
            rows: HashMap::new(),
            rejected: None,
        }
    }

    /// Opens the teacher's cache in `dir`; a file that does not fit is set aside with its reason.
    ///
    /// # Errors
    /// [`TrainError::Io`] where the directory cannot be made or the file cannot be read.
    pub fn open(dir: &Path, teacher: &dyn FaceEncoder) -> Result<Self, TrainError> {
        fs::create_dir_all(dir).map_err(TrainError::io(dir, "create"))?;
        let mut cache = Self::in_memory(teacher);
        let key =
            blake3::hash(format!("{}\n{}", cache.header.teacher, cache.header.input).as_bytes())
                .to_hex();
        let path = dir.join(format!("{}.embeddings", &key[..24]));
        match fs::read(&path) {
            Ok(bytes) => match parse(&bytes, &cache.header) {
                Ok(rows) => cache.rows = rows,
                Err(why) => {
                    log::warn!("{}: {why}; embeddings are computed anew", path.display());
                    cache.rejected = Some(format!("{}: {why}", path.display()));
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(TrainError::io(&path, "read")(error)),
        }
        cache.path = Some(path);
        Ok(cache)
    }

    /// Whether both views of an image are there.
    pub fn holds(&self, image: &Hash) -> bool {
        self.rows.contains_key(image)
    }

    /// Both embeddings of an image, one after the other.
    pub fn get(&self, image: &Hash) -> Option<&[f32]> {
        self.rows.get(image).map(Vec::as_slice)
    }

    /// Adds both embeddings of an image.
    pub fn insert(&mut self, image: Hash, pair: &[f32]) {
        debug_assert_eq!(pair.len(), 2 * self.header.dim);
        self.rows.insert(image, pair.to_vec());
    }

    pub(super) fn outcome(&self, hits: usize, misses: usize) -> CacheOutcome {
        CacheOutcome {
            hits,
            misses,
            unreadable: Vec::new(),
            rejected: self.rejected.clone(),
        }
    }

    /// Writes the cache whole, to a temporary name first.
    ///
    /// # Errors
    /// [`TrainError::Io`] where it cannot be written.
    pub fn save(&self) -> Result<(), TrainError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let mut bytes = format!("{MAGIC}\n{}\n", serde_json::json!(self.header)).into_bytes();
        let mut hashes: Vec<&Hash> = self.rows.keys().collect();
        hashes.sort_unstable();
        for hash in hashes {
            bytes.extend_from_slice(hash);
            for value in &self.rows[hash] {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        crate::run_dir::write_atomically(path, |file| file.write_all(&bytes))
    }
}

fn header(teacher: &dyn FaceEncoder) -> Header {
    Header {
        teacher: teacher.hash().into(),
        input: serde_json::json!(teacher.input()).to_string(),
        dim: teacher.dim(),
    }
}

fn parse(bytes: &[u8], expected: &Header) -> Result<HashMap<Hash, Vec<f32>>, String> {
    let (body, digest) = bytes
        .split_at_checked(bytes.len().saturating_sub(32))
        .ok_or("too short")?;
    if blake3::hash(body).as_bytes() != digest {
        return Err("damaged (its checksum does not match)".into());
    }
    let rest = body
        .strip_prefix(format!("{MAGIC}\n").as_bytes())
        .ok_or("written by another version")?;
    let end = rest.iter().position(|b| *b == b'\n').ok_or("no header")?;
    let found: Header =
        serde_json::from_slice(&rest[..end]).map_err(|e| format!("unreadable header: {e}"))?;
    if found != *expected {
        return Err("it belongs to another teacher or another input scale".into());
    }
    let records = &rest[end + 1..];
    let length = 32 + 8 * expected.dim;
    if !records.len().is_multiple_of(length) {
        return Err("its records have another length".into());
    }
    let mut rows = HashMap::with_capacity(records.len() / length);
    for record in records.chunks_exact(length) {
        let (hash, values) = record.split_at(32);
        let hash: Hash = hash.try_into().map_err(|_| "a record without a hash")?;
        let values = values
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        rows.insert(hash, values);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::encoder::EncoderFacts;
    use ccface_model::InputSpec;

    struct Fake(EncoderFacts);

    impl FaceEncoder for Fake {
        fn facts(&self) -> &EncoderFacts {
            &self.0
        }
        fn embed_prepared(&self, _: Vec<f32>, count: usize) -> Result<Vec<f32>, TrainError> {
            Ok(vec![1.0; 2 * count])
        }
    }

    fn fake(hash: &str) -> Fake {
        Fake(EncoderFacts {
            name: "fake".into(),
            hash: hash.into(),
            licence: "none".into(),
            input: InputSpec::arcface(112),
            dim: 2,
        })
    }

    #[test]
    fn rows_come_back_for_the_same_teacher_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut cache = TeacherCache::open(dir.path(), &fake("a")).unwrap();
        cache.insert([7; 32], &[1.0, 2.0, 3.0, 4.0]);
        cache.save().unwrap();
        let again = TeacherCache::open(dir.path(), &fake("a")).unwrap();
        assert_eq!(again.get(&[7; 32]).unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert!(!again.holds(&[8; 32]));
        assert!(
            !TeacherCache::open(dir.path(), &fake("b"))
                .unwrap()
                .holds(&[7; 32])
        );
    }

    #[test]
    fn a_damaged_or_foreign_file_is_set_aside_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let mut cache = TeacherCache::open(dir.path(), &fake("a")).unwrap();
        cache.insert([7; 32], &[1.0, 2.0, 3.0, 4.0]);
        cache.save().unwrap();
        let path = cache.path.clone().unwrap();
        let good = fs::read(&path).unwrap();
        for position in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[position] ^= 1;
            fs::write(&path, bad).unwrap();
            let again = TeacherCache::open(dir.path(), &fake("a")).unwrap();
            assert!(!again.holds(&[7; 32]));
            assert!(again.rejected.as_deref().unwrap().contains("checksum"));
        }
        let mut foreign = TeacherCache::open(dir.path(), &fake("b")).unwrap();
        foreign.insert([7; 32], &[9.0; 4]);
        foreign.save().unwrap();
        fs::copy(foreign.path.as_ref().unwrap(), &path).unwrap();
        let again = TeacherCache::open(dir.path(), &fake("a")).unwrap();
        assert!(!again.holds(&[7; 32]));
        assert!(again.rejected.unwrap().contains("another teacher"));
    }
}
