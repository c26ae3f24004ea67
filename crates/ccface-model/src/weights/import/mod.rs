//! From a stranger's weight file to a backbone of this crate.

mod compare;
mod head;
mod iresnet;
mod layout;
mod mobilefacenet;

use std::collections::{BTreeMap, HashMap};

use burn::tensor::Device;

pub use head::{ImportedHead, head_inside, import_head};
pub use layout::WeightLayout;
pub(crate) use mobilefacenet::arcface_layer as arcface_mobilefacenet_layer;

use super::checkpoint::Checkpoint;
use crate::backbone::fill;
use crate::{Backbone, BackboneConfig, Colour, ModelError};
use layout::Found;

/// What a checkpoint turned out to be.
#[derive(Debug)]
pub struct ImportedBackbone {
    /// The network with the file's weights, on the device that was asked for.
    pub backbone: Backbone,
    /// What it is.
    pub architecture: BackboneConfig,
    /// Who names tensors like that.
    pub layout: WeightLayout,
    /// What stood in front of every name, such as `state_dict.model.`.
    pub prefix: String,
    /// Tensors of the file that became weights.
    pub used: usize,
    /// Tensors that belong to something else (an optimizer, a head), counted by the first part of their name.
    pub left_out: BTreeMap<String, usize>,
}

/// Where the numbers of one of our tensors come from.
#[derive(Debug, Clone, PartialEq)]
enum Origin {
    /// A tensor of the file, of this shape there (same numbers, same order).
    Tensor { name: String, shape: Vec<usize> },
    /// A tensor that some writers leave out, and its value then.
    Optional {
        name: String,
        shape: Vec<usize>,
        default: f32,
    },
    /// The same number everywhere.
    Constant(f32),
    /// A 1×1 convolution that changes nothing: the strided maximum over one pixel of AdaFace's first shortcut.
    Identity,
}

/// The plan of an import: each of our tensors with its shape and origin.
struct Plan {
    architecture: BackboneConfig,
    origins: Vec<(String, Vec<usize>, Origin)>,
    /// What the architecture cannot be, in words.
    problems: Vec<String>,
}

impl Plan {
    fn new(
        architecture: BackboneConfig,
        problems: Vec<String>,
        origin: impl Fn(&str, &[usize]) -> Origin,
    ) -> Self {
        let origins = architecture
            .layers()
            .iter()
            .flat_map(|layer| layer.tensors())
            .map(|(name, shape)| {
                let origin = origin(&name, &shape);
                (name, shape, origin)
            })
            .collect();
        Self {
            architecture,
            origins,
            problems,
        }
    }
}

/// Builds the backbone whose weights a checkpoint holds.
///
/// The layout is recognised by its names, whatever stands in front of them; `prefix` chooses where a file holds
/// several networks. Depth, width, embedding and input size are read from the shapes, and every tensor is then
/// compared with what that network needs.
///
/// # Errors
///
/// [`ModelError::WeightMismatch`] lists every missing, unknown and misshapen tensor with the nearest match, or what
/// the file holds where it is no known network; [`ModelError::WeightFile`] for damaged numbers.
pub fn import_backbone(
    checkpoint: &Checkpoint,
    prefix: Option<&str>,
    device: &Device,
) -> Result<ImportedBackbone, ModelError> {
    let Found { layout, prefix } = layout::find(checkpoint, prefix)?;
    let names = Names {
        checkpoint,
        prefix: &prefix,
    };
    let plan = match layout {
        WeightLayout::ArcfaceIResNet => iresnet::arcface(&names),
        WeightLayout::AdafaceIResNet => iresnet::adaface(&names),
        WeightLayout::ArcfaceMobileFaceNet => mobilefacenet::arcface(&names),
        WeightLayout::NamedMobileFaceNet => mobilefacenet::named(&names),
        WeightLayout::CcfaceMobileFaceNet => mobilefacenet::ccface(&names),
    };
    let left_out = compare::check(&names, &plan)?;
    let mut weights = HashMap::with_capacity(plan.origins.len());
    let mut used = 0;
    for (ours, shape, origin) in &plan.origins {
        let count = shape.iter().product();
        let values = match origin {
            Origin::Tensor { name, .. } => {
                used += 1;
                checkpoint.values(&names.full(name))?
            }
            Origin::Optional { name, default, .. } => {
                let full = names.full(name);
                if checkpoint.shape(&full).is_some() {
                    used += 1;
                    checkpoint.values(&full)?
                } else {
                    vec![*default; count]
                }
            }
            Origin::Constant(value) => vec![*value; count],
            Origin::Identity => identity(shape),
        };
        weights.insert(ours.as_str(), values);
    }
    let mut take = |site: &crate::backbone::Site<'_>| {
        let values = weights.remove(site.name)?;
        Some(match (site.layer, site.shape) {
            // PyTorch has [outputs, inputs].
            ("Linear", &[inputs, outputs]) => transposed(&values, outputs, inputs),
            _ => values,
        })
    };
    let backbone = match plan.architecture.skeleton(device) {
        Backbone::IResNet(net) => Backbone::IResNet(fill(net, &mut take)),
        Backbone::MobileFaceNet(net) => Backbone::MobileFaceNet(fill(net, &mut take)),
    };
    Ok(ImportedBackbone {
        backbone,
        architecture: plan.architecture,
        layout,
        prefix,
        used,
        left_out,
    })
}

/// The tensors of one network in a checkpoint, by their names without what stands in front.
struct Names<'a> {
    checkpoint: &'a Checkpoint,
    prefix: &'a str,
}

impl Names<'_> {
    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.checkpoint.shape(&self.full(name))
    }

    fn has(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    /// One size of a tensor's shape; 0 where there is none.
    fn size(&self, name: &str, axis: usize) -> usize {
        let shape = self.shape(name).unwrap_or_default();
        shape.get(axis).copied().unwrap_or(0)
    }

    /// The stride of the stem and the input size, which no shape tells, from the card of an export of ours.
    fn stem_of_card(&self) -> Option<(usize, usize)> {
        match &self.checkpoint.card()?.architecture {
            BackboneConfig::IResNet(config) => Some((config.stem_stride, config.input_size)),
            BackboneConfig::MobileFaceNet(config) => Some((config.stem_stride, config.input_size)),
        }
    }

    /// How many of `name(0)`, `name(1)`, … there are without a gap.
    fn count(&self, name: impl Fn(usize) -> String) -> usize {
        // Far above the depth that any architecture here allows.
        (0..2000).take_while(|&i| self.has(&name(i))).count()
    }
}

/// A square 1×1 convolution that copies each channel.
fn identity(shape: &[usize]) -> Vec<f32> {
    let outputs = shape.first().copied().unwrap_or(0);
    let inputs = shape.get(1).copied().unwrap_or(0);
    let mut values = vec![0.0; shape.iter().product()];
    for channel in 0..outputs.min(inputs) {
        values[channel * inputs + channel] = 1.0;
    }
    values
}

/// A row-major `[rows, columns]` matrix as `[columns, rows]`.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for column in 0..columns {
        out.extend((0..rows).map(|row| values[row * columns + column]));
    }
    out
}

impl WeightLayout {
    /// The colour order that networks of this layout are trained with, as far as their authors say.
    pub fn colour(self) -> Colour {
        match self {
            Self::AdafaceIResNet => Colour::Bgr,
            _ => Colour::Rgb,
        }
    }
}

#[cfg(test)]
mod tests;
