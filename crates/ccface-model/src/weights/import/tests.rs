#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Distribution, Tensor};

use super::*;
use crate::backbone::Draw;
use crate::{IResNetConfig, MobileFaceNetConfig};

/// Tensors by name: shape and numbers.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn write(dir: &Path, name: &str, tensors: &Tensors) -> Checkpoint {
    let mut header = serde_json::Map::new();
    let mut data: Vec<u8> = Vec::new();
    for (name, (shape, values)) in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(name.clone(), entry);
    }
    let header = serde_json::Value::from(header).to_string();
    let path: PathBuf = dir.join(name);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    fs::write(&path, bytes).unwrap();
    Checkpoint::open(&path).unwrap()
}

fn drawn(name: &str, shape: &[usize]) -> Vec<f32> {
    let values = Draw::new(1, name).normal(shape.iter().product(), 0.2);
    match name.ends_with("running_var") {
        true => values.iter().map(|v| 0.5 + v.abs()).collect(),
        false => values,
    }
}

fn iresnet() -> BackboneConfig {
    BackboneConfig::IResNet(IResNetConfig {
        blocks: [1, 2, 1, 2],
        width: 4,
        input_size: 32,
        embedding: 6,
        ..IResNetConfig::default()
    })
}

fn mobile(folded: bool) -> BackboneConfig {
    BackboneConfig::MobileFaceNet(MobileFaceNetConfig {
        blocks: [2, 1, 0],
        width: 4,
        head_width: 10,
        input_size: 32,
        stem_group: 2,
        embedding: 6,
        folded,
        ..MobileFaceNetConfig::default()
    })
}

/// The tensors of an architecture under other names.
fn named(config: &BackboneConfig, theirs: impl Fn(&str) -> Option<String>) -> Tensors {
    let layers = config.layers();
    layers
        .iter()
        .flat_map(|layer| layer.tensors())
        .filter_map(|(name, shape)| {
            let values = drawn(&name, &shape);
            theirs(&name).map(|name| (name, (shape, values)))
        })
        .collect()
}

fn output(backbone: &Backbone) -> Vec<f32> {
    let images = Tensor::<4>::from_data(
        burn::tensor::TensorData::new(
            Draw::new(9, "images").uniform(2 * 3 * 32 * 32, 1.0),
            [2, 3, 32, 32],
        ),
        &Device::default(),
    );
    backbone.forward(images).into_data().try_to_vec().unwrap()
}

/// What an import of these tensors gives for two fixed images.
fn imported(tensors: &Tensors) -> (ImportedBackbone, Vec<f32>) {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = write(dir.path(), "a.safetensors", tensors);
    let imported = import_backbone(&checkpoint, None, &Device::default()).unwrap();
    let rows = output(&imported.backbone);
    (imported, rows)
}

fn refusal(tensors: &Tensors) -> String {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = write(dir.path(), "a.safetensors", tensors);
    let error = import_backbone(&checkpoint, None, &Device::default()).unwrap_err();
    error.to_string()
}

#[test]
fn depth_width_input_and_embedding_are_read_from_the_shapes() {
    for config in [iresnet(), mobile(false), mobile(true)] {
        let tensors = named(&config, |name| Some(format!("state_dict.model.{name}")));
        let (found, _) = imported(&tensors);
        assert_eq!(found.architecture, config);
        assert_eq!(found.prefix, "state_dict.model.");
        assert_eq!(found.used, tensors.len());
    }
}

