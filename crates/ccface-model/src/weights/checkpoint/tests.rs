#![allow(clippy::unwrap_used)]

use std::fs;

use super::*;

/// Opens these bytes under this name and gives the refusal.
fn refused(name: &str, bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    let error = Checkpoint::open(&path).unwrap_err();
    assert!(matches!(error, ModelError::WeightFile { .. }), "{error}");
    error.to_string()
}

/// A safetensors file with these tensors of zeros and this type.
fn safetensors(tensors: &[(&str, &str, &[usize], usize)]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, dtype, shape, width) in tensors {
        let bytes = shape.iter().product::<usize>() * width;
        header.insert(
            (*name).into(),
            serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [end, end + bytes]}),
        );
        end += bytes;
    }
    let header = serde_json::Value::from(header).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + end, 0);
    bytes
}

#[test]
fn a_pickle_that_calls_a_system_function_is_refused_by_name() {
    // pickle.dumps of an object whose __reduce__ is (os.system, ("true",)), bare, and inside a dictionary.
    let call = b"cposix\nsystem\nX\x04\x00\x00\x00true\x85R";
    let bare = [b"\x80\x02".as_slice(), call, b"."].concat();
    let inside = [b"\x80\x02}X\x01\x00\x00\x00a".as_slice(), call, b"s."].concat();
    let eval = b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.";
    for (bytes, name) in [
        (bare.as_slice(), "posix.system"),
        (&inside, "posix.system"),
        (eval, "builtins.eval"),
    ] {
        let message = refused("model.pth", bytes);
        assert!(
            message.contains(name) && message.contains("nothing was run"),
            "{message}"
        );
    }
}

#[test]
fn what_is_no_weight_file_is_refused_in_words() {
    let page = b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title></html>";
    assert!(refused("model.pth", page).contains("HTML"));
    assert!(refused("model.pth", b"").contains("empty"));
    assert!(
        refused("model.pth", b"PK\x03\x04\x00\x00\x08\x08 half an archive").contains("truncated")
    );
    assert!(refused("model.pth", b"dear diary, today").contains("no weight file"));
    assert!(refused("model.ckpt", b"\x80\x02}q\x00.").contains("no tensor"));
    assert!(refused("model.ckpt", b"\x80\x02}q\x00").contains("middle"));
    let module = b"\x80\x02cmodels.net\nBackbone\n)\x81.";
    assert!(refused("model.ckpt", module).contains("state_dict"));
}

#[test]
fn an_absurd_size_is_refused_before_memory_is_asked_for() {
    let mut huge = (1u64 << 30).to_le_bytes().to_vec();
    huge.extend(b"{\"a\":1}");
    for name in ["model.safetensors", "model.pth"] {
        assert!(refused(name, &huge).contains("1073741824"));
    }
    // A pickle that announces a text of 4 GB.
    let text = b"\x80\x02X\xff\xff\xff\xffabc";
    assert!(refused("model.pth", text).contains("middle"));
    let shape = [1usize << 40, 1 << 20];
    let mut wide = safetensors(&[("a", "F32", &[1], 4)]);
    let text = String::from_utf8(wide[8..wide.len() - 4].to_vec()).unwrap();
    let text = text.replace("[1]", &format!("{shape:?}"));
    wide = (text.len() as u64).to_le_bytes().to_vec();
    wide.extend(text.as_bytes());
    wide.extend([0; 4]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.safetensors");
    fs::write(&path, wide).unwrap();
    let error = Checkpoint::open(&path).unwrap().values("a").unwrap_err();
    assert!(
        error.to_string().contains("larger than the whole file"),
        "{error}"
    );
}

#[test]
fn every_truncation_and_many_mutations_end_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.pth");
    let pickle =
        b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x01X\x01\x00\x00\x00bq\x02]q\x03(K\x02K\x03eu."
            .to_vec();
    for whole in [
        pickle,
        safetensors(&[("a", "F16", &[2, 2], 2), ("b", "I64", &[1], 8)]),
    ] {
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(Checkpoint::open(&path).is_err());
            for bit in [0, 3, 7] {
                let mut bad = whole.clone();
                bad[cut] ^= 1 << bit;
                fs::write(&path, bad).unwrap();
                if let Ok(checkpoint) = Checkpoint::open(&path) {
                    let names: Vec<String> =
                        checkpoint.tensors().map(|(n, _)| n.to_string()).collect();
                    names.iter().for_each(|name| drop(checkpoint.values(name)));
                }
            }
        }
    }
}

#[test]
fn floats_of_every_width_become_singles_and_integers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.safetensors");
    let mut bytes = safetensors(&[
        ("bf16", "BF16", &[1], 2),
        ("f16", "F16", &[1], 2),
        ("f32", "F32", &[1], 4),
        ("f64", "F64", &[1], 8),
        ("i64", "I64", &[1], 8),
    ]);
    let data = bytes.len() - 24;
    let numbers = [
        bf16::from_f32(1.5).to_le_bytes().to_vec(),
        f16::from_f32(1.5).to_le_bytes().to_vec(),
        1.5f32.to_le_bytes().to_vec(),
        1.5f64.to_le_bytes().to_vec(),
    ]
    .concat();
    bytes[data..data + 16].copy_from_slice(&numbers);
    fs::write(&path, &bytes).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    for name in ["bf16", "f16", "f32", "f64"] {
        assert_eq!(checkpoint.values(name).unwrap(), [1.5], "{name}");
    }
    assert!(checkpoint.values("i64").is_err());
    assert!(checkpoint.values("absent").is_err());
    bytes[data + 4..data + 8].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let error = Checkpoint::open(&path).unwrap().values("f32").unwrap_err();
    assert!(error.to_string().contains("NaN"), "{error}");
}
