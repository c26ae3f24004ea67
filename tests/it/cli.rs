//! What a user can do wrong, and what the program says: one clear line, exit code 2, no panic.

use std::{fs, path::Path};

use crate::support::{ccface, folder, refuse, root, shared, succeed};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `distill` on a folder and a teacher, with its output thrown away.
fn distill(data: &str, teacher: &str) -> String {
    let out = tempfile::tempdir().unwrap();
    let run = out.path().join("run");
    let message = refuse(&[
        "distill",
        "--out",
        text(&run),
        "--set",
        &format!("data.path={data}"),
        "--set",
        &format!("teacher.path={teacher}"),
    ]);
    assert!(!run.exists(), "a refused run leaves nothing behind");
    message
}

#[test]
fn a_missing_folder_names_the_path_and_the_way_out() {
    let message = distill("/nowhere/faces", "/nowhere/teacher.onnx");
    assert!(
        message.contains("/nowhere/faces") && message.contains("data.path"),
        "{message}"
    );
}

#[test]
fn a_missing_teacher_names_its_key() {
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path(), 2, 2, 32);
    let message = distill(text(dir.path()), "/nowhere/teacher.onnx");
    assert!(message.contains("teacher.path"), "{message}");
}

#[test]
fn an_empty_identity_is_named() {
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path(), 2, 2, 32);
    fs::create_dir(dir.path().join("p99")).unwrap();
    assert!(distill(text(dir.path()), "x.onnx").contains("p99"));
}

#[test]
fn a_one_image_identity_is_told_where_pairs_are_needed() {
    let Some(teacher) = shared("teachers/mobilefacenet.onnx") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path(), 2, 1, 112);
    let message = refuse(&[
        "evaluate",
        "faces",
        text(&teacher),
        "--data",
        text(dir.path()),
        "--sizes",
        "16",
    ]);
    assert!(message.to_lowercase().contains("genuine"), "{message}");
}

#[test]
fn an_unreadable_image_and_a_file_that_is_no_image_are_named() {
    let Some(teacher) = shared("teachers/mobilefacenet.onnx") else {
        return;
    };
    for (name, content) in [
        ("broken.png", b"\x89PNG\r\n\x1a\n half".as_slice()),
        ("notes.png", b"dear diary".as_slice()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        folder(dir.path(), 2, 2, 112);
        fs::write(dir.path().join("p01").join(name), content).unwrap();
        let message = refuse(&[
            "evaluate",
            "faces",
            text(&teacher),
            "--data",
            text(dir.path()),
            "--sizes",
            "16",
        ]);
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn thresholds_for_single_images_are_not_taken_from_joined_or_masked_ones() {
    for [flag, value] in [["--flip", "sum"], ["--mask", "oval"]] {
        let message = refuse(&[
            "evaluate",
            "faces",
            "model",
            "--data",
            "faces",
            flag,
            value,
            "--write-card",
            "0.01",
        ]);
        assert!(message.contains("leave out --flip and --mask"), "{message}");
    }
}

#[test]
fn an_unknown_device_is_answered_with_the_nearest_name() {
    let out = tempfile::tempdir().unwrap();
    let message = refuse(&[
        "distill",
        "--out",
        text(&out.path().join("r")),
        "--device",
        "wgpuu",
    ]);
    assert!(message.contains("Did you mean `wgpu`?"), "{message}");
}

#[test]
fn a_device_that_is_not_compiled_in_names_its_feature() {
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path(), 2, 2, 32);
    let message = refuse(&[
        "train",
        "--out",
        text(&dir.path().join("run")),
        "--device",
        "rocm",
        "--set",
        &format!("data.path={}", text(dir.path())),
        "--set",
        "student.start=scratch",
    ]);
    assert!(message.contains("--features rocm"), "{message}");
}

#[test]
fn an_onnx_file_of_another_shape_or_cut_short_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path(), 2, 2, 112);
    let cut = dir.path().join("cut.onnx");
    let html = dir.path().join("page.onnx");
    fs::write(&html, "<!DOCTYPE html><html><body>404</body></html>").unwrap();
    let check = |file: &Path| {
        refuse(&[
            "evaluate",
            "faces",
            text(file),
            "--data",
            text(dir.path()),
            "--sizes",
            "16",
        ])
    };
    assert!(check(&html).contains("page.onnx"));
    let Some(teacher) = shared("teachers/mobilefacenet.onnx") else {
        return;
    };
    let bytes = fs::read(teacher).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    assert!(check(&cut).contains("cut.onnx"));
    // The other teacher is a ResNet: it runs, but it is no start for a MobileFaceNet student.
    let Some(resnet) = shared("teachers/dlib_resnet_v1.onnx") else {
        return;
    };
    let message = distill(text(dir.path()), text(&resnet));
    assert!(message.contains("dlib_resnet_v1.onnx"), "{message}");
}

