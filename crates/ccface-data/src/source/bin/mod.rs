//! `.bin` verification sets: pairs of faces, same person or not.

mod pickle;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use image::RgbImage;

use super::{FaceSource, Hash};
use crate::decode::{DecodeLimits, decode_rgb};
use crate::error::{DataError, ImageProblem};
use pickle::{Content, Dtype, Ref, Table, Value};

/// Largest `.bin` file that is read (they are held in memory whole).
const MAX_FILE: u64 = 2 << 30;

/// A verification set as InsightFace ships it (`lfw.bin`, `agedb_30.bin`, …): images `2i` and `2i + 1` are pair `i`.
///
/// The file is a Python pickle, which is read by a machine that knows byte strings, lists and numpy arrays and nothing
/// else; any other function that the pickle names is refused by its name. Items written by Python 2, Python 3 and numpy
/// are read alike. (serde-pickle leaves out the calls by which numpy arrays are pickled, so the machine is our own.)
///
/// As a [`FaceSource`] the two images of a genuine pair share an identity, and every other image has one of its own,
/// which is all that the file tells. [`hash`](FaceSource::hash) covers the whole file.
#[derive(Debug)]
pub struct VerificationSet {
    path: PathBuf,
    bytes: Vec<u8>,
    images: Vec<Item>,
    same: Vec<bool>,
    identities: Vec<String>,
    labels: Vec<u32>,
    limits: DecodeLimits,
}

#[derive(Debug)]
enum Item {
    At(Range<usize>),
    Own(Vec<u8>),
}

impl VerificationSet {
    /// Reads a `.bin` file.
    ///
    /// # Errors
    /// A missing, damaged or too large file, a pickle with a forbidden function, and one that is no pair set.
    pub fn open(path: impl AsRef<Path>, limits: &DecodeLimits) -> Result<Self, DataError> {
        let path = path.as_ref();
        if !path.exists() {
            return Err(DataError::Missing {
                path: path.to_path_buf(),
                what: "file",
            });
        }
        let meta = fs::metadata(path).map_err(|e| DataError::io(path, e))?;
        if meta.len() > MAX_FILE {
            let text = format!(
                "{} bytes are more than the limit of {MAX_FILE} for a .bin set",
                meta.len()
            );
            return Err(DataError::layout(path, text));
        }
        let bytes = fs::read(path).map_err(|e| DataError::io(path, e))?;
        Self::from_bytes(path, bytes, limits)
    }

    fn from_bytes(path: &Path, bytes: Vec<u8>, limits: &DecodeLimits) -> Result<Self, DataError> {
        if bytes.is_empty() {
            return Err(DataError::format(
                path,
                0,
                "the file is empty (0 bytes); restore it",
            ));
        }
        let (images, same) = {
            let (table, root) = pickle::load(&bytes)
                .map_err(|(reason, at)| DataError::format(path, at as u64, reason))?;
            unpack(&table, root, bytes.len())
                .map_err(|reason| DataError::format(path, 0, reason))?
        };
        let mut identities = Vec::with_capacity(images.len());
        let mut labels = Vec::with_capacity(images.len());
        for (pair, same) in same.iter().enumerate() {
            labels.push(identities.len() as u32);
            identities.push(format!("pair{pair:05}a"));
            if !same {
                identities.push(format!("pair{pair:05}b"));
            }
            labels.push(identities.len() as u32 - 1);
        }
        let path = path.to_path_buf();
        Ok(Self {
            path,
            bytes,
            images,
            same,
            identities,
            labels,
            limits: limits.clone(),
        })
    }

    /// For each pair whether both faces are of the same person.
    pub fn same(&self) -> &[bool] {
        &self.same
    }

    fn item(&self, i: usize) -> Result<&[u8], DataError> {
        match self.images.get(i) {
            Some(Item::At(range)) => Ok(&self.bytes[range.clone()]),
            Some(Item::Own(bytes)) => Ok(bytes),
            None => Err(DataError::OutOfRange {
                index: i,
                len: self.images.len(),
            }),
        }
    }
}

