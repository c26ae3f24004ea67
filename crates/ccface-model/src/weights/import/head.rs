//! The classifier that was trained with a network, in the layouts it is published in.

use std::path::{Path, PathBuf};

use super::super::checkpoint::Checkpoint;
use crate::{ModelError, Prototypes};

/// A trained head as it lies in its files, rows not normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedHead {
    /// Number of classes.
    pub classes: usize,
    /// Length of a row.
    pub dim: usize,
    /// The rows, `classes × dim` numbers.
    pub rows: Vec<f32>,
    /// Each file with the tensor that was taken and its shape, in the order of classes.
    pub parts: Vec<String>,
}

impl ImportedHead {
    /// The head as prototypes: rows of unit norm.
    ///
    /// # Errors
    ///
    /// [`ModelError::Prototypes`] if a row has no direction.
    pub fn into_prototypes(self) -> Result<Prototypes, ModelError> {
        Prototypes::new(self.classes, self.dim, self.rows)
    }
}

/// Whether a name is one that heads have in training checkpoints.
pub(super) fn is_named_head(name: &str) -> bool {
    let mut parts = name.rsplit('.');
    let last = parts.next().unwrap_or("");
    let owner = parts.next().unwrap_or("");
    if name.contains("optim") || name.contains("momentum") || name.contains("exp_avg") {
        return false;
    }
    last == "kernel"
        || name.starts_with("head.")
        || name.contains(".head.")
        || last == "weight"
            && (owner.contains("softmax_fc")
                || owner.contains("partial_fc")
                || owner.contains("classifier"))
}

/// Reads a head from one file, or from the shards of several.
///
/// Known are a matrix `[classes, dim]` or `[dim, classes]` (AdaFace's `kernel`), arcface_torch's
/// `softmax_fc_gpu_{r}.pt` and `checkpoint_gpu_{r}.pt`. Shards are put into the order of the number in their names;
/// shard `r` of `W` holds `C//W + (r < C%W)` classes, and other sizes are refused.
///
/// # Errors
///
/// [`ModelError::WeightFile`] if a file holds no head or several, a shard is missing, or another length of rows.
pub fn import_head(files: &[Checkpoint], dim: usize) -> Result<ImportedHead, ModelError> {
    let mut order: Vec<(Option<usize>, &Checkpoint)> = files
        .iter()
        .map(|file| (shard_number(file.path()), file))
        .collect();
    if order.len() > 1 && order.iter().all(|(number, _)| number.is_some()) {
        order.sort_by_key(|(number, _)| *number);
        for (expected, (number, file)) in order.iter().enumerate() {
            if *number != Some(expected) {
                return Err(ModelError::weight_file(
                    file.path(),
                    format!(
                        "is given where shard {expected} is expected: give every shard once, 0 to the last"
                    ),
                ));
            }
        }
    } else if let [(Some(number), file)] = order.as_slice()
        && *number > 0
    {
        return Err(ModelError::weight_file(
            file.path(),
            format!(
                "is shard {number} of a head: give shard 0 and all others too, --head once for each"
            ),
        ));
    } else if let [(Some(0), file)] = order.as_slice()
        && let Some(next) = next_shard(file.path())
    {
        return Err(ModelError::weight_file(
            &next,
            "lies beside the shard that was given, and the head is only whole with it: give --head for every shard",
        ));
    }
    let mut head = ImportedHead {
        classes: 0,
        dim,
        rows: Vec::new(),
        parts: Vec::new(),
    };
    let mut sizes = Vec::new();
    for (_, file) in &order {
        let found = find(file, dim, false)?.ok_or_else(|| none(file, dim))?;
        let (rows, part) = read(file, &found, dim)?;
        sizes.push(rows.len() / dim);
        head.rows.extend(rows);
        head.parts.push(part);
    }
    head.classes = sizes.iter().sum();
    let count = sizes.len();
    let (share, more) = (head.classes / count.max(1), head.classes % count.max(1));
    let expected: Vec<usize> = (0..count).map(|r| share + usize::from(r < more)).collect();
    if sizes != expected
        && let Some((_, file)) = order.first()
    {
        return Err(ModelError::weight_file(
            file.path(),
            format!(
                "and the other shards hold {sizes:?} classes where {} classes over {count} shards are {expected:?}: a \
                 shard is missing, or they are of different trainings",
                head.classes
            ),
        ));
    }
    Ok(head)
}

