//! The whole way on tiny networks: a teacher is trained, a student distilled, both evaluated.

use std::{fs, path::Path};

use ccface_train::{DeviceSpec, card_evaluation::CardEvaluation};
use serde_json::Value;

use crate::{
    ground::{Ground, loss, steps},
    support::{ccface, succeed},
};

#[test]
fn teacher_student_evaluation_and_report() {
    let ground = Ground::new();
    ground.teacher();
    let run = ground.distill("student", &[]);
    for file in [
        "config.toml",
        "run.json",
        "metrics.jsonl",
        "model/model.safetensors",
        "model/model.json",
        "model/prototypes.safetensors",
    ] {
        assert!(run.join(file).is_file(), "{file} is missing");
    }
    let record: Value =
        serde_json::from_str(&fs::read_to_string(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["state"], "finished");
    assert_eq!(record["steps"], 6);
    let first = &steps(&run)[0];
    for name in [
        "classification_consistency",
        "cross_resolution",
        "embedding_consistency",
        "margin_mean",
        "margin_spread",
        "push_share",
        "lr_accuracy",
    ] {
        assert!(first[name].is_number(), "{name} is not in the stream");
    }
    let json = succeed(&[
        "evaluate",
        "faces",
        run.to_str().unwrap(),
        "--data",
        &ground.text("faces"),
        "--identities",
        "p04..p05",
        "--sizes",
        "8,32",
        "--flip",
        "sum",
        "--against",
        run.to_str().unwrap(),
        "--json",
        "-",
    ]);
    let result: Value = serde_json::from_str(&json).unwrap();
    let fusion = result["protocol"]["fusion"].as_str().unwrap();
    assert!(fusion.starts_with("sum"), "{fusion}");
    // Against itself a network differs in nothing.
    for row in result["against"]["sizes"].as_array().unwrap() {
        assert_eq!(
            (row["difference"].as_f64(), row["only_a"].as_u64()),
            (Some(0.0), Some(0))
        );
        assert_eq!(row["holm_p"].as_f64(), Some(1.0));
    }
    for pairing in [
        "student-student",
        "teacher-teacher",
        "student-teacher",
        "lr-lr",
    ] {
        for size in ["8", "32"] {
            let eer = result["pairings"][pairing][size]["eer"].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&eer), "{pairing} {size}: {eer}");
        }
    }
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("<html") && !page.contains("src=\"http"));

    // Thresholds for the card: of people that were not trained on, in the JSON's figures, without touching the weights.
    let card = |identities: &str, far: &str| {
        let (run, faces) = (run.to_str().unwrap(), ground.text("faces"));
        let line = format!(
            "evaluate faces {run} --data {faces} --identities {identities} --sizes 8,32 --write-card {far}"
        );
        ccface(&line.split(' ').collect::<Vec<_>>())
    };
    for (identities, far, reason) in [
        (
            "p03..p05",
            "0.01",
            "1 of the 3 people are ones this run was trained on (p03",
        ),
        (
            "p04..p05",
            "0.0001",
            "needs at least 10000 impostor comparisons",
        ),
        ("p04..p05", "1.5", "between 0 and 1"),
    ] {
        let output = card(identities, far);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(reason), "{told}");
    }
    assert!(card("p04..p05", "0.05").status.success());
    let (backbone, written) = ccface_model::load_model(
        &run.join("model"),
        &DeviceSpec::default().resolve().unwrap(),
    )
    .unwrap();
    drop(backbone);
    let summary: CardEvaluation = serde_json::from_value(written.evaluation.unwrap()).unwrap();
    assert_eq!((summary.far, summary.identities), (0.05, 2));
    for (row, size) in summary.sizes.iter().zip([8, 32]) {
        assert_eq!(row.size, size);
        assert_eq!(written.thresholds[&size], row.at.threshold);
        assert!(row.at.fmr <= 0.05);
        let eer = &result["pairings"]["student-student"][size.to_string()]["eer"];
        assert_eq!(eer.as_f64(), Some(row.eer));
    }
}

#[test]
fn a_student_that_starts_as_its_teacher_reproduces_it_before_training() {
    let ground = Ground::new();
    ground.teacher();
    // A learning rate of almost nothing: the student stays what it started as.
    let run = ground.distill(
        "student",
        &[
            "student.start=teacher",
            "optimiser.learning_rate=1e-30",
            "train.epochs=1",
        ],
    );
    let json = succeed(&[
        "evaluate",
        "faces",
        run.to_str().unwrap(),
        "--data",
        &ground.text("faces"),
        "--sizes",
        "32",
        "--json",
        "-",
    ]);
    let result: Value = serde_json::from_str(&json).unwrap();
    let eer = |pairing: &str| result["pairings"][pairing]["32"]["eer"].as_f64().unwrap();
    assert!((eer("student-student") - eer("teacher-teacher")).abs() < 0.02);
}

