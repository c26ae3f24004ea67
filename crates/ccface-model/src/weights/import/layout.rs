//! Which network a checkpoint holds, told by its names.

use std::fmt;

use super::super::checkpoint::Checkpoint;
use crate::ModelError;

/// Who names tensors like that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightLayout {
    /// arcface_torch's IResNet, `layer1.0.conv1.weight`; ours has the same names.
    ArcfaceIResNet,
    /// AdaFace, CVLface, QGFace, InsightFace_Pytorch: `body.0.res_layer.1.weight`.
    AdafaceIResNet,
    /// arcface_torch's MobileFaceNet, `layers.2.layers.0.layers.0.weight`.
    ArcfaceMobileFaceNet,
    /// The MobileFaceNet of InsightFace_Pytorch and FaceX-Zoo, `conv_23.conv_dw.conv.weight`.
    NamedMobileFaceNet,
    /// Ours, `layer1.0.expand.conv.weight`.
    CcfaceMobileFaceNet,
}

impl WeightLayout {
    const ALL: [Self; 5] = [
        Self::ArcfaceIResNet,
        Self::AdafaceIResNet,
        Self::ArcfaceMobileFaceNet,
        Self::NamedMobileFaceNet,
        Self::CcfaceMobileFaceNet,
    ];

    /// A tensor that the layout has and no other does.
    pub(super) fn marker(self) -> &'static str {
        match self {
            Self::ArcfaceIResNet => "layer1.0.prelu.weight",
            Self::AdafaceIResNet => "input_layer.0.weight",
            Self::ArcfaceMobileFaceNet => "conv_sep.layers.0.weight",
            Self::NamedMobileFaceNet => "conv_6_sep.conv.weight",
            Self::CcfaceMobileFaceNet => "stem_depthwise.conv.weight",
        }
    }
}

impl fmt::Display for WeightLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ArcfaceIResNet => "arcface_torch IResNet",
            Self::AdafaceIResNet => "AdaFace/CVLface IResNet",
            Self::ArcfaceMobileFaceNet => "arcface_torch MobileFaceNet",
            Self::NamedMobileFaceNet => "InsightFace_Pytorch/FaceX-Zoo MobileFaceNet",
            Self::CcfaceMobileFaceNet => "ccface MobileFaceNet",
        })
    }
}

/// A network in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) layout: WeightLayout,
    pub(super) prefix: String,
}

/// Finds the network, or the one behind `wanted`.
pub(super) fn find(checkpoint: &Checkpoint, wanted: Option<&str>) -> Result<Found, ModelError> {
    let mut found: Vec<Found> = Vec::new();
    for layout in WeightLayout::ALL {
        for (name, _) in checkpoint.tensors() {
            let whole_parts = |prefix: &&str| prefix.is_empty() || prefix.ends_with('.');
            if let Some(prefix) = name.strip_suffix(layout.marker()).filter(whole_parts) {
                found.push(Found {
                    layout,
                    prefix: prefix.to_string(),
                });
            }
        }
    }
    let told = |found: &[Found]| {
        let prefixes: Vec<String> = found
            .iter()
            .map(|f| format!("--prefix {:?} ({})", f.prefix, f.layout))
            .collect();
        prefixes.join(", ")
    };
    if let Some(wanted) = wanted {
        let wanted = wanted.trim_end_matches('.');
        return match found
            .iter()
            .find(|f| f.prefix.trim_end_matches('.') == wanted)
        {
            Some(found) => Ok(found.clone()),
            None if found.is_empty() => Err(unknown(checkpoint)),
            None => Err(ModelError::weight_file(
                checkpoint.path(),
                format!(
                    "holds no network behind the prefix {wanted:?}; there is {}",
                    told(&found)
                ),
            )),
        };
    }
    match found.as_slice() {
        [] => Err(unknown(checkpoint)),
        [one] => Ok(one.clone()),
        several => Err(ModelError::weight_file(
            checkpoint.path(),
            format!(
                "holds {} networks; choose one with {}",
                several.len(),
                told(several)
            ),
        )),
    }
}

/// The error for a file without a known network: what it holds, and the nearest name that would be known.
fn unknown(checkpoint: &Checkpoint) -> ModelError {
    let count = checkpoint.tensors().count();
    let mut problems: Vec<String> = checkpoint
        .tensors()
        .take(5)
        .map(|(name, shape)| format!("{name}: {shape:?}"))
        .collect();
    if count > problems.len() {
        problems.push(format!("and {} more", count - problems.len()));
    }
    let nearest = WeightLayout::ALL
        .iter()
        .flat_map(|layout| {
            checkpoint.tensors().map(move |(name, _)| {
                let likeness = strsim::normalized_levenshtein(name, layout.marker());
                (likeness, name, *layout)
            })
        })
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((likeness, name, layout)) = nearest.filter(|n| n.0 > 0.5) {
        problems.push(format!(
            "nearest: {name} resembles {} of {layout} ({:.0} %)",
            layout.marker(),
            100.0 * likeness
        ));
    }
    problems.push(
        "known are the IResNets of arcface_torch, AdaFace, CVLface and QGFace, and three MobileFaceNets; a network of \
         another kind can be a frozen teacher as an ONNX file"
            .into(),
    );
    ModelError::WeightMismatch {
        path: checkpoint.path().to_path_buf(),
        architecture: "a network that is known here".into(),
        problems,
    }
}