#[test]
fn a_configuration_with_several_mistakes_lists_them_all() {
    let out = tempfile::tempdir().unwrap();
    let message = refuse(&[
        "distill",
        "--out",
        text(&out.path().join("r")),
        "--set",
        "train.epochs=0",
        "--set",
        "optimiser.learning_rate=-1",
        "--set",
        "objective.scale=0",
    ]);
    for key in [
        "train.epochs",
        "optimiser.learning_rate",
        "objective",
        "data.path",
    ] {
        assert!(message.contains(key), "{key} is not in: {message}");
    }
}

#[test]
fn unknown_keys_and_options_are_answered_with_the_nearest() {
    let out = tempfile::tempdir().unwrap();
    let run = out.path().join("r");
    let message = refuse(&["distill", "--out", text(&run), "--set", "train.epoch=3"]);
    assert!(message.contains("Did you mean `epochs`?"), "{message}");
    assert!(refuse(&["evaluate", "face", "x"]).contains("faces"));
    assert!(refuse(&["model", "iresnet5o"]).contains("iresnet50"));
}

#[test]
fn every_configuration_in_the_repository_is_valid() {
    for entry in fs::read_dir(root().join("configs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let config = ccface_train::ConfigSource {
                file: Some(path.clone()),
                text: None,
                set: Vec::new(),
            };
            let config = config.load().unwrap_or_else(|e| panic!("{e}"));
            let task = if path.to_str().unwrap().contains("control")
                || path.to_str().unwrap().contains("teacher")
            {
                ccface_train::Task::Train
            } else {
                ccface_train::Task::Distill
            };
            config
                .validate(task, text(&path))
                .unwrap_or_else(|e| panic!("{e}"));
        }
    }
}

#[test]
fn configurations_are_checked_shown_and_compared() {
    let path = root().join("configs/orl.toml");
    let checked = succeed(&["config", "check", text(&path)]);
    assert!(checked.contains("good for distill"), "{checked}");
    let shown = succeed(&["config", "show", text(&path), "--set", "train.batch=7"]);
    assert!(
        shown.contains("batch = 7") && shown.contains("every_minutes = 10.0"),
        "{shown}"
    );
    // What is shown is a configuration that differs in that one value.
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy.toml");
    fs::write(&copy, shown).unwrap();
    let difference = succeed(&["config", "diff", text(&path), text(&copy)]);
    assert_eq!(difference, "train.batch: 40 → 7\n");
    let message = refuse(&[
        "config",
        "check",
        text(&path),
        "--set",
        "train.epochs=0",
        "--set",
        "guard.rollback_rate=2",
    ]);
    assert!(
        message.contains("train.epochs") && message.contains("guard.rollback_rate"),
        "{message}"
    );
}

#[test]
fn a_part_that_no_network_has_is_answered_with_those_it_has() {
    let dir = tempfile::tempdir().unwrap();
    folder(&dir.path().join("faces"), 2, 2, 32);
    let message = refuse(&[
        "train",
        "--out",
        text(&dir.path().join("run")),
        "--set",
        &format!("data.path={}", dir.path().join("faces").display()),
        "--set",
        "student.start=scratch",
        "--set",
        "student.freeze=[\"layr1\"]",
        "--set",
        "student.freeze_epochs=1",
    ]);
    assert!(
        message.contains("layr1") && message.contains("layer1"),
        "{message}"
    );
}

#[test]
fn model_prints_the_literatures_counts() {
    let table = succeed(&["model"]);
    let row = table
        .lines()
        .find(|line| line.to_lowercase().contains("iresnet-50"))
        .unwrap();
    assert!(row.contains("43.5") || row.contains("43.6"), "{row}");
    assert!(row.contains("6.3"), "{row}");
}

#[test]
fn help_goes_to_standard_output_and_succeeds() {
    let output = ccface(&["--help"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("distill"));
}