#[test]
fn every_variant_of_an_image_is_embedded_by_the_teacher_and_trained_on() {
    let ground = Ground::new();
    ground.teacher();
    let moved = "data.variants={ count = 3, shift = 0.05 }";
    let cached = || {
        let cache = ground.path("teacher-cache");
        let file = fs::read_dir(cache).unwrap().next().unwrap().unwrap();
        fs::metadata(file.path()).unwrap().len()
    };
    let plain = ground.distill("plain", &[]);
    let before = cached();
    let run = ground.distill("varied", &[moved]);
    // A hash and two embeddings of 16 numbers for each of the 24 images, moved twice.
    assert_eq!(cached() - before, 48 * (32 + 2 * 16 * 4));
    let workers = ground.distill("workers", &[moved, "train.workers=3"]);
    assert_eq!(steps(&run).len(), 3 * steps(&plain).len());
    assert_eq!(steps(&run), steps(&workers));
    let record = |run: &Path| fs::read_to_string(run.join("run.json")).unwrap();
    let hash = |run: &Path| {
        let record: Value = serde_json::from_str(&record(run)).unwrap();
        record["data_hash"].as_str().unwrap().to_owned()
    };
    assert_eq!(hash(&plain), hash(&run));
}

#[test]
fn equal_runs_write_equal_metrics_with_any_number_of_workers() {
    let ground = Ground::new();
    ground.teacher();
    let stream = |out: &str, workers: usize| {
        let run = ground.distill(out, &[&format!("train.workers={workers}")]);
        fs::read(run.join("metrics.jsonl")).unwrap()
    };
    let first = stream("a", 1);
    assert!(!first.is_empty());
    for (out, workers) in [("b", 1), ("c", 0), ("d", 2), ("e", 4)] {
        assert!(
            stream(out, workers) == first,
            "{workers} workers write other metrics"
        );
    }
    let other = ground.distill("f", &["seed=4"]);
    assert!(
        fs::read(other.join("metrics.jsonl")).unwrap() != first,
        "another seed is another run"
    );
}

#[test]
fn what_is_written_for_watchers_changes_neither_metrics_nor_model() {
    let ground = Ground::new();
    ground.teacher();
    let watched = ground.distill("watched", &["log.samples=2"]);
    let alone = ground.distill("alone", &["log.samples=0", "log.tensorboard=false"]);
    for file in ["metrics.jsonl", "model/model.safetensors"] {
        let read = |run: &Path| fs::read(run.join(file)).unwrap();
        assert!(read(&watched) == read(&alone), "{file} differs");
    }
    assert!(!alone.join("tensorboard").exists() && !alone.join("samples").exists());
    let hash = |run: &Path| {
        let text = fs::read_to_string(run.join("run.json")).unwrap();
        let record: Value = serde_json::from_str(&text).unwrap();
        record["config_hash"].clone()
    };
    assert_eq!(hash(&watched), hash(&alone));
    assert!(ccface_train::tensorboard::has_events(
        &watched.join("tensorboard")
    ));
    let scores = fs::read_to_string(watched.join("samples/scores.jsonl")).unwrap();
    let lines: Vec<Value> = scores
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // A validation after each of the two epochs; two people at one size, seen by both networks.
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["people"].as_array().unwrap().len(), 2);
    let view = &lines[1]["people"][1]["views"][0];
    assert_eq!(view["size"], 8);
    for network in ["student", "teacher"] {
        let same = view[network]["same"].as_f64().unwrap();
        assert!((-1.0001..=1.0001).contains(&same), "{network}: {same}");
    }
    // The teacher does not learn.
    assert_eq!(
        view["teacher"],
        lines[0]["people"][1]["views"][0]["teacher"]
    );
    let picture = watched
        .join("samples")
        .join(view["picture"].as_str().unwrap());
    assert_eq!(image::open(picture).unwrap().width(), 32);
}

