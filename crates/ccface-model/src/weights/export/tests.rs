#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Distribution, Tensor};

use super::*;
use crate::{
    BackboneConfig, Checkpoint, IResNetConfig, InputSpec, MobileFaceNetConfig, ModelCard, OnnxFile,
    import_backbone, mobilefacenet_from_onnx,
};

fn networks() -> Vec<(Backbone, ModelCard)> {
    let mobile = MobileFaceNetConfig {
        blocks: [1, 1, 0],
        width: 4,
        head_width: 8,
        input_size: 32,
        embedding: 6,
        ..MobileFaceNetConfig::default()
    };
    let folded = MobileFaceNetConfig {
        folded: true,
        ..mobile.clone()
    };
    let iresnet = IResNetConfig {
        blocks: [1, 2, 1, 1],
        width: 4,
        input_size: 32,
        embedding: 6,
        ..IResNetConfig::default()
    };
    [
        BackboneConfig::IResNet(iresnet),
        BackboneConfig::MobileFaceNet(mobile),
        BackboneConfig::MobileFaceNet(folded),
    ]
    .map(|config| {
        // Some training passes, so that running statistics are not 0 and 1.
        let training = Device::default().autodiff();
        let net = config.init_seeded(&training, 2);
        for _ in 0..3 {
            let _ = net.forward(Tensor::random(
                [8, 3, 32, 32],
                Distribution::Default,
                &training,
            ));
        }
        let mut card = ModelCard::new(config, InputSpec::arcface(32));
        card.weights.file = crate::WEIGHTS_FILE.into();
        (net.frozen(), card)
    })
    .into()
}

fn output(backbone: &Backbone) -> Vec<f32> {
    let images = Tensor::<1, burn::tensor::Int>::arange(0..2 * 3 * 32 * 32, &Device::default())
        .float()
        .sin()
        .reshape([2, 3, 32, 32]);
    backbone.forward(images).into_data().try_to_vec().unwrap()
}

#[test]
fn an_exported_state_dict_is_read_back_as_the_same_network() {
    let dir = tempfile::tempdir().unwrap();
    for (net, card) in networks() {
        let path = dir.path().join("a.safetensors");
        export_safetensors(&path, &net, &card).unwrap();
        let first = std::fs::read(&path).unwrap();
        export_safetensors(&path, &net, &card).unwrap();
        assert_eq!(
            first,
            std::fs::read(&path).unwrap(),
            "equal models give equal bytes"
        );
        let found =
            import_backbone(&Checkpoint::open(&path).unwrap(), None, &Device::default()).unwrap();
        let (before, after) = (output(&net), output(&found.backbone));
        for (a, b) in before.iter().zip(&after) {
            assert!(
                (a - b).abs() <= 2e-5 * a.abs().max(1.0),
                "{}: {a} {b}",
                found.layout
            );
        }
    }
}

#[test]
fn every_batch_norm_that_can_be_folded_is_folded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.onnx");
    // One norm per block of an IResNet stands before a padded convolution.
    for ((net, card), kept) in networks().into_iter().zip([5, 0, 0]) {
        let plain = export_onnx(&path, &net, &card, false).unwrap();
        assert_eq!(plain.folded, 0);
        let folded = export_onnx(&path, &net, &card, true).unwrap();
        assert_eq!((folded.kept, folded.folded), (kept, plain.kept - kept));
        assert_eq!(plain.nodes - folded.nodes, folded.folded);
        let file = OnnxFile::read(&path).unwrap();
        assert_eq!(file.card().unwrap().unwrap(), card);
        let input = file.input().unwrap();
        assert_eq!((input.batch, input.height), (None, Some(32)));
        assert_eq!(file.embedding(), Some(6));
    }
}

#[test]
fn a_mobilefacenet_with_folded_norms_comes_back_from_onnx() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.onnx");
    let (net, card) = networks().remove(2);
    export_onnx(&path, &net, &card, false).unwrap();
    let (back, architecture) =
        mobilefacenet_from_onnx(&OnnxFile::read(&path).unwrap(), &Device::default()).unwrap();
    assert_eq!(architecture, card.architecture);
    assert_eq!(output(&back), output(&net));
    // And so does one whose norms the export folded.
    let (net, card) = networks().remove(1);
    export_onnx(&path, &net, &card, true).unwrap();
    let (back, _) =
        mobilefacenet_from_onnx(&OnnxFile::read(&path).unwrap(), &Device::default()).unwrap();
    for (a, b) in output(&net).iter().zip(output(&back)) {
        assert!((a - b).abs() <= 2e-5 * a.abs().max(1.0), "{a} {b}");
    }
}

#[test]
fn a_card_inside_onnx_that_is_of_another_graph_names_its_field() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.onnx");
    let (net, mut card) = networks().remove(1);
    card.input.size = 48;
    export_onnx(&path, &net, &card, false).unwrap();
    // The card contradicts itself: the architecture takes 32.
    let error = OnnxFile::read(&path).unwrap().card().unwrap_err();
    assert!(error.to_string().contains("input.size"), "{error}");
    card.architecture = networks().remove(2).1.architecture;
    assert!(matches!(
        export_onnx(&path, &net, &card, false),
        Err(ModelError::Export(_))
    ));
}

#[test]
fn a_quantised_network_has_8_bit_weights_and_needs_every_range() {
    let (net, card) = networks().remove(1);
    let (bytes, plain) = onnx_bytes(&net, &card, true).unwrap();
    let file = OnnxFile::from_bytes(std::path::Path::new("a.onnx"), &bytes).unwrap();
    let values = quantised_values(&file);
    assert!(values.contains(&"image".to_string()) && !values.contains(&"embedding".to_string()));
    let mut ranges = values.iter().map(|v| (v.clone(), (-2.0, 2.0))).collect();
    let quantised = quantise_onnx(&file, &ranges).unwrap();
    let again = OnnxFile::from_bytes(std::path::Path::new("q.onnx"), &quantised).unwrap();
    let operators = again.operators();
    assert_eq!(operators["Conv"], file.operators()["Conv"]);
    assert_eq!(operators["QuantizeLinear"], values.len());
    assert_eq!(
        operators["DequantizeLinear"],
        values.len() + 2 * operators["Conv"]
    );
    assert_eq!(again.card().unwrap().unwrap(), card);
    assert!(plain.bytes > 0);
    ranges.remove("image");
    let error = quantise_onnx(&file, &ranges).unwrap_err();
    assert!(error.to_string().contains("range of image"), "{error}");
}
