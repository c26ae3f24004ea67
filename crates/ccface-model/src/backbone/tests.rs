#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use burn::module::{ModuleVisitor, Param};
use burn::store::ModuleSnapshot;
use burn::tensor::Distribution;

use super::*;

fn preset(depth: u32) -> BackboneConfig {
    BackboneConfig::IResNet(IResNetConfig::preset(depth).unwrap())
}

/// Small networks of every flavour; the sides reach 1, 2 and 3 at the end.
fn small() -> Vec<BackboneConfig> {
    let iresnet = IResNetConfig {
        blocks: [2, 1, 1, 2],
        width: 4,
        input_size: 20,
        embedding: 6,
        ..IResNetConfig::default()
    };
    let mobile = MobileFaceNetConfig {
        blocks: [1, 2, 0],
        width: 4,
        head_width: 10,
        input_size: 48,
        embedding: 6,
        ..MobileFaceNetConfig::default()
    };
    vec![
        BackboneConfig::IResNet(iresnet.clone()),
        BackboneConfig::IResNet(IResNetConfig {
            stem_stride: 2,
            ..iresnet
        }),
        BackboneConfig::MobileFaceNet(mobile.clone()),
        BackboneConfig::MobileFaceNet(MobileFaceNetConfig {
            folded: true,
            input_size: 17,
            stem_stride: 1,
            expansion: 3,
            ..mobile
        }),
    ]
}

fn bits(backbone: &Backbone) -> BTreeMap<String, Vec<u8>> {
    backbone
        .frozen()
        .collect(None, None, true)
        .iter()
        .map(|tensor| (tensor.name.clone(), tensor.to_bytes().unwrap().to_vec()))
        .collect()
}

#[test]
fn parameters_and_macs_are_those_of_the_literature() {
    // Depth, million parameters, GMAC at 112×112.
    for (depth, parameters, macs) in [(18, 24.0, 2.61), (50, 43.6, 6.31), (100, 65.2, 12.09)] {
        let summary = preset(depth).summary();
        let (found, work) = (summary.parameters as f64 / 1e6, summary.macs as f64 / 1e9);
        assert!((found - parameters).abs() < 0.06, "r{depth}: {found} M");
        assert!((work - macs).abs() < 0.012, "r{depth}: {work} GMAC");
    }
}

#[test]
fn the_state_dict_of_r50_has_475_keys() {
    let layers = preset(50).layers();
    let tensors: usize = layers.iter().map(|layer| layer.tensors().len()).sum();
    // PyTorch adds a counter of batches to every batch norm.
    let norm = |layer: &&Layer| matches!(layer.operator, Operator::BatchNorm { .. });
    assert_eq!(tensors + layers.iter().filter(norm).count(), 475);
}

#[test]
fn the_last_activation_rounds_up_as_in_arcface_torch() {
    for (input, last) in [(112, 7), (64, 4), (48, 3), (20, 2)] {
        let config = BackboneConfig::IResNet(IResNetConfig {
            input_size: input,
            ..IResNetConfig::default()
        });
        let stages = config.summary().stages;
        let stage = stages.iter().find(|s| s.name == "layer4").unwrap();
        assert_eq!(stage.side, last, "input {input}");
    }
}

#[test]
fn the_counted_parameters_are_those_of_the_built_module() {
    for config in small() {
        let backbone = config.init(&Device::default());
        let summary = config.summary();
        // burn counts running statistics too.
        let built = backbone.num_params() as u64;
        assert_eq!(
            summary.parameters + summary.buffers,
            built,
            "{}",
            summary.name
        );
    }
}

#[test]
fn every_input_size_gives_one_embedding_per_image() {
    let device = Device::default();
    for config in small() {
        let side = config.input_size();
        let images = Tensor::<4>::random([3, 3, side, side], Distribution::Default, &device);
        let output = config.init(&device).forward(images);
        assert_eq!(output.dims(), [3, config.embedding()]);
        let numbers = output.into_data().try_to_vec::<f32>().unwrap();
        assert!(numbers.iter().all(|v| v.is_finite()));
        assert!(numbers.iter().any(|&v| v != 0.0));
    }
}

#[test]
fn initial_weights_are_a_function_of_the_seed_alone() {
    let device = Device::default();
    for config in small() {
        device.seed(1);
        let first = bits(&config.init_seeded(&device, 5));
        device.seed(2);
        let _ = Tensor::<1>::random([9], Distribution::Default, &device).into_data();
        let trained = device.clone().autodiff();
        assert_eq!(first, bits(&config.init_seeded(&trained, 5)));
        assert_ne!(first, bits(&config.init_seeded(&device, 6)));
    }
}

#[test]
fn iresnet_starts_as_arcface_torch_does() {
    let backbone = small()[0].init_seeded(&Device::default(), 3);
    let tensors = bits(&backbone);
    let numbers = |name: &str| -> Vec<f32> {
        let (chunks, _) = tensors[name].as_chunks::<4>();
        chunks.iter().map(|&c| f32::from_le_bytes(c)).collect()
    };
    let conv = numbers("layer4.1.conv2.weight");
    let std = (conv.iter().map(|v| v * v).sum::<f32>() / conv.len() as f32).sqrt();
    assert!((std - 0.1).abs() < 3e-3, "std {std} of {}", conv.len());
    let bound = 1.0 / (32.0f32 * 4.0).sqrt();
    let fc = numbers("fc.weight");
    assert!(fc.iter().all(|v| v.abs() <= bound) && fc.iter().any(|v| v.abs() > 0.9 * bound));
    assert!(numbers("layer1.0.prelu.alpha").iter().all(|&v| v == 0.25));
    assert!(numbers("bn1.gamma").iter().all(|&v| v == 1.0));
    assert!(numbers("bn1.beta").iter().all(|&v| v == 0.0));
}