#[test]
fn the_average_of_the_weights_is_what_is_saved_and_no_step_knows_of_it() {
    let ground = Ground::new();
    ground.teacher();
    let run = |out: &str, set: &[&str]| {
        let run = ground.distill(out, set);
        let steps: Vec<String> = steps(&run).iter().map(ToString::to_string).collect();
        (
            steps,
            fs::read(run.join("model/model.safetensors")).unwrap(),
        )
    };
    let plain = run("plain", &[]);
    for (out, setting) in [
        ("moving", "train.average=0.9"),
        ("tail", "train.average_tail=0.5"),
    ] {
        let averaged = run(out, &[setting]);
        assert!(plain.0 == averaged.0, "{setting} changed a step");
        assert!(
            plain.1 != averaged.1,
            "{setting}: the saved weights are no average"
        );
        assert_eq!(plain.1.len(), averaged.1.len());
    }
    // Members begin anew: the first one's steps are those of a run as long as it, the second one's first loss is as high.
    let alone = ground.distill("alone", &["train.epochs=1"]);
    let members = ground.distill("members", &["train.epochs=1", "train.members=2"]);
    let (alone, both) = (steps(&alone), steps(&members));
    assert_eq!(alone[..], both[..alone.len()]);
    assert_eq!(both.len(), 2 * alone.len());
    let rates = |steps: &[Value]| -> Vec<f64> {
        steps
            .iter()
            .map(|s| s["learning_rate"].as_f64().unwrap())
            .collect()
    };
    assert_eq!(rates(&alone), rates(&both[alone.len()..]));
    let saved = fs::read(members.join("model/model.safetensors")).unwrap();
    assert_eq!(saved.len(), plain.1.len());
    // The tail of one step is the last network itself.
    assert!(plain == run("last", &["train.average_tail=0.1"]));
}

#[test]
fn records_and_manifests_train_as_the_folder_they_were_made_from() {
    let ground = Ground::new();
    let stream = |out: &str, set: &[&str]| {
        fs::read(ground.run("train", out, set).join("metrics.jsonl")).unwrap()
    };
    let folder = stream("folder", &["data.identities=p00..p03"]);
    let mut rows = "path,identity,split\n".to_string();
    for person in 0..6 {
        let name = format!("p{person:02}");
        let mut files: Vec<String> = fs::read_dir(ground.path("faces").join(&name))
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let split = if person < 4 { "train" } else { "test" };
        for file in files {
            rows += &format!("faces/{name}/{file},{name},{split}\n");
        }
    }
    fs::write(ground.path("list.csv"), rows).unwrap();
    let list = format!("data.path={}", ground.text("list.csv"));
    assert!(folder == stream("manifest", &[&list, "data.split=train"]));
    succeed(&[
        "data".to_string(),
        "convert".into(),
        ground.text("faces"),
        "--out".into(),
        ground.text("train.rec"),
    ]);
    let records = format!("data.path={}", ground.text("train.rec"));
    assert!(folder == stream("records", &[&records, "data.identities=0..3"]));
}

