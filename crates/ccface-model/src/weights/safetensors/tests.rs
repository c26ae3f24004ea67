#![allow(clippy::unwrap_used)]

use std::fs;

use burn::tensor::{Distribution, Tensor};

use super::*;
use crate::{IResNetConfig, InputSpec, MobileFaceNetConfig};

fn architectures() -> [BackboneConfig; 3] {
    let iresnet = IResNetConfig {
        blocks: [1, 2, 1, 1],
        width: 4,
        input_size: 16,
        embedding: 8,
        ..IResNetConfig::default()
    };
    let mobile = MobileFaceNetConfig {
        blocks: [1, 1, 0],
        width: 4,
        head_width: 8,
        input_size: 16,
        embedding: 8,
        ..MobileFaceNetConfig::default()
    };
    let folded = MobileFaceNetConfig {
        folded: true,
        ..mobile.clone()
    };
    [
        BackboneConfig::IResNet(iresnet),
        BackboneConfig::MobileFaceNet(mobile),
        BackboneConfig::MobileFaceNet(folded),
    ]
}

fn card(architecture: &BackboneConfig) -> ModelCard {
    ModelCard::new(architecture.clone(), InputSpec::arcface(16))
}

/// A saved model in a fresh folder.
fn saved(architecture: &BackboneConfig) -> (tempfile::TempDir, ModelCard) {
    let dir = tempfile::tempdir().unwrap();
    let backbone = architecture.init(&Device::default());
    let card = save_model(dir.path(), &backbone, &card(architecture)).unwrap();
    (dir, card)
}