/// AdaFace's name of one of our tensors, written down from its published modules and not from the code under test.
fn adaface_name(name: &str) -> Option<String> {
    // Blocks of the stages of `iresnet()`: body.0, body.1-2, body.3, body.4-5.
    const BLOCKS: [(&str, &str); 6] = [
        ("layer1.0", "body.0"),
        ("layer2.0", "body.1"),
        ("layer2.1", "body.2"),
        ("layer3.0", "body.3"),
        ("layer4.0", "body.4"),
        ("layer4.1", "body.5"),
    ];
    const PARTS: [(&str, &str); 8] = [
        ("bn1", "res_layer.0"),
        ("conv1", "res_layer.1"),
        ("bn2", "res_layer.2"),
        ("prelu", "res_layer.3"),
        ("conv2", "res_layer.4"),
        ("bn3", "res_layer.5"),
        ("downsample.0", "shortcut_layer.0"),
        ("downsample.1", "shortcut_layer.1"),
    ];
    const TOP: [(&str, &str); 6] = [
        ("conv1", "input_layer.0"),
        ("bn1", "input_layer.1"),
        ("prelu", "input_layer.2"),
        ("bn2", "output_layer.0"),
        ("fc", "output_layer.3"),
        ("features", "output_layer.4"),
    ];
    let (layer, kind) = name.rsplit_once('.').unwrap();
    if layer.starts_with("layer1.0.downsample")
        || name == "features.weight"
        || name == "features.bias"
    {
        return None;
    }
    let top = TOP.iter().find(|t| t.0 == layer).map(|t| t.1.to_string());
    let theirs = top.unwrap_or_else(|| {
        let (ours, block) = BLOCKS
            .iter()
            .find(|b| layer.starts_with(&format!("{}.", b.0)))
            .unwrap();
        let part = PARTS
            .iter()
            .find(|p| p.0 == &layer[ours.len() + 1..])
            .unwrap()
            .1;
        format!("{block}.{part}")
    });
    Some(format!("model.{theirs}.{kind}"))
}

#[test]
fn adafaces_names_and_its_pooled_shortcut_give_the_same_network() {
    let mut tensors = named(&iresnet(), adaface_name);
    tensors.insert(
        "model.input_layer.1.num_batches_tracked".into(),
        (vec![1], vec![7.0]),
    );
    tensors.insert("head.kernel".into(), (vec![6, 3], drawn("kernel", &[6, 3])));
    let (found, rows) = imported(&tensors);
    assert_eq!(
        (found.layout, found.layout.colour()),
        (WeightLayout::AdafaceIResNet, Colour::Bgr)
    );
    assert_eq!(found.left_out["head"], 1);
    // The same numbers under our names, with the strided maximum over one pixel written as a convolution.
    let mut ours = named(&iresnet(), |name| Some(name.to_string()));
    let mut set = |name: &str, value: &dyn Fn(usize) -> f32| {
        let values = &mut ours.get_mut(name).unwrap().1;
        values
            .iter_mut()
            .enumerate()
            .for_each(|(i, v)| *v = value(i));
    };
    set("layer1.0.downsample.0.weight", &|i| {
        if i % 5 == 0 { 1.0 } else { 0.0 }
    });
    set("layer1.0.downsample.1.weight", &|_| 1.0);
    set("layer1.0.downsample.1.bias", &|_| 0.0);
    set("layer1.0.downsample.1.running_mean", &|_| 0.0);
    set("layer1.0.downsample.1.running_var", &|_| 1.0 - 1e-5);
    set("features.weight", &|_| 1.0);
    set("features.bias", &|_| 0.0);
    assert_eq!(rows, imported(&ours).1);
}