/// All numbers of a safetensors file, in the file's order.
fn weights(run: &Path) -> Vec<f32> {
    let bytes = fs::read(run.join("model/model.safetensors")).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let numbers = bytes[8 + header..].chunks_exact(4);
    numbers
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

#[test]
fn a_share_of_the_starting_weights_is_mixed_into_what_is_saved() {
    let ground = Ground::new();
    let teacher = ground.teacher();
    let start = "student.start=teacher";
    let trained = ground.distill("plain", &[start]);
    let mixed = ground.distill("mixed", &[start, "student.start_share=0.25"]);
    assert!(steps(&trained) == steps(&mixed), "mixing changed a step");
    let (start, end) = (weights(&teacher), weights(&trained));
    assert!(start.len() == end.len() && start != end);
    for ((a, b), found) in start.iter().zip(&end).zip(weights(&mixed)) {
        let wanted = 0.25 * a + 0.75 * b;
        assert!(
            (found - wanted).abs() <= 1e-5 * wanted.abs().max(1.0),
            "{found} is not {wanted}"
        );
    }
}

#[test]
fn a_student_goes_on_from_a_run_as_from_its_teacher() {
    let ground = Ground::new();
    let teacher = ground.teacher();
    let stream = |out: &str, start: &str| {
        let run = ground.distill(out, &[&format!("student.start={start}"), "train.epochs=1"]);
        fs::read(run.join("metrics.jsonl")).unwrap()
    };
    let from_teacher = stream("a", "teacher");
    assert!(from_teacher == stream("b", teacher.to_str().unwrap()));
    assert!(from_teacher != stream("c", "scratch"));
}

#[test]
fn schedules_change_what_they_say_and_nothing_before_it() {
    let ground = Ground::new();
    ground.teacher();
    let losses = |out: &str, set: &[&str]| {
        let run = ground.distill(out, set);
        steps(&run).iter().map(loss).collect::<Vec<_>>()
    };
    let plain = losses("plain", &[]);
    // Only the largest faces at first, all of them in the second epoch.
    let eased = losses("eased", &["pairs.curriculum_epochs=1"]);
    assert_ne!(plain[0], eased[0]);
    // Frozen parts change no loss before the first update.
    let frozen = losses(
        "frozen",
        &[
            "student.freeze=[\"layer1\", \"layer2\"]",
            "student.freeze_epochs=1",
        ],
    );
    assert_ne!(plain[1], frozen[1]);
    // Two batches behind each update: half the steps.
    let accumulated = losses("accumulated", &["train.accumulate=2"]);
    assert_eq!((plain.len(), accumulated.len()), (6, 4));
}

#[test]
fn every_option_of_the_objective_trains() {
    let ground = Ground::new();
    ground.teacher();
    for (out, set) in [
        ("lr", vec!["objective.difficulty=teacher_lr"]),
        (
            "loo",
            vec![
                "objective.difficulty=teacher_hr",
                "teacher.prototypes=leave_one_out",
                "objective.standardise_score=true",
            ],
        ),
        (
            "shuffled",
            vec![
                "objective.difficulty=minimum",
                "objective.shuffle_margins=true",
            ],
        ),
        (
            "queue",
            vec![
                "objective.queue=12",
                "contrast.keys=momentum",
                "objective.push=0.5",
                "objective.logit=0.1",
            ],
        ),
        ("refit", vec!["teacher.prototypes=refit"]),
        (
            "inherited",
            vec!["teacher.prototypes=inherited", "teacher.flip=never"],
        ),
        ("other_length", vec!["student.backbone.embedding=24"]),
        (
            "adamw",
            vec![
                "optimiser.kind=adamw",
                "optimiser.schedule=polynomial",
                "optimiser.warmup_epochs=1",
            ],
        ),
    ] {
        let mut set = set;
        set.push("train.epochs=1");
        let run = ground.distill(out, &set);
        assert!(
            steps(&run).iter().all(|step| loss(step).is_finite()),
            "{out}"
        );
    }
    for head in ["cosface", "adaface"] {
        let loss_of = format!("head.loss={{ kind = \"{head}\", scale = 16.0, margin = 0.2 }}");
        let run = ground.run(
            "train",
            head,
            &[&loss_of, "train.epochs=1", "head.margin_warmup_epochs=0.5"],
        );
        assert!(
            steps(&run).iter().all(|step| loss(step).is_finite()),
            "{head}"
        );
    }
}

#[test]
fn a_learning_rate_that_explodes_is_stopped_with_the_samples_named() {
    let ground = Ground::new();
    let args = [
        "train",
        "--config",
        &ground.text("tiny.toml"),
        "--out",
        &ground.text("exploded"),
        "--set",
        &format!("data.path={}", ground.text("faces")),
        "--set",
        "optimiser.learning_rate=1e30",
        "--set",
        "optimiser.clip_norm=0",
    ];
    let output = ccface(&args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(
        errors.contains("not finite") && errors.contains(".png"),
        "{errors}"
    );
    let record = fs::read_to_string(ground.path("exploded").join("run.json")).unwrap();
    assert!(record.contains("\"failed\""));
}

/// One real distillation step on software Vulkan agrees with flex.
#[cfg(feature = "wgpu")]
#[test]
fn a_distillation_step_on_wgpu_agrees_with_flex() {
    let spec = ccface_train::DeviceSpec {
        backend: ccface_train::Backend::Wgpu,
        index: None,
    };
    if let Err(error) = spec.resolve() {
        println!("skipped: {error}");
        return;
    }
    let ground = Ground::new();
    ground.teacher();
    let run = |device: &str| {
        let set = [
            format!("device={device}"),
            "train.epochs=1".into(),
            "validation.identities=".into(),
        ];
        steps(&ground.distill(device, &set.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let (flex, wgpu) = (run("flex"), run("wgpu"));
    assert_eq!(flex.len(), wgpu.len());
    for (a, b) in flex.iter().zip(&wgpu) {
        for name in [
            "loss",
            "classification_consistency",
            "cross_resolution",
            "embedding_consistency",
            "gradient_norm",
        ] {
            let (a, b) = (a[name].as_f64().unwrap(), b[name].as_f64().unwrap());
            assert!(
                (a - b).abs() <= 1e-3 * a.abs().max(1.0),
                "{name}: flex {a}, wgpu {b}"
            );
        }
    }
}