fn refusal(dir: &tempfile::TempDir) -> String {
    load_model(dir.path(), &Device::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn a_trained_model_survives_the_way_to_disk_and_back_bit_for_bit() {
    let device = Device::default();
    for architecture in architectures() {
        let training = device.clone().autodiff();
        let backbone = architecture.init_seeded(&training, 3);
        let images = Tensor::<4>::random([4, 3, 16, 16], Distribution::Default, &training);
        // One training pass leaves running statistics that are still pending.
        let _ = backbone.forward(images.clone());
        let dir = tempfile::tempdir().unwrap();
        let written = save_model(dir.path(), &backbone, &card(&architecture)).unwrap();
        let expected = backbone
            .frozen()
            .forward(images.clone().inner())
            .into_data();
        let weights = dir.path().join(WEIGHTS_FILE);
        for path in [
            dir.path().to_path_buf(),
            weights,
            dir.path().join(CARD_FILE),
        ] {
            let (loaded, read) = load_model(&path, &device).unwrap();
            assert_eq!(read, written);
            assert_eq!(loaded.forward(images.clone().inner()).into_data(), expected);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}

#[test]
fn the_same_weights_give_the_same_file() {
    for architecture in architectures() {
        assert_eq!(saved(&architecture).1, saved(&architecture).1);
    }
}

#[test]
fn names_and_layout_are_pytorchs() {
    let (dir, _) = saved(&architectures()[0]);
    let path = dir.path().join(WEIGHTS_FILE);
    let header = Header::read(&path, &mut File::open(&path).unwrap()).unwrap();
    for (name, shape) in [
        ("conv1.weight", vec![4, 3, 3, 3]),
        ("prelu.weight", vec![4]),
        ("layer2.0.downsample.0.weight", vec![8, 4, 1, 1]),
        ("layer2.0.downsample.1.running_mean", vec![8]),
        ("layer2.1.bn3.bias", vec![8]),
        ("fc.weight", vec![8, 32]),
        ("features.weight", vec![8]),
    ] {
        assert_eq!(header.entries[name].shape, shape, "{name}");
    }
    assert_eq!(header.metadata["format"], "pt");
}

#[test]
fn a_loaded_iresnet_keeps_its_last_scale_frozen() {
    let (dir, _) = saved(&architectures()[0]);
    let device = Device::default().autodiff();
    let (backbone, _) = load_model(dir.path(), &device).unwrap();
    let images = Tensor::<4>::random([4, 3, 16, 16], Distribution::Default, &device);
    let gradients = backbone.forward(images).powi_scalar(2).sum().backward();
    let mut trainable = Trainable {
        gradients: &gradients,
        count: 0,
    };
    burn::module::Module::visit(&backbone, &mut trainable);
    let layers = architectures()[0].layers();
    let all: usize = layers
        .iter()
        .flat_map(|layer| layer.tensors())
        .filter(|(name, _)| !name.contains("running_"))
        .count();
    assert_eq!(trainable.count, all - 1);
}

struct Trainable<'a> {
    gradients: &'a burn::tensor::Gradients,
    count: usize,
}

impl burn::module::ModuleVisitor for Trainable<'_> {
    fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
        self.count += usize::from(param.val().grad(self.gradients).is_some());
    }
}

#[test]
fn a_card_of_another_architecture_is_refused_before_writing() {
    let dir = tempfile::tempdir().unwrap();
    let [one, other, _] = architectures();
    let error = save_model(dir.path(), &one.init(&Device::default()), &card(&other)).unwrap_err();
    assert!(matches!(error, ModelError::Card { ref field, .. } if field == "architecture"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn weights_of_another_architecture_are_listed_key_by_key() {
    let (dir, card) = saved(&architectures()[0]);
    let mut other = card;
    let BackboneConfig::IResNet(config) = &mut other.architecture else {
        panic!("the first architecture is an IResNet");
    };
    config.blocks = [1, 1, 1, 2];
    config.embedding = 16;
    other.embedding.dim = 16;
    other.write(&dir.path().join(CARD_FILE)).unwrap();
    let error = refusal(&dir);
    assert!(
        error.contains("layer4.1.bn1.bias: missing, expected [32]"),
        "{error}"
    );
    let error = match load_model(dir.path(), &Device::default()) {
        Err(ModelError::WeightMismatch { problems, .. }) => problems,
        other => panic!("{other:?}"),
    };
    assert_eq!(error.len(), MAX_LISTED + 1, "a long list is cut");
    assert!(error.last().unwrap().starts_with("and "));
}

#[test]
fn swapped_weights_are_refused_by_their_hash() {
    let architecture = &architectures()[1];
    let (dir, _) = saved(architecture);
    let other = tempfile::tempdir().unwrap();
    let backbone = architecture.init_seeded(&Device::default(), 9);
    save_model(other.path(), &backbone, &card(architecture)).unwrap();
    fs::copy(
        other.path().join(WEIGHTS_FILE),
        dir.path().join(WEIGHTS_FILE),
    )
    .unwrap();
    assert!(refusal(&dir).contains("weights.blake3"));
}

#[test]
fn damaged_weight_files_are_refused_in_plain_words() {
    let (dir, _) = saved(&architectures()[2]);
    let path = dir.path().join(WEIGHTS_FILE);
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut huge = whole.clone();
    huge[..8].copy_from_slice(&(1u64 << 30).to_le_bytes());
    let mut endless = whole.clone();
    endless[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let cases: [(&[u8], &str); 10] = [
        (&[], "is empty"),
        (&whole[..5], "only 5 bytes"),
        (&whole[..100], "announces a header"),
        (&whole[..whole.len() - 7], "truncated or damaged"),
        (&flipped, "weights.blake3"),
        (&huge, "announces a header of 1073741824 bytes"),
        (&endless, "announces a header"),
        (b"<!DOCTYPE html><title>404</title>", "HTML"),
        (b"PK\x03\x04 archive/data.pkl", "zip"),
        (
            b"version https://git-lfs.github.com/spec/v1",
            "git lfs pull",
        ),
    ];
    for (bytes, expected) in cases {
        fs::write(&path, bytes).unwrap();
        let error = refusal(&dir);
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(error.contains("model."), "the file is named: {error}");
    }
}

#[test]
fn a_missing_file_or_card_says_which() {
    let (dir, _) = saved(&architectures()[1]);
    let card = dir.path().join(CARD_FILE);
    let weights = dir.path().join(WEIGHTS_FILE);
    fs::rename(&weights, dir.path().join("other.safetensors")).unwrap();
    assert!(refusal(&dir).contains(WEIGHTS_FILE));
    let error = load_model(&dir.path().join("other.safetensors"), &Device::default());
    assert!(error.unwrap_err().to_string().contains("weights.file"));
    fs::remove_file(&card).unwrap();
    assert!(refusal(&dir).contains(CARD_FILE));
    let error = read_card(&dir.path().join("other.safetensors"));
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("no model.json beside it")
    );
}