#[test]
fn the_mobilefacenets_of_other_projects_give_the_same_network() {
    let config = mobile(false);
    let expected = imported(&named(&config, |name| Some(name.to_string()))).1;
    let arcface = [
        ("stem_depthwise.", "layers.1.layers."),
        ("stem.", "layers.0.layers."),
        ("layer1.0.expand.", "layers.2.layers.0.layers."),
        ("layer1.0.depthwise.", "layers.2.layers.1.layers."),
        ("layer1.0.project.", "layers.2.layers.2.layers."),
        ("layer1.1.expand.", "layers.3.layers.0.layers.0.layers."),
        ("layer1.1.depthwise.", "layers.3.layers.0.layers.1.layers."),
        ("layer1.1.project.", "layers.3.layers.0.layers.2.layers."),
        ("layer1.2.expand.", "layers.3.layers.1.layers.0.layers."),
        ("layer1.2.depthwise.", "layers.3.layers.1.layers.1.layers."),
        ("layer1.2.project.", "layers.3.layers.1.layers.2.layers."),
        ("layer2.0.expand.", "layers.4.layers.0.layers."),
        ("layer2.0.depthwise.", "layers.4.layers.1.layers."),
        ("layer2.0.project.", "layers.4.layers.2.layers."),
        ("layer2.1.expand.", "layers.5.layers.0.layers.0.layers."),
        ("layer2.1.depthwise.", "layers.5.layers.0.layers.1.layers."),
        ("layer2.1.project.", "layers.5.layers.0.layers.2.layers."),
        ("layer3.0.expand.", "layers.6.layers.0.layers."),
        ("layer3.0.depthwise.", "layers.6.layers.1.layers."),
        ("layer3.0.project.", "layers.6.layers.2.layers."),
        ("separate.", "conv_sep.layers."),
        ("global.", "features.layers.0.layers."),
    ];
    let insight = [
        ("stem_depthwise.", "conv2_dw."),
        ("stem.", "conv1."),
        ("layer1.0.expand.", "conv_23.conv."),
        ("layer1.0.depthwise.", "conv_23.conv_dw."),
        ("layer1.0.project.", "conv_23.project."),
        ("layer1.1.expand.", "conv_3.model.0.conv."),
        ("layer1.1.depthwise.", "conv_3.model.0.conv_dw."),
        ("layer1.1.project.", "conv_3.model.0.project."),
        ("layer1.2.expand.", "conv_3.model.1.conv."),
        ("layer1.2.depthwise.", "conv_3.model.1.conv_dw."),
        ("layer1.2.project.", "conv_3.model.1.project."),
        ("layer2.0.expand.", "conv_34.conv."),
        ("layer2.0.depthwise.", "conv_34.conv_dw."),
        ("layer2.0.project.", "conv_34.project."),
        ("layer2.1.expand.", "conv_4.model.0.conv."),
        ("layer2.1.depthwise.", "conv_4.model.0.conv_dw."),
        ("layer2.1.project.", "conv_4.model.0.project."),
        ("layer3.0.expand.", "conv_45.conv."),
        ("layer3.0.depthwise.", "conv_45.conv_dw."),
        ("layer3.0.project.", "conv_45.project."),
        ("separate.", "conv_6_sep."),
        ("global.", "conv_6_dw."),
    ];
    for (table, linear, numbered) in [
        (arcface, ["features.layers.2", "features.layers.3"], true),
        (insight, ["linear", "bn"], false),
    ] {
        let mut tensors = named(&config, |name| {
            if let Some(kind) = name.strip_prefix("linear.conv.") {
                return Some(format!("{}.{kind}", linear[0]));
            }
            if let Some(kind) = name.strip_prefix("linear.bn.") {
                return Some(format!("{}.{kind}", linear[1]));
            }
            let (ours, theirs) = table.iter().find(|t| name.starts_with(t.0)).unwrap();
            let (unit, kind) = name[ours.len()..].split_once('.').unwrap();
            let unit = match (numbered, unit) {
                (true, "conv") => "0",
                (true, "bn") => "1",
                (true, _) => "2",
                (false, unit) => unit,
            };
            Some(format!("{theirs}{unit}.{kind}"))
        });
        // A linear layer there, a 1×1 convolution here.
        let matrix = tensors.get_mut(&format!("{}.weight", linear[0])).unwrap();
        matrix.0.truncate(2);
        let (found, rows) = imported(&tensors);
        assert_eq!(found.architecture, config, "{}", found.layout);
        assert_eq!(rows, expected, "{}", found.layout);
    }
}

#[test]
fn an_imported_network_is_the_one_that_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let device = Device::default();
    for config in [iresnet(), mobile(true)] {
        let training = device.clone().autodiff();
        let trained = config.init_seeded(&training, 4);
        let _ = trained.forward(Tensor::random(
            [4, 3, 32, 32],
            Distribution::Default,
            &training,
        ));
        let card = crate::ModelCard::new(config.clone(), crate::InputSpec::arcface(32));
        crate::save_model(dir.path(), &trained, &card).unwrap();
        let checkpoint = Checkpoint::open(&dir.path().join(crate::WEIGHTS_FILE)).unwrap();
        let found = import_backbone(&checkpoint, None, &device).unwrap();
        assert_eq!(output(&found.backbone), output(&trained.frozen()));
    }
}

