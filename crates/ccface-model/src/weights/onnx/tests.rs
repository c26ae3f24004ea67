#![allow(clippy::unwrap_used)]

use super::super::onnx_proto::{
    Dimension, INT64, TensorShapeProto, TensorType, TypeProto, TypeValue,
};
use super::*;

/// A `[dims…]` value of the graph; 0 stands for a symbol.
fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|&size| Dimension {
            value: Some(match size {
                0 => DimensionValue::Symbol("N".into()),
                size => DimensionValue::Value(size),
            }),
            denotation: None,
        })
        .collect();
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            value: Some(TypeValue::Tensor(TensorType {
                elem_type: Some(1),
                shape: Some(TensorShapeProto { dim }),
            })),
            denotation: None,
        }),
        ..ValueInfoProto::default()
    }
}

fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|s| s.to_string()).collect(),
        output: vec![output.into()],
        op_type: Some(operator.into()),
        ..NodeProto::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        dims: vec![values.len() as i64],
        data_type: Some(INT64),
        name: Some(name.into()),
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// Two reshapes share one constant, of which only the second reshapes an activation.
fn model(batch: i64) -> ModelProto {
    ModelProto {
        ir_version: Some(7),
        graph: Some(GraphProto {
            node: vec![
                node("Reshape", &["weight", "shape"], "row"),
                node("Relu", &["image"], "x"),
                node("Reshape", &["x", "shape"], "flat"),
                node("Add", &["flat", "row"], "out"),
            ],
            initializer: vec![integers("shape", &[1, -1]), integers("weight", &[0; 48])],
            input: vec![value("image", &[batch, 3, 4, 4]), value("weight", &[48])],
            output: vec![value("out", &[batch, 48])],
            value_info: vec![value("x", &[batch, 3, 4, 4])],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

fn read(model: &ModelProto) -> Result<OnnxFile, ModelError> {
    OnnxFile::from_bytes(Path::new("net.onnx"), &model.encode_to_vec())
}

fn teachers() -> Option<PathBuf> {
    crate::weights::shared_folder("teachers")
}

#[test]
fn a_fixed_batch_is_freed_where_it_stands_for_the_batch_only() {
    let mut file = read(&model(1)).unwrap();
    let hash = file.hash().to_string();
    let freed = file.free_batch_dimension().unwrap();
    assert_eq!(freed.fixed_to, Some(1));
    assert_eq!(freed.reshapes, ["flat"]);
    let again = OnnxFile::from_bytes(Path::new("net.onnx"), &file.to_bytes()).unwrap();
    let graph = again.graph();
    assert_eq!(again.input().unwrap().batch, None);
    assert_eq!(graph.output[0].dims().unwrap()[0].size(), None);
    assert_eq!(graph.output[0].dims().unwrap()[1].size(), Some(48));
    assert!(graph.value_info.is_empty());
    // The weight's reshape keeps the shared constant, the activation's has a copy.
    assert_eq!(
        again.constant_integers(graph.node[0].input.get(1)).unwrap(),
        [1, -1]
    );
    assert_eq!(
        again.constant_integers(graph.node[2].input.get(1)).unwrap(),
        [0, -1]
    );
    assert_eq!(file.hash(), hash, "the hash is that of the file");
}

#[test]
fn a_free_batch_is_left_alone() {
    let mut file = read(&model(0)).unwrap();
    let before = file.to_bytes();
    let freed = file.free_batch_dimension().unwrap();
    assert_eq!((freed.fixed_to, freed.reshapes.len()), (None, 0));
    assert_eq!(file.to_bytes(), before);
}

#[test]
fn a_shape_in_a_constant_node_is_freed_too() {
    let mut model = model(1);
    let graph = model.graph.as_mut().unwrap();
    graph.initializer.retain(|t| t.label() != "shape");
    let mut constant = node("Constant", &[], "shape");
    constant.attribute.push(AttributeProto {
        name: Some("value".into()),
        t: Some(integers("", &[1, 48])),
        ..AttributeProto::default()
    });
    graph.node.insert(0, constant);
    let mut file = read(&model).unwrap();
    assert_eq!(file.free_batch_dimension().unwrap().reshapes, ["flat"]);
    let shape = file.graph().node[3].input.get(1);
    assert_eq!(file.constant_integers(shape).unwrap(), [0, 48]);
}

#[test]
fn the_input_is_described_or_refused_in_words() {
    let file = read(&model(1)).unwrap();
    assert_eq!(file.face_size().unwrap(), 4);
    assert_eq!(file.embedding(), Some(48));
    assert_eq!(file.operators()["Reshape"], 2);
    let with_input = |dims: &[i64]| {
        let mut model = model(1);
        model.graph.as_mut().unwrap().input[0] = value("image", dims);
        read(&model).unwrap().face_size().unwrap_err().to_string()
    };
    assert!(with_input(&[1, 4, 4, 3]).contains("[batch, 4, 4, 3]"));
    assert!(with_input(&[1, 3, 0, 0]).contains("[batch, 3, ?, ?]"));
    assert!(with_input(&[1, 48]).contains("2 dimensions"));
    let mut two = model(1);
    let graph = two.graph.as_mut().unwrap();
    graph.input.push(value("mask", &[1]));
    assert!(
        read(&two)
            .unwrap()
            .input()
            .unwrap_err()
            .to_string()
            .contains("2 inputs")
    );
}

#[test]
fn files_that_are_no_onnx_network_are_refused_in_one_sentence() {
    let bytes = model(1).encode_to_vec();
    let mut external = model(1);
    external.graph.as_mut().unwrap().initializer[1].data_location = Some(1);
    let empty = ModelProto {
        ir_version: Some(7),
        ..ModelProto::default()
    };
    let external = external.encode_to_vec();
    let empty = empty.encode_to_vec();
    let cases: [(&[u8], &str); 8] = [
        (&[], "is empty"),
        (&bytes[..bytes.len() / 2], "truncated or damaged"),
        (&bytes[..bytes.len() - 1], "truncated or damaged"),
        (b"<html>404</html>", "HTML"),
        (b"PK\x03\x04....", "zip"),
        (b"\x89PNG\r\n\x1a\n....", "no ONNX network"),
        (&external, "second file"),
        (&empty, "no ONNX graph"),
    ];
    for (bytes, expected) in cases {
        let error = OnnxFile::from_bytes(Path::new("net.onnx"), bytes).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(expected) && text.starts_with("net.onnx: "),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1);
    }
    let missing = OnnxFile::read(Path::new("/nowhere/net.onnx")).unwrap_err();
    assert!(matches!(missing, ModelError::Io { .. }));
}

#[test]
fn mutated_files_never_panic() {
    let bytes = model(1).encode_to_vec();
    for index in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut mutated = bytes.clone();
            mutated[index] ^= flip;
            if let Ok(mut file) = OnnxFile::from_bytes(Path::new("net.onnx"), &mutated) {
                let _ = file.face_size();
                let _ = file.free_batch_dimension();
                let _ = crate::mobilefacenet_from_onnx(&file, &burn::tensor::Device::default());
            }
        }
    }
}

#[test]
fn real_networks_decode_and_encode_without_loss() {
    let Some(teachers) = teachers() else {
        return;
    };
    for (name, size, dim, batch) in [
        ("mobilefacenet.onnx", 112, 512, Some(1)),
        ("dlib_resnet_v1.onnx", 150, 128, None),
    ] {
        let mut file = OnnxFile::read(&teachers.join(name)).unwrap();
        assert_eq!(file.face_size().unwrap(), size);
        assert_eq!(file.embedding(), Some(dim));
        assert_eq!(file.input().unwrap().batch, batch);
        let length = std::fs::metadata(teachers.join(name)).unwrap().len();
        assert_eq!(file.to_bytes().len() as u64, length, "no byte is lost");
        let freed = file.free_batch_dimension().unwrap();
        assert_eq!(freed.reshapes.len(), usize::from(batch.is_some()));
    }
}
