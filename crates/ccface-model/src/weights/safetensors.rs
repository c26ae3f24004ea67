//! A model on disk: `model.safetensors` in PyTorch's names beside its card.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use burn::store::{FloatCastAdapter, ModuleAdapter, ModuleSnapshot, SafetensorsStore};
use burn::tensor::{DType, Device};

use super::container::Header;
use super::file::write_atomic;
use super::torch_names::TorchNames;
use crate::card::{CARD_FILE, field_error};
use crate::{Backbone, BackboneConfig, ModelCard, ModelError};

/// The weight file's name, beside the card.
pub const WEIGHTS_FILE: &str = "model.safetensors";

/// How many differences an error lists.
const MAX_LISTED: usize = 20;

/// Writes a model: `model.safetensors`, then `model.json`, each whole or not at all.
///
/// The weights are in arcface_torch's names and layout, f32, without training state; running statistics are
/// brought up to date first. Returns the card as written, with the weight file's hash. The same weights give
/// the same bytes.
///
/// # Errors
///
/// [`ModelError::Card`] if the card's architecture is not the backbone's, [`ModelError::Io`] if a file cannot
/// be written.
pub fn save_model(
    dir: &Path,
    backbone: &Backbone,
    card: &ModelCard,
) -> Result<ModelCard, ModelError> {
    let card_path = dir.join(CARD_FILE);
    let weights_path = dir.join(WEIGHTS_FILE);
    // Inference form: pending running statistics are folded in, nothing tracks gradients.
    let backbone = backbone.frozen();
    let mut card = card.clone();
    card.weights.file = WEIGHTS_FILE.into();
    card.check(&card_path)?;
    let found = backbone
        .collect(None, Some(Box::new(TorchNames::Save)), true)
        .into_iter()
        .map(|tensor| (tensor.name.clone(), tensor.shape.to_vec()))
        .collect();
    let problems = differences(&card.architecture, &found);
    if !problems.is_empty() {
        return Err(field_error(
            &card_path,
            "architecture",
            format!(
                "is not that of the network to be saved: {}",
                problems.join("; ")
            ),
        ));
    }
    let bytes = to_bytes(&backbone).map_err(|e| ModelError::weight_file(&weights_path, e))?;
    card.weights.blake3 = blake3::hash(&bytes).to_hex().to_string();
    std::fs::create_dir_all(dir).map_err(ModelError::io(dir))?;
    write_atomic(&weights_path, &bytes)?;
    card.write(&card_path)?;
    Ok(card)
}

/// Reads the card of a model; `path` is its folder, its weight file or its card.
///
/// # Errors
///
/// [`ModelError::Card`] names the field at fault; [`ModelError::Io`] if there is no card.
pub fn read_card(path: &Path) -> Result<ModelCard, ModelError> {
    find_card(path).map(|(_, card)| card)
}

/// Reads a model; `path` is its folder, its weight file or its card.
///
/// Before anything is allocated, the header is bounded and its names, shapes and types are compared with the
/// card's architecture; then the file's hash is compared with the card's.
///
/// # Errors
///
/// [`ModelError::Card`] for a card that is unusable or belongs to other weights,
/// [`ModelError::WeightMismatch`] with every missing, unknown and misshapen tensor,
/// [`ModelError::WeightFile`] for a damaged file.
pub fn load_model(path: &Path, device: &Device) -> Result<(Backbone, ModelCard), ModelError> {
    let (card_path, card) = find_card(path)?;
    let weights_path = card_path.with_file_name(&card.weights.file);
    let bytes = read_checked(&weights_path, &card.architecture)?;
    let hash = blake3::hash(&bytes).to_hex().to_string();
    if hash != card.weights.blake3 {
        return Err(field_error(
            &card_path,
            "weights.blake3",
            format!(
                "is {}, but {} has {hash}: the card and the weights are not of one model; take both from \
                 the same save",
                card.weights.blake3, card.weights.file
            ),
        ));
    }
    let mut backbone = card.architecture.skeleton(device);
    let mut store = SafetensorsStore::from_bytes(Some(bytes))
        .with_from_adapter(TorchNames::Load.chain(FloatCastAdapter::to(DType::F32)))
        .skip_enum_variants(true);
    backbone
        .load_from(&mut store)
        .map_err(|e| ModelError::weight_file(&weights_path, e.to_string()))?;
    Ok((backbone, card))
}