#[test]
fn missing_unknown_and_misshapen_tensors_are_listed_together_with_the_nearest_name() {
    let mut tensors = named(&iresnet(), |name| Some(name.to_string()));
    let moved = tensors.remove("layer2.1.conv1.weight").unwrap();
    tensors.insert("layer2.1.conv_1.weight".into(), moved);
    tensors.insert("extra.weight".into(), (vec![1], vec![0.0]));
    tensors.insert("bn2.bias".into(), (vec![3], vec![0.0; 3]));
    // A block without its first convolution counts as a block less: that shows as unknown tensors too.
    let message = refusal(&tensors);
    assert!(
        message.contains("bn2.bias: found [3], expected [32]"),
        "{message}"
    );
    assert!(
        message.contains("layer2.1.conv_1.weight: unknown"),
        "{message}"
    );
    let mut tensors = named(&iresnet(), |name| Some(name.to_string()));
    let moved = tensors.remove("layer2.1.conv2.weight").unwrap();
    tensors.insert("layer2.1.conv_2.weight".into(), moved);
    let message = refusal(&tensors);
    assert!(
        message.contains(
            "layer2.1.conv2.weight: missing, expected [8, 8, 3, 3]; nearest: layer2.1.conv_2.weight"
        ),
        "{message}"
    );
    assert!(
        message.contains(
            "layer2.1.conv_2.weight: unknown, found [8, 8, 3, 3]; nearest: layer2.1.conv2.weight"
        ),
        "{message}"
    );
}

#[test]
fn another_architecture_and_several_networks_are_told() {
    let vit: Tensors = [
        ("blocks.0.attn.qkv.weight", 12),
        ("patch_embed.proj.weight", 4),
    ]
    .map(|(name, n)| (name.to_string(), (vec![n], vec![0.0; n])))
    .into();
    let message = refusal(&vit);
    assert!(
        message.contains("blocks.0.attn.qkv.weight: [12]"),
        "{message}"
    );
    let mut two = named(&iresnet(), |name| Some(format!("student.{name}")));
    two.extend(named(&iresnet(), |name| Some(format!("teacher.{name}"))));
    assert!(refusal(&two).contains("--prefix \"teacher.\""));
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = write(dir.path(), "a.safetensors", &two);
    let found = import_backbone(&checkpoint, Some("teacher"), &Device::default()).unwrap();
    assert_eq!(found.prefix, "teacher.");
    assert_eq!(found.left_out["student"], found.used);
}

fn head(dir: &Path, file: &str, name: &str, shape: [usize; 2]) -> Checkpoint {
    let values = (0..shape[0] * shape[1]).map(|v| v as f32 + 1.0).collect();
    let tensors = [(name.to_string(), (shape.to_vec(), values))].into();
    write(dir, file, &tensors)
}

#[test]
fn shards_are_joined_in_the_order_of_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let shard = |r, n| {
        head(
            dir.path(),
            &format!("softmax_fc_gpu_{r}.safetensors"),
            "weight",
            [n, 2],
        )
    };
    let joined = import_head(&[shard(1, 2), shard(0, 3), shard(2, 2)], 2).unwrap();
    assert_eq!((joined.classes, joined.rows.len()), (7, 14));
    assert_eq!(joined.rows[..6], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let refuse = |files: &[Checkpoint]| import_head(files, 2).unwrap_err().to_string();
    assert!(refuse(&[shard(0, 3), shard(2, 2)]).contains("shard 1 is expected"));
    assert!(refuse(&[shard(1, 2)]).contains("shard 0"));
    assert!(refuse(&[shard(0, 2)]).contains("softmax_fc_gpu_1"));
    assert!(refuse(&[shard(0, 2), shard(1, 3)]).contains("[3, 2]"));
}

#[test]
fn a_kernel_of_columns_is_transposed_and_a_foreign_head_refused() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = head(dir.path(), "a.safetensors", "head.kernel", [2, 3]);
    let found = import_head(&[kernel], 2).unwrap();
    assert_eq!(found.rows, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert!(found.parts[0].contains("transposed"));
    // A square matrix is told by its name.
    let square = head(dir.path(), "b.safetensors", "head.kernel", [2, 2]);
    assert_eq!(
        head_inside(&square, 2).unwrap().unwrap().rows,
        [1.0, 3.0, 2.0, 4.0]
    );
    let other = head(dir.path(), "c.safetensors", "weight", [3, 5]);
    let message = import_head(&[other], 2).unwrap_err().to_string();
    assert!(message.contains("weight [3, 5]"), "{message}");
}
