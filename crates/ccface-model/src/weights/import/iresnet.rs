//! IResNets by the names of arcface_torch and of AdaFace.

use super::{Names, Origin, Plan};
use crate::{BackboneConfig, IResNetConfig};

/// A variance that, with batch normalisation's 1e-5 added, is 1: such a normalisation changes nothing.
const UNIT_VARIANCE: f32 = 1.0 - 1e-5;

/// arcface_torch's names are ours.
pub(super) fn arcface(names: &Names<'_>) -> Plan {
    let blocks = std::array::from_fn(|stage| {
        names.count(|i| format!("layer{}.{i}.conv1.weight", stage + 1))
    });
    let (config, problems) = config(names, blocks, "conv1.weight", "fc.weight");
    Plan::new(config, problems, |name, shape| {
        plain_or_optional(name, name.to_string(), shape)
    })
}

/// AdaFace counts blocks through and numbers the layers of a block.
pub(super) fn adaface(names: &Names<'_>) -> Plan {
    // Older networks have no normalisation between the first convolution and the slope.
    let short =
        names.has("body.0.res_layer.2.weight") && !names.has("body.0.res_layer.2.running_mean");
    let count = names.count(|i| format!("body.{i}.res_layer.0.weight"));
    // A block that widens opens a stage; the first block opens the first one.
    let mut starts: Vec<usize> = (0..count)
        .filter(|&i| {
            let conv = format!("body.{i}.res_layer.1.weight");
            i == 0 || names.size(&conv, 0) != names.size(&conv, 1)
        })
        .collect();
    let stages = starts.len();
    starts.resize(4, count);
    let starts: [usize; 4] = std::array::from_fn(|i| starts[i]);
    let end = |stage: usize| starts.get(stage + 1).copied().unwrap_or(count);
    let blocks = std::array::from_fn(|stage| end(stage).saturating_sub(starts[stage]));
    let (config, mut problems) = config(
        names,
        blocks,
        "input_layer.0.weight",
        "output_layer.3.weight",
    );
    if stages != 4 {
        problems.insert(
            0,
            format!("{count} blocks in {stages} stages, expected 4 stages that widen one after the other"),
        );
    }
    let pooled = !names.has("body.0.shortcut_layer.0.weight");
    Plan::new(config, problems, |name, shape| {
        let (layer, kind) = name.rsplit_once('.').unwrap_or((name, ""));
        if pooled && layer.starts_with("layer1.0.downsample.") {
            return match (layer, kind) {
                ("layer1.0.downsample.0", _) => Origin::Identity,
                _ => unit_norm(kind),
            };
        }
        if short && layer.starts_with("layer") && layer.ends_with(".bn2") {
            return unit_norm(kind);
        }
        plain_or_optional(
            name,
            format!("{}.{kind}", theirs(layer, &starts, short)),
            shape,
        )
    })
}

/// AdaFace's name of one of our layers.
fn theirs(layer: &str, starts: &[usize; 4], short: bool) -> String {
    let numbered = |layer: &str| -> Option<String> {
        let (stage, rest) = layer.strip_prefix("layer")?.split_once('.')?;
        let (block, part) = rest.split_once('.')?;
        let stage: usize = stage.parse().ok()?;
        let block: usize = block.parse().ok()?;
        let part = match (part, short) {
            ("bn1", _) => "res_layer.0",
            ("conv1", _) => "res_layer.1",
            ("bn2", _) | ("prelu", true) => "res_layer.2",
            ("prelu", false) | ("conv2", true) => "res_layer.3",
            ("conv2", false) | ("bn3", true) => "res_layer.4",
            ("bn3", false) => "res_layer.5",
            ("downsample.0", _) => "shortcut_layer.0",
            ("downsample.1", _) => "shortcut_layer.1",
            _ => return None,
        };
        Some(format!("body.{}.{part}", starts.get(stage - 1)? + block))
    };
    match layer {
        "conv1" => "input_layer.0".into(),
        "bn1" => "input_layer.1".into(),
        "prelu" => "input_layer.2".into(),
        "bn2" => "output_layer.0".into(),
        "fc" => "output_layer.3".into(),
        "features" => "output_layer.4".into(),
        other => numbered(other).unwrap_or_else(|| other.into()),
    }
}

/// A normalisation that changes nothing.
fn unit_norm(kind: &str) -> Origin {
    match kind {
        "running_var" => Origin::Constant(UNIT_VARIANCE),
        "weight" => Origin::Constant(1.0),
        _ => Origin::Constant(0.0),
    }
}

/// The scale and the shift of the last normalisation are left out where it has none.
fn plain_or_optional(ours: &str, name: String, shape: &[usize]) -> Origin {
    let shape = shape.to_vec();
    match ours {
        "features.weight" => Origin::Optional {
            name,
            shape,
            default: 1.0,
        },
        "features.bias" => Origin::Optional {
            name,
            shape,
            default: 0.0,
        },
        _ => Origin::Tensor { name, shape },
    }
}

/// The architecture that the shapes tell, and what they contradict.
fn config(
    names: &Names<'_>,
    blocks: [usize; 4],
    stem: &str,
    fc: &str,
) -> (BackboneConfig, Vec<String>) {
    let mut problems = Vec::new();
    let fallback = IResNetConfig::default();
    let or = |found: usize, fallback: usize| if found == 0 { fallback } else { found };
    let width = or(names.size(stem, 0), fallback.width);
    let columns = names.size(fc, 1);
    let side = ((columns / (8 * width).max(1)) as f64).sqrt().round() as usize;
    let mut input_size = fallback.input_size;
    if columns != 0 {
        if side * side * 8 * width == columns {
            input_size = 16 * side;
        } else {
            problems.push(format!(
                "{}: {columns} inputs are no square of {} channels",
                names.full(fc),
                8 * width
            ));
        }
    }
    let (stem_stride, input_size) = names
        .stem_of_card()
        .unwrap_or((fallback.stem_stride, input_size));
    let config = IResNetConfig {
        blocks,
        width,
        input_size,
        stem_stride,
        embedding: or(names.size(fc, 0), fallback.embedding),
    };
    let mistakes = config.problems();
    if mistakes.is_empty() {
        return (BackboneConfig::IResNet(config), problems);
    }
    problems.extend(mistakes);
    // Something to compare with, so that the names can be listed too.
    (BackboneConfig::IResNet(fallback), problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adaface_names_follow_the_blocks_through_the_stages() {
        let starts = [0, 3, 7, 21];
        for (ours, expected) in [
            ("conv1", "input_layer.0"),
            ("layer1.0.bn1", "body.0.res_layer.0"),
            ("layer2.0.downsample.1", "body.3.shortcut_layer.1"),
            ("layer3.13.bn3", "body.20.res_layer.5"),
            ("layer4.2.conv2", "body.23.res_layer.4"),
            ("features", "output_layer.4"),
        ] {
            assert_eq!(theirs(ours, &starts, false), expected);
        }
        assert_eq!(
            theirs("layer1.1.conv2", &starts, true),
            "body.1.res_layer.3"
        );
    }
}
