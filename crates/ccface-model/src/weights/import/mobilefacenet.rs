//! MobileFaceNets by the names of arcface_torch, of InsightFace_Pytorch and by ours.

use super::{Names, Origin, Plan};
use crate::{BackboneConfig, MobileFaceNetConfig};

/// Where a layout keeps the tensors that tell the architecture.
struct Places {
    stem: &'static str,
    stem_depthwise: &'static str,
    /// The first expansion of the network.
    expand: &'static str,
    separate: &'static str,
    global: &'static str,
    linear: &'static str,
}

/// arcface_torch: everything is `layers`, numbered.
pub(super) fn arcface(names: &Names<'_>) -> Plan {
    let blocks = [3, 5, 7].map(|stage| {
        names.count(|i| format!("layers.{stage}.layers.{i}.layers.0.layers.0.weight"))
    });
    let places = Places {
        stem: "layers.0.layers.0.weight",
        stem_depthwise: "layers.1.layers.0.weight",
        expand: "layers.2.layers.0.layers.0.weight",
        separate: "conv_sep.layers.0.weight",
        global: "features.layers.0.layers.0.weight",
        linear: "features.layers.2.weight",
    };
    planned(names, blocks, &places, arcface_layer)
}

/// arcface_torch's name of one of our layers.
pub(crate) fn arcface_layer(layer: &str) -> Option<String> {
    let part = |unit: &str| match unit {
        "conv" => "0",
        "bn" => "1",
        _ => "2",
    };
    let (path, unit) = layer.rsplit_once('.')?;
    Some(match path {
        "stem" => format!("layers.0.layers.{}", part(unit)),
        "stem_depthwise" => format!("layers.1.layers.{}", part(unit)),
        "separate" => format!("conv_sep.layers.{}", part(unit)),
        "global" => format!("features.layers.0.layers.{}", part(unit)),
        "linear" if unit == "conv" => "features.layers.2".into(),
        "linear" => "features.layers.3".into(),
        _ => {
            let (stage, block, role) = bottleneck(path)?;
            let role = ["expand", "depthwise", "project"]
                .iter()
                .position(|r| *r == role)?;
            let place = match block {
                0 => format!("layers.{}", 2 * stage),
                _ => format!("layers.{}.layers.{}", 2 * stage + 1, block - 1),
            };
            format!("{place}.layers.{role}.layers.{}", part(unit))
        }
    })
}

/// InsightFace_Pytorch and FaceX-Zoo: stages have names.
pub(super) fn named(names: &Names<'_>) -> Plan {
    let blocks = ["conv_3", "conv_4", "conv_5"]
        .map(|stage| names.count(|i| format!("{stage}.model.{i}.conv.conv.weight")));
    let places = Places {
        stem: "conv1.conv.weight",
        stem_depthwise: "conv2_dw.conv.weight",
        expand: "conv_23.conv.conv.weight",
        separate: "conv_6_sep.conv.weight",
        global: "conv_6_dw.conv.weight",
        linear: "linear.weight",
    };
    planned(names, blocks, &places, |layer| {
        let (path, unit) = layer.rsplit_once('.')?;
        Some(match path {
            "stem" => format!("conv1.{unit}"),
            "stem_depthwise" => format!("conv2_dw.{unit}"),
            "separate" => format!("conv_6_sep.{unit}"),
            "global" => format!("conv_6_dw.{unit}"),
            "linear" if unit == "conv" => "linear".into(),
            "linear" => "bn".into(),
            _ => {
                let (stage, block, role) = bottleneck(path)?;
                let role = match role {
                    "expand" => "conv",
                    "depthwise" => "conv_dw",
                    other => other,
                };
                let place = match block {
                    0 => ["conv_23", "conv_34", "conv_45"]
                        .get(stage - 1)?
                        .to_string(),
                    _ => format!("conv_{}.model.{}", stage + 2, block - 1),
                };
                format!("{place}.{role}.{unit}")
            }
        })
    })
}

/// Our own names, from a file that lost its card.
pub(super) fn ccface(names: &Names<'_>) -> Plan {
    // The strided bottleneck of a stage is its block 0.
    let blocks = [1, 2, 3].map(|stage| {
        names
            .count(|i| format!("layer{stage}.{i}.expand.conv.weight"))
            .saturating_sub(1)
    });
    let places = Places {
        stem: "stem.conv.weight",
        stem_depthwise: "stem_depthwise.conv.weight",
        expand: "layer1.0.expand.conv.weight",
        separate: "separate.conv.weight",
        global: "global.conv.weight",
        linear: "linear.conv.weight",
    };
    planned(names, blocks, &places, |layer| Some(layer.to_string()))
}

/// `layer2.3.expand` as (2, 3, "expand").
fn bottleneck(path: &str) -> Option<(usize, usize, &str)> {
    let (stage, rest) = path.strip_prefix("layer")?.split_once('.')?;
    let (block, role) = rest.split_once('.')?;
    let stage = stage.parse().ok().filter(|s| (1..=3).contains(s))?;
    Some((stage, block.parse().ok()?, role))
}

fn planned(
    names: &Names<'_>,
    blocks: [usize; 3],
    places: &Places,
    theirs: impl Fn(&str) -> Option<String>,
) -> Plan {
    let fallback = MobileFaceNetConfig::default();
    let or = |found: usize, fallback: usize| if found == 0 { fallback } else { found };
    let width = or(names.size(places.stem, 0), fallback.width);
    let side = names.size(places.global, 2);
    let told = if side == 0 {
        fallback.input_size
    } else {
        16 * side
    };
    let (stem_stride, input_size) = names.stem_of_card().unwrap_or((fallback.stem_stride, told));
    let config = MobileFaceNetConfig {
        blocks,
        width,
        expansion: or(
            names.size(places.expand, 0).checked_div(width).unwrap_or(0),
            fallback.expansion,
        ),
        head_width: or(names.size(places.separate, 0), fallback.head_width),
        input_size,
        stem_stride,
        stem_group: or(names.size(places.stem_depthwise, 1), 1),
        embedding: or(names.size(places.linear, 0), fallback.embedding),
        // A network without batch norms has biases instead.
        folded: names.has(&places.stem.replace(".weight", ".bias")),
    };
    let problems = config.problems();
    let config = if problems.is_empty() {
        config
    } else {
        fallback
    };
    // The last matrix is a linear layer there and a 1×1 convolution here.
    let matrix = names.shape(places.linear).is_some_and(|s| s.len() == 2);
    Plan::new(
        BackboneConfig::MobileFaceNet(config),
        problems,
        |name, shape| {
            let (layer, kind) = name.rsplit_once('.').unwrap_or((name, ""));
            let place = theirs(layer).unwrap_or_else(|| layer.to_string());
            let shape = match name {
                "linear.conv.weight" if matrix => shape[..2].to_vec(),
                _ => shape.to_vec(),
            };
            Origin::Tensor {
                name: format!("{place}.{kind}"),
                shape,
            }
        },
    )
}
