//! The ranges of a network's values on real faces, for quantisation.

use std::collections::BTreeMap;

use ccface_data::{FaceImage, FaceSource, degrade::lr_view};
use ccface_model::{InputSpec, OnnxFile, quantised_values};
use rten::{ModelOptions, NodeId, ValueOrView};
use rten_tensor::{NdTensor, prelude::*};

use crate::{TrainError, encoder::prepare};

/// Runs the network on LR views of `images` faces, spread over the source, and measures every value that is quantised.
///
/// Face sizes take turns. The range of a value is the mean over images of its least and its greatest number, so that a single
/// odd face does not stretch it. `progress(done, total)` counts images.
///
/// # Errors
/// An image that cannot be read, or a network that the engine does not run.
pub fn calibrate(
    network: &OnnxFile,
    source: &dyn FaceSource,
    input: &InputSpec,
    sizes: &[usize],
    images: usize,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<BTreeMap<String, (f32, f32)>, TrainError> {
    let refuse = |what: String| TrainError::Teacher {
        path: network.path().to_path_buf(),
        message: what,
    };
    if source.is_empty() || sizes.is_empty() {
        return Err(TrainError::Evaluation(
            "calibration needs at least one face and one size".into(),
        ));
    }
    // Optimised graphs do not have all values any more.
    let model = ModelOptions::with_all_ops()
        .enable_optimization(false)
        .load(network.to_bytes())
        .map_err(|e| refuse(format!("the engine does not run it: {e}")))?;
    let names = quantised_values(network);
    let ids = names
        .iter()
        .map(|name| model.node_id(name))
        .collect::<Result<Vec<NodeId>, _>>()
        .map_err(|e| refuse(e.to_string()))?;
    let image = model
        .node_id(&network.input()?.name)
        .map_err(|e| refuse(e.to_string()))?;
    let computed: Vec<NodeId> = ids.iter().copied().filter(|id| *id != image).collect();
    let count = images.clamp(1, source.len());
    let mut sums: BTreeMap<NodeId, (f64, f64)> = BTreeMap::new();
    let mut add = |id: NodeId, values: &mut dyn Iterator<Item = f32>| {
        let (mut low, mut high) = (f32::MAX, f32::MIN);
        values.for_each(|v| (low, high) = (low.min(v), high.max(v)));
        let sum = sums.entry(id).or_default();
        sum.0 += f64::from(low) / count as f64;
        sum.1 += f64::from(high) / count as f64;
    };
    for turn in 0..count {
        let face = FaceImage::from_rgb8(&source.image(turn * source.len() / count)?);
        let view = lr_view(&face, sizes[turn % sizes.len()], input.size);
        let mut pixels = Vec::new();
        prepare(&view, input, &mut pixels);
        add(image, &mut pixels.iter().copied());
        let tensor = NdTensor::from_data([1, 3, input.size, input.size], pixels);
        let outputs = model
            .run(vec![(image, ValueOrView::from(tensor))], &computed, None)
            .map_err(|e| refuse(format!("it fails on a face: {e}")))?;
        for (id, output) in computed.iter().zip(outputs) {
            let output: rten_tensor::Tensor<f32> = output
                .try_into()
                .map_err(|e| refuse(format!("a value is not a float tensor: {e}")))?;
            add(*id, &mut output.iter().copied());
        }
        progress(turn + 1, count);
    }
    Ok(names
        .into_iter()
        .zip(ids)
        .filter_map(|(name, id)| {
            let (low, high) = sums.get(&id)?;
            Some((name, (*low as f32, *high as f32)))
        })
        .collect())
}