/// The images and answers of `(bins, issame)`.
fn unpack(table: &Table<'_>, root: Ref, limit: usize) -> Result<(Vec<Item>, Vec<bool>), String> {
    let wrong = || "not a verification set: the pickle is not (images, same or not)".to_string();
    let (Value::Tuple(parts) | Value::List(parts)) = table.get(root) else {
        return Err(wrong());
    };
    let [images, same] = parts[..] else {
        return Err(wrong());
    };
    let (Value::List(images) | Value::Tuple(images)) = table.get(images) else {
        return Err(wrong());
    };
    let same: Vec<bool> = match table.get(same) {
        Value::List(items) | Value::Tuple(items) => items
            .iter()
            .map(|at| match table.get(*at) {
                Value::Bool(same) => Ok(*same),
                Value::Int(same @ (0 | 1)) => Ok(*same == 1),
                _ => Err("an answer that is neither true nor false".to_string()),
            })
            .collect::<Result<_, _>>()?,
        Value::Array(_, Dtype::Bool | Dtype::U8) => table
            .bytes(same)
            .ok_or_else(wrong)?
            .iter()
            .map(|b| *b != 0)
            .collect(),
        _ => return Err(wrong()),
    };
    if images.len() != 2 * same.len() || same.is_empty() {
        return Err(format!(
            "{} images and {} answers do not make pairs (two images each); the file is damaged",
            images.len(),
            same.len()
        ));
    }
    let mut owned = 0;
    let mut items = Vec::with_capacity(images.len());
    for (i, at) in images.iter().enumerate() {
        let content = match table.get(*at) {
            Value::Array(_, Dtype::Bool) => None,
            _ => table.content(*at),
        };
        items.push(
            match content.ok_or_else(|| format!("image {i} is no byte string"))? {
                Content::Within(range) => Item::At(range),
                Content::Made(bytes) => {
                    owned += bytes.len();
                    if owned > limit {
                        return Err(
                            "the images together are larger than the file; it is refused"
                                .to_string(),
                        );
                    }
                    Item::Own(bytes.to_vec())
                }
            },
        );
    }
    Ok((items, same))
}

impl FaceSource for VerificationSet {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn identity(&self, i: usize) -> usize {
        self.labels[i] as usize
    }

    fn identities(&self) -> &[String] {
        &self.identities
    }

    fn name(&self, i: usize) -> String {
        format!("pair{:05}/{}", i / 2, i % 2)
    }

    fn image(&self, i: usize) -> Result<RgbImage, DataError> {
        decode_rgb(self.item(i)?, &self.limits).map_err(|reason: ImageProblem| {
            DataError::image(format!("{}: {}", self.path.display(), self.name(i)), reason)
        })
    }

    fn hash(&self) -> Result<String, DataError> {
        Ok(blake3::hash(&self.bytes).to_hex().to_string())
    }

    fn image_hash(&self, i: usize) -> Result<Hash, DataError> {
        Ok(blake3::hash(self.item(i)?).into())
    }

    fn encoded(&self, i: usize) -> Result<Vec<u8>, DataError> {
        self.item(i).map(<[u8]>::to_vec)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(bytes: &[u8]) -> Result<VerificationSet, String> {
        VerificationSet::from_bytes(Path::new("x.bin"), bytes.to_vec(), &DecodeLimits::default())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn a_python_2_pickle_of_protocol_0_to_2_style_reads() {
        // ([b"ab", b"c"], [True]) with BINSTRING, SHORT_BINSTRING, PUT, GET and an INT bool.
        let set = read(b"\x80\x02(]q\x00(T\x02\x00\x00\x00abU\x01ce](I01\nep1\nt.").unwrap();
        assert_eq!((set.len(), set.same()), (2, &[true][..]));
        assert_eq!(set.encoded(0).unwrap(), b"ab");
        assert_eq!(
            (set.identity(0), set.identity(1), set.identities().len()),
            (0, 0, 1)
        );
        assert!(
            set.image(0)
                .unwrap_err()
                .to_string()
                .contains("pair00000/0")
        );
    }

    #[test]
    fn a_malicious_pickle_is_refused_by_name() {
        for (module, name) in [
            ("os", "system"),
            ("builtins", "eval"),
            ("numpy", "load"),
            ("posix", "system"),
        ] {
            let text = format!("c{module}\n{name}\n(S'echo'\ntR.");
            let message = read(text.as_bytes()).unwrap_err();
            assert!(
                message.contains(&format!("'{module}.{name}'")) && message.contains("refused"),
                "{message}"
            );
            let mut stacked = vec![0x80, 4, 0x8c, module.len() as u8];
            stacked.extend(module.as_bytes());
            stacked.extend([0x8c, name.len() as u8]);
            stacked.extend(name.as_bytes());
            stacked.extend([0x93, b'.']);
            assert!(
                read(&stacked)
                    .unwrap_err()
                    .contains(&format!("'{module}.{name}'"))
            );
        }
        assert!(read(b"}\x81.").unwrap_err().contains("0x7d"));
    }

    #[test]
    fn damaged_pickles_and_other_values_are_refused() {
        for bytes in [
            &b""[..],
            b"\x80\x02",
            b".",
            b"N.",
            b"(t.",
            b"e.",
            b"]]\x86.",
            b"](NNe](\x88e\x86.",
            b"](U\x01ae](\x88e\x86.",
            b"h\x05.",
            b"T\xff\xff\xff\x7fab.",
            b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.",
            b"cnumpy\nndarray\n)R.",
            b"K\x01)R.",
        ] {
            let message = read(bytes).unwrap_err();
            assert!(message.starts_with("x.bin: "), "{message}");
        }
    }

    #[test]
    fn lists_within_themselves_and_endless_programs_do_no_harm() {
        // A list appended to itself, as both images and answers.
        assert!(read(b"]q\x00h\x00ah\x00\x86.").is_err());
        assert!(read(&[b'('; 5_000_000]).unwrap_err().contains("more than"));
        assert!(read(&[b']'; 5_000_000]).unwrap_err().contains("more than"));
    }
}
