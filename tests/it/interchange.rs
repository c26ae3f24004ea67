//! Networks of other projects come in, ours go out, and the numbers stay.

use std::{fs, path::Path};

use ccface_data::{FaceImage, FaceSource, ImageFolder, Selection};
use ccface_eval::read_matrix;
use ccface_model::{Checkpoint, Prototypes, import_backbone, import_head};
use ccface_train::{
    DeviceSpec,
    encoder::{FaceEncoder, ModuleEncoder, prepare},
};
use serde_json::Value;

use crate::{
    ground::Ground,
    support::{refuse, shared, succeed},
};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        x.iter()
            .zip(y)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn a_published_checkpoint_gives_pytorchs_embeddings_and_its_head() {
    let (Some(weights), Some(golden), Some(data)) = (
        shared("golden/arcface_r18.pt"),
        shared("golden/arcface_r18.json"),
        shared("data/orl_aligned112"),
    ) else {
        return;
    };
    let golden: Value = serde_json::from_str(&fs::read_to_string(golden).unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("r18");
    let shard = |r: usize| weights.with_file_name(format!("softmax_fc_gpu_{r}.pt"));
    let told = succeed(&[
        "teacher",
        "import",
        text(&weights),
        "--head",
        text(&shard(1)),
        text(&shard(0)),
        "--out",
        text(&out),
    ]);
    assert!(
        told.contains("iresnet-18") && told.contains("11 classes"),
        "{told}"
    );
    let device = DeviceSpec::default().resolve().unwrap();
    let encoder = ModuleEncoder::open(&out, &device).unwrap();
    let source = ImageFolder::open(&data, &Selection::All).unwrap();
    let names: Vec<&str> = golden["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_str().unwrap())
        .collect();
    let mut pixels = Vec::new();
    for name in &names {
        let i = (0..source.len())
            .find(|&i| source.name(i) == *name)
            .unwrap();
        prepare(
            &FaceImage::from_rgb8(&source.image(i).unwrap()),
            encoder.input(),
            &mut pixels,
        );
    }
    let rows = encoder.embed_prepared(pixels, names.len()).unwrap();
    for (row, expected) in rows
        .chunks(512)
        .zip(golden["embeddings"].as_array().unwrap())
    {
        let expected: Vec<f32> = serde_json::from_value(expected.clone()).unwrap();
        assert!(cosine(row, &expected) >= 0.999_99);
        let scale = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        for (a, b) in row.iter().zip(&expected) {
            assert!((a - b).abs() <= 1e-3 * b.abs().max(0.01 * scale), "{a} {b}");
        }
    }
    let shards = [
        Checkpoint::open(&shard(0)).unwrap(),
        Checkpoint::open(&shard(1)).unwrap(),
    ];
    let head = import_head(&shards, 512).unwrap();
    let sums: Vec<f64> = serde_json::from_value(golden["head_row_sums"].clone()).unwrap();
    assert_eq!((head.classes, sums.len()), (11, 11));
    for (row, sum) in head.rows.chunks(512).zip(&sums) {
        let found: f64 = row.iter().map(|v| f64::from(*v)).sum();
        assert!((found - sum).abs() < 1e-3, "{found} {sum}");
    }
    let saved = Prototypes::load(&out.join("prototypes.safetensors")).unwrap();
    assert_eq!(saved, head.into_prototypes().unwrap());
}

#[test]
fn a_truncated_checkpoint_ends_in_words_wherever_it_is_cut() {
    let Some(weights) = shared("golden/softmax_fc_gpu_1.pt") else {
        return;
    };
    let whole = fs::read(weights).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("head.pt");
    for cut in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(Checkpoint::open(&path).is_err(), "cut at {cut}");
    }
    for at in (0..whole.len()).step_by(61) {
        let mut bad = whole.clone();
        bad[at] ^= 0x10;
        fs::write(&path, bad).unwrap();
        // Whatever comes out, nothing panics.
        if let Ok(file) = Checkpoint::open(&path) {
            let _ = import_head(&[file], 512);
        }
    }
}

impl Ground {
    /// Faces of four people and a teacher trained on them.
    fn with_four_people() -> Self {
        let ground = Self::with(4, 5, &["pairs.sizes=[8, 32]", "train.epochs=1"]);
        ground.run("train", "teacher", &[]);
        ground
    }

    /// `ccface NAME… ` with these words, of which those that begin with `@` are files here.
    fn ccface(&self, words: &str) -> String {
        succeed(&self.words(words))
    }

    fn words(&self, words: &str) -> Vec<String> {
        words
            .split_whitespace()
            .map(|word| match word.strip_prefix('@') {
                Some(name) => self.text(name),
                None => word.to_string(),
            })
            .collect()
    }

    fn rows(&self, name: &str) -> Vec<f32> {
        read_matrix(self.path(name)).unwrap().data
    }
}

#[test]
fn an_exported_model_comes_back_as_a_teacher_with_its_head_for_a_student() {
    let ground = Ground::with_four_people();
    ground.ccface("export @teacher --out @teacher.safetensors");
    fs::write(ground.path("people.txt"), "p00\np01\np02\np03\n").unwrap();
    let import = "teacher import @teacher.safetensors --head @teacher/model/prototypes.safetensors --identities @people.txt --licence research-only --out @imported";
    let told = ground.ccface(&format!("{import} --dry-run"));
    assert!(
        told.contains("4 classes") && !ground.path("imported").exists(),
        "{told}"
    );
    ground.ccface(import);
    assert!(refuse(&ground.words(import)).contains("--overwrite"));
    for model in ["teacher", "imported"] {
        ground.ccface(&format!("embed @{model} --data @faces --out @{model}.npy"));
    }
    for (a, b) in ground
        .rows("teacher.npy")
        .iter()
        .zip(ground.rows("imported.npy"))
    {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    ground.ccface("evaluate faces @imported --data @faces --sizes 8,32");
    ground.run(
        "distill",
        "student",
        &[
            &format!("teacher.path={}", ground.text("imported")),
            "teacher.prototypes=inherited",
        ],
    );
    let card = fs::read_to_string(ground.path("student/model/model.json")).unwrap();
    let card: Value = serde_json::from_str(&card).unwrap();
    assert!(
        card["licence"].as_str().unwrap().contains("research-only"),
        "{}",
        card["licence"]
    );
    let heads = ["imported", "student/model"]
        .map(|place| Prototypes::load(&ground.path(place).join("prototypes.safetensors")).unwrap());
    assert_eq!(heads[0].data, heads[1].data);
    // A card that is not of these weights is refused by field.
    let place = ground.path("imported/model.json");
    let good: Value = serde_json::from_str(&fs::read_to_string(&place).unwrap()).unwrap();
    type Edit = fn(&mut Value);
    let edits: [(&str, Edit); 3] = [
        ("input.size", |card| card["input"]["size"] = 48.into()),
        ("embedding.dim", |card| card["embedding"]["dim"] = 8.into()),
        ("weights.blake3", |card| {
            card["weights"]["blake3"] = "00".into();
        }),
    ];
    for (field, edit) in edits {
        let mut card = good.clone();
        edit(&mut card);
        fs::write(&place, card.to_string()).unwrap();
        let message = refuse(&ground.words("embed @imported --data @faces --out @no.npy"));
        assert!(message.contains(field), "{message}");
    }
}

#[test]
fn onnx_and_parts_and_a_mirror_give_the_rows_they_should() {
    let ground = Ground::with_four_people();
    ground.ccface("embed @teacher --data @faces --out @a.npy --unit-norm");
    let rows = ground.rows("a.npy");
    for fold in ["", "--fold-batch-norm"] {
        ground.ccface(&format!("export @teacher --out @net.onnx {fold}"));
        // What it expects stands in the file: wrong flags for an unknown ONNX file change nothing.
        ground.ccface("embed @net.onnx --colour bgr --std 1 --data @faces --out @b.npy --unit-norm --overwrite");
        for (a, b) in rows.chunks(16).zip(ground.rows("b.npy").chunks(16)) {
            assert!(cosine(a, b) >= 0.999_99, "{fold}: {}", cosine(a, b));
        }
    }
    for part in ["0/3", "1/3", "2/3"] {
        let name = format!("part{}.safetensors", &part[..1]);
        ground.ccface(&format!(
            "embed @teacher --data @faces --unit-norm --shard {part} --out @{name}"
        ));
    }
    ground.ccface(
        "embed --merge @part2.safetensors @part0.safetensors @part1.safetensors --out @whole.npy",
    );
    for (a, b) in rows.iter().zip(ground.rows("whole.npy")) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    let names = |name: &str| fs::read_to_string(ground.path(name)).unwrap();
    assert_eq!(names("a.names.txt"), names("whole.names.txt"));
    assert!(names("a.names.txt").starts_with("p00/00.png\n"));
    assert!(
        refuse(&ground.words("embed @teacher --data @faces --out @c.npy --shard 3/3"))
            .contains("0/4")
    );
    let table = ground.ccface("evaluate embeddings --probe @a.npy --probe-labels @a.labels.txt");
    assert!(table.contains("EER") || table.contains("eer"), "{table}");
    ground.ccface("embed @teacher --data @faces --out @flip.npy --flip sum --unit-norm");
    assert_ne!(rows, ground.rows("flip.npy"));
}

#[test]
fn a_network_in_8_bits_stays_near_the_one_in_floats() {
    let ground = Ground::with_four_people();
    ground.ccface("embed @teacher --data @faces --out @a.npy");
    let told = ground.ccface(
        "export @teacher --out @q.onnx --int8 @faces --images 8 --sizes 8,32 --evaluate @faces",
    );
    assert!(told.contains("8 bits") && told.contains("float"), "{told}");
    ground.ccface("embed @q.onnx --data @faces --out @q.npy");
    let (a, q) = (ground.rows("a.npy"), ground.rows("q.npy"));
    assert_ne!(a, q);
    for (a, q) in a.chunks(16).zip(q.chunks(16)) {
        assert!(cosine(a, q) > 0.97, "{}", cosine(a, q));
    }
    let size = |name: &str| fs::metadata(ground.path(name)).unwrap().len();
    ground.ccface("export @teacher --out @f.onnx --fold-batch-norm");
    assert!(size("q.onnx") < size("f.onnx"));
    assert!(
        refuse(&ground.words("export @teacher --out @x.safetensors --int8 @faces"))
            .contains("onnx")
    );
    let told = ground.ccface("model mobilefacenet --input 32 --width 8 --latency");
    assert!(told.contains("median ms"), "{told}");
}

#[test]
fn hostile_and_mistaken_files_are_refused_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let import = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        refuse(&[
            "teacher",
            "import",
            text(&path),
            "--out",
            text(&dir.path().join("out")),
        ])
    };
    let call = b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.";
    assert!(import("a.pth", call).contains("posix.system"));
    assert!(import("b.pth", b"<!DOCTYPE html><html></html>").contains("HTML"));
    assert!(import("c.pt", b"PK\x03\x04 and nothing more").contains("truncated"));
    let huge = [&(1u64 << 30).to_le_bytes()[..], b"{\"a\": 1}"].concat();
    assert!(import("d.safetensors", &huge).contains("1073741824"));
    assert!(!dir.path().join("out").exists());
    let device = DeviceSpec::default().resolve().unwrap();
    if let Some(head) = shared("golden/softmax_fc_gpu_0.pt") {
        let error = import_backbone(&Checkpoint::open(&head).unwrap(), None, &device).unwrap_err();
        assert!(error.to_string().contains("weight: [6, 512]"), "{error}");
    }
}