#[test]
fn a_network_without_batch_norms_starts_with_sane_activations() {
    let config = BackboneConfig::MobileFaceNet(MobileFaceNetConfig {
        folded: true,
        width: 16,
        head_width: 32,
        input_size: 48,
        embedding: 64,
        ..MobileFaceNetConfig::default()
    });
    let device = Device::default();
    let images = Tensor::<4>::random([2, 3, 48, 48], Distribution::Normal(0.0, 1.0), &device);
    let output = config.init(&device).forward(images);
    let square = output.clone().powi_scalar(2).mean().into_scalar::<f32>();
    assert!(
        (1e-2..1e2).contains(&square.sqrt()),
        "rms {}",
        square.sqrt()
    );
}

/// Counts parameters with and without a gradient.
struct Gradients<'a> {
    gradients: &'a burn::tensor::Gradients,
    path: Vec<String>,
    without: Vec<String>,
    with: usize,
}

impl ModuleVisitor for Gradients<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        match param.val().grad(self.gradients) {
            Some(_) => self.with += 1,
            None => self.without.push(self.path.join(".")),
        }
    }
}

#[test]
fn every_weight_gets_a_gradient_but_the_frozen_last_scale_and_running_statistics() {
    let device = Device::default().autodiff();
    for config in small() {
        let backbone = config.init(&device);
        let side = config.input_size();
        let images = Tensor::<4>::random([4, 3, side, side], Distribution::Default, &device);
        let gradients = backbone.forward(images).powi_scalar(2).sum().backward();
        let mut visitor = Gradients {
            gradients: &gradients,
            path: Vec::new(),
            without: Vec::new(),
            with: 0,
        };
        backbone.visit(&mut visitor);
        assert!(visitor.with > 10);
        visitor.without.retain(|name| !name.contains("running_"));
        match config {
            BackboneConfig::IResNet(_) => assert_eq!(visitor.without, ["IResNet.features.gamma"]),
            BackboneConfig::MobileFaceNet(_) => assert!(visitor.without.is_empty()),
        }
    }
}

#[test]
fn a_frozen_copy_is_up_to_date_and_shares_no_running_statistics() {
    let device = Device::default().autodiff();
    let backbone = small()[0].init(&device);
    let images = Tensor::<4>::random([4, 3, 20, 20], Distribution::Default, &device);
    let before = bits(&backbone);
    let _ = backbone.forward(images.clone());
    let frozen = backbone.frozen();
    let after_one = bits(&frozen);
    assert_ne!(before, after_one, "one pass must show in the copy");
    for _ in 0..2 {
        let _ = backbone.forward(images.clone());
    }
    assert_eq!(bits(&frozen), after_one);
    // In inference form, the same input gives the same output and changes nothing.
    let plain = images.inner();
    let first = frozen.forward(plain.clone()).into_data();
    assert_eq!(first, frozen.forward(plain).into_data());
    assert_eq!(bits(&frozen), after_one);
}

#[test]
fn a_configuration_can_name_a_depth_or_blocks() {
    let read = |text: &str| serde_json::from_str::<BackboneConfig>(text);
    assert_eq!(
        read(r#"{"kind":"iresnet","depth":50}"#).unwrap(),
        preset(50)
    );
    let blocks = read(r#"{"kind":"iresnet","blocks":[1,1,1,1],"width":32}"#).unwrap();
    assert_eq!(
        blocks.describe(),
        "iresnet-[1, 1, 1, 1] width 32 112×112 → 512"
    );
    let mobile = read(r#"{"kind":"mobilefacenet","folded":true}"#).unwrap();
    assert_eq!(mobile.describe(), "mobilefacenet (folded) 112×112 → 512");
    for config in small().into_iter().chain([preset(200), mobile]) {
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(read(&text).unwrap(), config);
    }
}

#[test]
fn a_misspelt_configuration_is_refused_by_name() {
    for (text, expected) in [
        (r#"{"kind":"iresnet","widht":1}"#, "widht"),
        (r#"{"kind":"vit"}"#, "vit"),
        (r#"{"width":64}"#, "kind"),
        (r#"{"kind":"iresnet","depth":51}"#, "18, 34, 50, 100, 200"),
        (r#"{"kind":"iresnet","depth":"r50"}"#, "four block counts"),
    ] {
        let error = serde_json::from_str::<BackboneConfig>(text).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn validation_lists_every_mistake() {
    let config = BackboneConfig::MobileFaceNet(MobileFaceNetConfig {
        blocks: [101, 0, 0],
        width: 0,
        expansion: 0,
        head_width: 0,
        input_size: 8,
        stem_stride: 3,
        stem_group: 0,
        embedding: 1,
        folded: false,
    });
    assert_eq!(config.validate().unwrap_err().len(), 8);
    let config = BackboneConfig::IResNet(IResNetConfig {
        blocks: [0, 1, 1, 1],
        ..IResNetConfig::default()
    });
    let problems = config.validate().unwrap_err();
    assert!(
        problems.len() == 1 && problems[0].contains("blocks"),
        "{problems:?}"
    );
}

#[test]
fn the_summary_prints_one_row_per_stage_and_the_totals() {
    let text = preset(50).summary().to_string();
    assert!(
        text.contains("43.6 M parameters (43590848), 6.31 GMAC at 112×112"),
        "{text}"
    );
    for stage in ["stem", "layer1", "layer2", "layer3", "layer4", "head"] {
        assert!(text.lines().any(|line| line.starts_with(stage)), "{text}");
    }
}

#[test]
fn a_backbone_shows_its_structure() {
    let text = small()[2].init(&Device::default()).to_string();
    assert!(
        text.contains("MobileFaceNet") && text.contains("depthwise"),
        "{text}"
    );
}