/// Reads the head that lies in a checkpoint beside its network, if there is one.
///
/// # Errors
///
/// As [`import_head`].
pub fn head_inside(file: &Checkpoint, dim: usize) -> Result<Option<ImportedHead>, ModelError> {
    let Some(found) = find(file, dim, true)? else {
        return Ok(None);
    };
    let (rows, part) = read(file, &found, dim)?;
    Ok(Some(ImportedHead {
        classes: rows.len() / dim,
        dim,
        rows,
        parts: vec![part],
    }))
}

/// A head's tensor, and whether its classes are columns.
struct Found {
    name: String,
    classes: usize,
    columns: bool,
}

fn find(file: &Checkpoint, dim: usize, named_only: bool) -> Result<Option<Found>, ModelError> {
    let candidates: Vec<Found> = file
        .tensors()
        .filter(|(name, _)| file.is_float(name))
        .filter_map(|(name, shape)| {
            let &[first, second] = shape else { return None };
            let kernel = name.rsplit('.').next() == Some("kernel");
            let columns = match (first == dim, second == dim) {
                (false, true) => false,
                (true, false) => true,
                (true, true) => kernel,
                (false, false) => return None,
            };
            Some(Found {
                name: name.to_string(),
                classes: if columns { second } else { first },
                columns,
            })
        })
        .collect();
    let (named, other): (Vec<Found>, Vec<Found>) = candidates
        .into_iter()
        .partition(|found| is_named_head(&found.name));
    let mut chosen = if named.is_empty() && !named_only {
        other
            .into_iter()
            .filter(|f| !f.name.contains("optim") && !f.name.contains("momentum"))
            .collect()
    } else {
        named
    };
    if chosen.len() > 1 {
        let names: Vec<&str> = chosen.iter().map(|f| f.name.as_str()).take(5).collect();
        return Err(ModelError::weight_file(
            file.path(),
            format!(
                "holds {} matrices that may be the head ({}); give a file with one",
                chosen.len(),
                names.join(", ")
            ),
        ));
    }
    Ok(chosen.pop())
}

fn read(file: &Checkpoint, found: &Found, dim: usize) -> Result<(Vec<f32>, String), ModelError> {
    let values = file.values(&found.name)?;
    let (rows, how) = if found.columns {
        (
            super::transposed(&values, dim, found.classes),
            ", transposed",
        )
    } else {
        (values, "")
    };
    let name = file.path().file_name().unwrap_or_default().display();
    let part = format!("{name}: {} ({} classes{how})", found.name, found.classes);
    Ok((rows, part))
}

fn none(file: &Checkpoint, dim: usize) -> ModelError {
    let held: Vec<String> = file
        .tensors()
        .take(5)
        .map(|(name, shape)| format!("{name} {shape:?}"))
        .collect();
    ModelError::weight_file(
        file.path(),
        format!(
            "holds no head: a matrix [classes, {dim}] or [{dim}, classes] is expected, found {}",
            held.join(", ")
        ),
    )
}

/// The number at the end of a shard's name: `softmax_fc_gpu_1.pt`, `rank_1_softmax_weight.pt`.
fn shard_number(path: &Path) -> Option<usize> {
    let stem = path.file_stem()?.to_str()?;
    ["gpu", "rank"].iter().find_map(|mark| {
        let rest = stem
            .rsplit_once(mark)?
            .1
            .trim_start_matches(['_', ':', '-']);
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}

/// Shard 1 beside shard 0, if it is there.
fn next_shard(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    ["gpu_", "rank_", "rank:"]
        .iter()
        .map(|mark| path.with_file_name(name.replace(&format!("{mark}0"), &format!("{mark}1"))))
        .find(|other| other != path && other.exists())
}