/// The weights of a frozen backbone as the bytes of a safetensors file.
fn to_bytes(backbone: &Backbone) -> Result<Vec<u8>, String> {
    // One metadata entry only: several would be written in the random order of a hash map.
    let mut store = SafetensorsStore::from_bytes(None)
        .clear_metadata()
        .metadata("format", "pt")
        .with_to_adapter(TorchNames::Save.chain(FloatCastAdapter::to(DType::F32)))
        .skip_enum_variants(true);
    backbone
        .save_into(&mut store)
        .and_then(|()| store.get_bytes())
        .map_err(|e| e.to_string())
}

/// Finds and reads the card of a model; `path` is its folder, its weight file or its card.
///
/// # Errors
///
/// As [`read_card`].
pub fn find_card(path: &Path) -> Result<(PathBuf, ModelCard), ModelError> {
    if path.is_dir() {
        let card_path = path.join(CARD_FILE);
        return ModelCard::read(&card_path).map(|card| (card_path, card));
    }
    if path.extension().is_some_and(|e| e == "json") {
        return ModelCard::read(path).map(|card| (path.to_path_buf(), card));
    }
    // Say first that the file itself is missing, if it is.
    std::fs::metadata(path).map_err(ModelError::io(path))?;
    let card_path = path.with_file_name(CARD_FILE);
    if !card_path.exists() {
        return Err(ModelError::weight_file(
            path,
            format!(
                "has no {CARD_FILE} beside it; weights are only usable together with their card"
            ),
        ));
    }
    let card = ModelCard::read(&card_path)?;
    if path
        .file_name()
        .is_none_or(|name| name != card.weights.file.as_str())
    {
        return Err(field_error(
            &card_path,
            "weights.file",
            format!(
                "is {}, so the card does not belong to {}",
                card.weights.file,
                path.display()
            ),
        ));
    }
    Ok((card_path, card))
}

/// Reads a weight file after its header has been bounded and compared with the architecture.
fn read_checked(path: &Path, architecture: &BackboneConfig) -> Result<Vec<u8>, ModelError> {
    let mut file = File::open(path).map_err(ModelError::io(path))?;
    let header = Header::read(path, &mut file)?;
    let mut problems: Vec<String> = header
        .entries
        .iter()
        .filter(|(_, entry)| !matches!(entry.dtype.as_str(), "F32" | "F16" | "BF16"))
        .map(|(name, entry)| format!("{name}: type {}, expected F32, F16 or BF16", entry.dtype))
        .collect();
    let found = header
        .entries
        .iter()
        .map(|(name, entry)| (name.clone(), entry.shape.clone()))
        .collect();
    problems.extend(differences(architecture, &found));
    if !problems.is_empty() {
        return Err(ModelError::WeightMismatch {
            path: path.to_path_buf(),
            architecture: architecture.describe(),
            problems: shortened(problems),
        });
    }
    header.check_length(path)?;
    file.seek(SeekFrom::Start(0))
        .map_err(ModelError::io(path))?;
    let mut bytes = Vec::with_capacity(usize::try_from(header.length).unwrap_or(0));
    file.take(header.length)
        .read_to_end(&mut bytes)
        .map_err(ModelError::io(path))?;
    Ok(bytes)
}

/// Every tensor that is missing, unknown or of another shape, in words.
fn differences(architecture: &BackboneConfig, found: &BTreeMap<String, Vec<usize>>) -> Vec<String> {
    let expected: BTreeMap<String, Vec<usize>> = architecture
        .layers()
        .iter()
        .flat_map(|layer| layer.tensors())
        .collect();
    let missing = expected
        .iter()
        .filter(|(name, _)| !found.contains_key(*name))
        .map(|(name, shape)| format!("{name}: missing, expected {shape:?}"));
    let unknown = found
        .iter()
        .filter(|(name, _)| !expected.contains_key(*name))
        .map(|(name, shape)| format!("{name}: unknown, found {shape:?}"));
    let misshapen = expected.iter().filter_map(|(name, shape)| {
        let other = found.get(name).filter(|other| *other != shape)?;
        Some(format!("{name}: found {other:?}, expected {shape:?}"))
    });
    missing.chain(unknown).chain(misshapen).collect()
}

/// The first differences and the number of the rest.
pub(crate) fn shortened(mut problems: Vec<String>) -> Vec<String> {
    let more = problems.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        problems.truncate(MAX_LISTED);
        problems.push(format!("and {more} more"));
    }
    problems
}

#[cfg(test)]
mod tests;
