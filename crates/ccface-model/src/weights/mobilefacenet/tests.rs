#![allow(clippy::unwrap_used)]

use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use prost::Message;

use super::super::onnx_proto::ModelProto;
use super::*;
use crate::weights::shared_folder;

/// The sample network's own convention: RGB, (x − 127)/128, [batch, 3, 112, 112].
fn read_images(files: &[std::path::PathBuf], device: &Device) -> Tensor<4> {
    let mut data = Vec::new();
    for file in files {
        let image = image::open(file).unwrap().to_rgb8();
        assert_eq!(image.dimensions(), (112, 112));
        for channel in 0..3 {
            let channel = image
                .pixels()
                .map(|p| (f32::from(p.0[channel]) - 127.0) / 128.0);
            data.extend(channel);
        }
    }
    Tensor::from_data(TensorData::new(data, [files.len(), 3, 112, 112]), device)
}

/// The f32 numbers of an `.npy` file of a C-ordered matrix.
fn read_npy(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..6], b"\x93NUMPY");
    let header = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    let text = std::str::from_utf8(&bytes[10..10 + header]).unwrap();
    assert!(
        text.contains("'<f4'") && text.contains("'fortran_order': False"),
        "{text}"
    );
    let (chunks, _) = bytes[10 + header..].as_chunks::<4>();
    chunks.iter().map(|&c| f32::from_le_bytes(c)).collect()
}

#[test]
fn the_loaded_student_reproduces_the_teachers_embeddings() {
    let (Some(teachers), Some(golden), Some(data)) = (
        shared_folder("teachers"),
        shared_folder("golden"),
        shared_folder("data"),
    ) else {
        return;
    };
    let device = Device::default();
    let file = OnnxFile::read(&teachers.join("mobilefacenet.onnx")).unwrap();
    let (student, config) = mobilefacenet_from_onnx(&file, &device).unwrap();
    let expected = BackboneConfig::MobileFaceNet(MobileFaceNetConfig {
        folded: true,
        ..MobileFaceNetConfig::default()
    });
    assert_eq!(config, expected, "it is the paper's table");
    let golden = read_npy(&golden.join("orl_mobilefacenet.npy"));
    // Identities and files in sorted order, ten files each; rows far apart.
    let rows = [0, 13, 127, 255, 391, 399];
    let files: Vec<_> = rows
        .iter()
        .map(|row| {
            let (person, picture) = (row / 10 + 1, row % 10 + 1);
            data.join(format!("orl_aligned112/s{person:02}/{picture:02}.png"))
        })
        .collect();
    let output = student.forward(read_images(&files, &device));
    let output = output.into_data().try_to_vec::<f32>().unwrap();
    for (row, found) in rows.iter().zip(output.chunks_exact(512)) {
        let wanted = &golden[row * 512..(row + 1) * 512];
        let dot: f32 = found.iter().zip(wanted).map(|(a, b)| a * b).sum();
        let norm: f32 = found.iter().map(|v| v * v).sum::<f32>().sqrt();
        assert!(dot / norm >= 0.9999, "row {row}: cos {}", dot / norm);
    }
}

#[test]
fn another_network_is_refused_with_its_foreign_nodes() {
    let Some(teachers) = shared_folder("teachers") else {
        return;
    };
    let file = OnnxFile::read(&teachers.join("dlib_resnet_v1.onnx")).unwrap();
    let error = mobilefacenet_from_onnx(&file, &Device::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("Relu is not part of it"), "{text}");
    assert!(text.contains("dlib_resnet_v1.onnx"), "{text}");
}

/// What the walk says after an edit of the sample network.
fn after_edit(teachers: &Path, edit: impl FnOnce(&mut ModelProto)) -> String {
    let path = teachers.join("mobilefacenet.onnx");
    let mut model = ModelProto::decode(std::fs::read(&path).unwrap().as_slice()).unwrap();
    edit(&mut model);
    let file = OnnxFile::from_bytes(&path, &model.encode_to_vec()).unwrap();
    mobilefacenet_from_onnx(&file, &Device::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn every_deviation_is_named_with_found_and_expected() {
    let Some(teachers) = shared_folder("teachers") else {
        return;
    };
    let tensor = |model: &mut ModelProto, name: &str, edit: fn(&mut TensorProto)| {
        let graph = model.graph.as_mut().unwrap();
        edit(
            graph
                .initializer
                .iter_mut()
                .find(|t| t.label() == name)
                .unwrap(),
        );
    };
    let shape = after_edit(&teachers, |m| tensor(m, "534", |t| t.dims[0] = 96));
    assert!(
        shape.contains("Conv_9: found shape [96, 64, 1, 1], expected [128, 64, 1, 1]"),
        "{shape}"
    );
    let slope = after_edit(&teachers, |m| tensor(m, "669", |t| t.dims = vec![1]));
    assert!(
        slope.contains("PRelu_3: found shape [1], expected [64]"),
        "{slope}"
    );
    let raw = after_edit(&teachers, |m| {
        tensor(m, "520", |t| t.raw_data.as_mut().unwrap().truncate(8));
    });
    assert!(
        raw.contains("\"520\" has shape [64] but 2 numbers"),
        "{raw}"
    );
    let kind = after_edit(&teachers, |m| tensor(m, "520", |t| t.data_type = Some(10)));
    assert!(kind.contains("data type 10"), "{kind}");
    let nan = after_edit(&teachers, |m| {
        tensor(m, "520", |t| t.raw_data.as_mut().unwrap()[..4].fill(0xff));
    });
    assert!(nan.contains("not finite"), "{nan}");
    let wiring = after_edit(&teachers, |m| {
        let nodes = &mut m.graph.as_mut().unwrap().node;
        let add = nodes.iter_mut().find(|n| n.label() == "Add_20").unwrap();
        add.input[0] = "530".into();
    });
    assert!(
        wiring.contains("Add_20: reads [\"530\", \"548\"]"),
        "{wiring}"
    );
    let padding = after_edit(&teachers, |m| {
        let nodes = &mut m.graph.as_mut().unwrap().node;
        let conv = nodes.iter_mut().find(|n| n.label() == "Conv_11").unwrap();
        let pads =
            |a: &&mut super::super::onnx_proto::AttributeProto| a.name.as_deref() == Some("pads");
        conv.attribute.iter_mut().find(pads).unwrap().ints[0] = 0;
    });
    assert!(
        padding.contains("Conv_11") && padding.contains("expected stride 1, padding 1"),
        "{padding}"
    );
    let cut = after_edit(&teachers, |m| {
        m.graph.as_mut().unwrap().node.pop();
    });
    assert!(cut.contains("ends in []"), "{cut}");
    let dropped = after_edit(&teachers, |m| {
        m.graph.as_mut().unwrap().node.remove(5);
    });
    assert!(
        dropped.contains("Conv_6: Conv, expected PRelu"),
        "{dropped}"
    );
}
