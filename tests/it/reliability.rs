//! Runs that are stopped, killed and damaged, and go on as if nothing had been.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{ground::Ground, support::success};

/// An average to be kept, a checkpoint after every step, and other people to validate on.
const SETTINGS: &[&str] = &[
    "seed=5",
    "head.loss={ kind = \"adaface\", scale = 16.0, margin = 0.2 }",
    "train.average=0.9",
    "checkpoint.every_steps=1",
    "checkpoint.keep=1000",
    "data.identities=p00..p03",
    "validation.identities=p04..p05",
    "validation.sizes=[8]",
];

/// Everything that has a state: queue, momentum encoder, average, standardised score, accumulation.
const STATEFUL: &[&str] = &[
    "objective.queue=12",
    "contrast.keys=momentum",
    "contrast.momentum=0.9",
    "objective.push=0.5",
    "objective.difficulty=teacher_hr",
    "objective.standardise_score=true",
    "objective.shuffle_margins=true",
    "optimiser.kind=adamw",
    "optimiser.warmup_epochs=0.5",
    "train.accumulate=2",
    "train.batch=4",
];

impl Ground {
    fn checkpointed() -> Self {
        Self::with(6, 6, SETTINGS)
    }

    fn checkpointed_with_teacher() -> Self {
        let ground = Self::checkpointed();
        ground.run("train", "teacher", &["train.average=0"]);
        ground
    }

    /// As [`Ground::run`], `more` after it.
    fn run_with(&self, task: &str, out: &str, set: &[&str], more: &[&str]) -> PathBuf {
        success(self.command(task, out, set).args(more).output().unwrap());
        self.path(out)
    }

    fn start(&self, task: &str, out: &str, set: &[&str], more: &[&str]) -> Child {
        let mut command = self.command(task, out, set);
        command.args(more).stderr(Stdio::piped()).spawn().unwrap()
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What must be equal: every line of the metrics, the weights and the head.
fn result(run: &Path) -> (String, Vec<u8>, Vec<u8>) {
    let model = run.join("model");
    (
        fs::read_to_string(run.join("metrics.jsonl")).unwrap(),
        fs::read(model.join("model.safetensors")).unwrap(),
        fs::read(model.join("prototypes.safetensors")).unwrap(),
    )
}

fn same(one: &Path, other: &Path, what: &str) {
    let (a, b) = (result(one), result(other));
    for (line, (x, y)) in a.0.lines().zip(b.0.lines()).enumerate() {
        assert_eq!(x, y, "{what}: line {}", line + 1);
    }
    assert_eq!(a.0.len(), b.0.len(), "{what}: metrics end elsewhere");
    assert!(a.1 == b.1, "{what}: other weights");
    assert!(a.2 == b.2, "{what}: another head");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn checkpoints(run: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn state(run: &Path) -> String {
    let text = fs::read_to_string(run.join("run.json")).unwrap();
    let record: Value = serde_json::from_str(&text).unwrap();
    record["state"].as_str().unwrap().into()
}

/// Marks a copied run as one that was cut off.
fn cut_off(run: &Path) {
    let path = run.join("run.json");
    let mut record: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    record["state"] = "running".into();
    record["steps"] = 0.into();
    fs::write(&path, record.to_string()).unwrap();
    fs::remove_dir_all(run.join("model")).unwrap();
}

/// From every step of a run, the rest is the same bit for bit.
fn goes_on_from_every_step(ground: &Ground, task: &str, set: &[&str]) {
    let whole = ground.run(task, "whole", set);
    let names = checkpoints(&whole);
    assert!(names.len() >= 7, "{names:?}");
    for name in &names {
        let part = ground.path(name);
        copy(&whole, &part);
        cut_off(&part);
        let resume = format!("--resume={name}");
        ground.run_with(task, name, set, &[&resume]);
        same(&whole, &part, name);
        fs::remove_dir_all(&part).unwrap();
    }
    fs::remove_dir_all(&whole).unwrap();
}

#[test]
fn a_run_goes_on_bit_for_bit_from_every_step() {
    let ground = Ground::checkpointed_with_teacher();
    let parts = [
        "student.freeze=[\"layer1\", \"bn1\"]",
        "student.freeze_epochs=1",
        "pairs.curriculum_epochs=1.5",
        "head.margin_warmup_epochs=1",
    ];
    goes_on_from_every_step(&ground, "train", &parts);
    goes_on_from_every_step(&ground, "distill", STATEFUL);
    // Two members of an epoch each, whose mean is saved.
    let mut members = STATEFUL.to_vec();
    members.extend(["train.average=0", "train.epochs=1", "train.members=2"]);
    goes_on_from_every_step(&ground, "distill", &members);
}

/// Waits until the run has written so many lines of metrics.
fn wait_for_lines(run: &Path, lines: usize, child: &mut Child) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(120) {
        let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
        if text.lines().count() >= lines {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("no {lines} lines in two minutes");
}

fn signal(child: &Child, name: &str) {
    let done = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(done.success());
}

/// Kills of the kill test; `CCFACE_KILLS=50` makes it the long one.
fn kills() -> usize {
    std::env::var("CCFACE_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(3)
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_as_one_that_never_was() {
    let ground = Ground::checkpointed_with_teacher();
    let kills = kills();
    // Long enough that every kill finds the run alive.
    let epochs = format!("train.epochs={}", 4 + kills);
    let mut set = STATEFUL.to_vec();
    set.extend([
        epochs.as_str(),
        "checkpoint.keep=2",
        "checkpoint.every_steps=2",
    ]);
    let whole = ground.run("distill", "whole", &set);
    let lines = result(&whole).0.lines().count();
    let run = ground.path("killed");
    let mut random: u64 = 0x9E37_79B9_7F4A_7C15;
    for kill in 0..kills {
        let mut child = ground.start("distill", "killed", &set, &["--resume"]);
        // Spread over the run, then a random moment later: in a step, a save, a validation, a start.
        let target = 1 + kill * (lines - 4) / kills;
        let alive = wait_for_lines(&run, target, &mut child);
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        std::thread::sleep(Duration::from_micros(random >> 50));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(alive || kill > 0, "the run ended before the first kill");
    }
    let output = ground
        .command("distill", "killed", &set)
        .arg("--resume")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    same(&whole, &run, "after the kills");
    assert!(
        checkpoints(&run)
            .iter()
            .all(|name| name.starts_with("step-"))
    );
}

#[test]
fn sigterm_saves_and_ends_with_143_and_sigusr1_saves_and_goes_on() {
    let ground = Ground::checkpointed();
    let long = [
        "train.epochs=400",
        "checkpoint.every_steps=0",
        "checkpoint.keep=3",
    ];
    let run = ground.path("run");
    let mut child = ground.start("train", "run", &long, &[]);
    assert!(wait_for_lines(&run, 4, &mut child));
    let before = checkpoints(&run);
    signal(&child, "USR1");
    let started = Instant::now();
    while checkpoints(&run) == before && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_ne!(checkpoints(&run), before, "no checkpoint after SIGUSR1");
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    // A second process is refused and changes nothing.
    let second = ground
        .command("train", "run", &long)
        .arg("--resume")
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(
        errors(&second).contains("another process"),
        "{}",
        errors(&second)
    );
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", errors(&output));
    assert_eq!(state(&run), "interrupted");
    assert!(errors(&output).contains("--resume"), "{}", errors(&output));
    // What was saved is the last step that the metrics know.
    let last = result(&run).0.lines().last().map(String::from).unwrap();
    let last: Value = serde_json::from_str(&last).unwrap();
    let newest = checkpoints(&run).last().unwrap().clone();
    assert_eq!(
        newest,
        format!("step-{:09}", last["step"].as_u64().unwrap())
    );
    let mut child = ground.start("train", "run", &long, &["--resume=auto"]);
    assert!(wait_for_lines(
        &run,
        result(&run).0.lines().count() + 2,
        &mut child
    ));
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_validation_that_sigterm_leaves_is_done_again() {
    let ground = Ground::checkpointed();
    // Many sizes make the validation long beside its three steps.
    let sizes: Vec<String> = (6..60).map(|size| size.to_string()).collect();
    let sizes = format!("validation.sizes=[{}]", sizes.join(","));
    let set = [sizes.as_str(), "checkpoint.every_steps=0"];
    let whole = ground.run("train", "whole", &set);
    let run = ground.path("run");
    let mut child = ground.start("train", "run", &set, &[]);
    assert!(wait_for_lines(&run, 3, &mut child));
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", errors(&output));
    assert_eq!(state(&run), "interrupted");
    ground.run_with("train", "run", &set, &["--resume"]);
    same(&whole, &run, "after a validation was left");
    // Two signals at once: the second does not wait, and nothing is broken by it.
    let mut child = ground.start("train", "twice", &set, &[]);
    assert!(wait_for_lines(&ground.path("twice"), 2, &mut child));
    signal(&child, "TERM");
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    ground.run_with("train", "twice", &set, &["--resume"]);
    same(&whole, &ground.path("twice"), "after two signals");
}

#[test]
fn runs_are_listed_with_their_state_and_what_is_wrong_with_their_checkpoints() {
    let ground = Ground::checkpointed();
    let run = ground.run("train", "one", &[]);
    copy(&run, &ground.path("two"));
    cut_off(&ground.path("two"));
    let newest = ground
        .path("two/checkpoints")
        .join(checkpoints(&run).last().unwrap());
    fs::write(newest.join("student.bpk"), "x").unwrap();
    let list = |dir: &Path, more: &[&str]| {
        let mut args = vec!["runs", dir.to_str().unwrap()];
        args.extend(more);
        crate::support::succeed(&args)
    };
    let text = list(&ground.path(""), &[]);
    assert!(
        text.contains("finished") && text.contains("cut off"),
        "{text}"
    );
    assert!(
        text.contains("student.bpk has 1 bytes instead of"),
        "{text}"
    );
    assert!(text.contains("--resume"), "{text}");
    let json: Value = serde_json::from_str(&list(&ground.path("two"), &["--json"])).unwrap();
    assert_eq!(json[0]["standing"], "cut_off");
    assert_eq!(json[0]["step"], 5);
    assert!(json[0]["best"]["value"].is_number());
    crate::support::refuse(&["runs", ground.path("faces").to_str().unwrap()]);
}

#[test]
fn a_dry_run_counts_and_measures_and_leaves_nothing() {
    let ground = Ground::checkpointed_with_teacher();
    let output = ground
        .command("distill", "dry", STATEFUL)
        .arg("--dry-run")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", errors(&output));
    assert!(
        text.contains("6 = 2 epochs of 3 steps of 8 faces"),
        "{text}"
    );
    assert!(
        text.contains("48 views") && text.contains("MiB each"),
        "{text}"
    );
    assert!(!ground.path("dry").exists());
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_is_used() {
    let ground = Ground::checkpointed();
    let whole = ground.run("train", "whole", &[]);
    let newest = checkpoints(&whole).last().unwrap().clone();
    type Damage = fn(&Path);
    let damages: [Damage; 3] = [
        |file| {
            let bytes = fs::read(file).unwrap();
            fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        },
        |file| {
            let mut bytes = fs::read(file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(file, bytes).unwrap();
        },
        |file| fs::write(file, []).unwrap(),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let name = format!("damaged{number}");
        let run = ground.path(&name);
        copy(&whole, &run);
        cut_off(&run);
        let files = ["student.bpk", "optimiser.bpk", "progress.json"];
        damage(&run.join("checkpoints").join(&newest).join(files[number]));
        let output = ground
            .command("train", &name, &[])
            .arg("--resume")
            .output()
            .unwrap();
        let said = errors(&output);
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains(&format!("{newest} rejected: {}", files[number])),
            "{said}"
        );
        same(&whole, &run, &name);
    }
    // All of them damaged: from the first step, and the same again.
    let run = ground.path("nothing");
    copy(&whole, &run);
    cut_off(&run);
    for name in checkpoints(&run) {
        fs::write(run.join("checkpoints").join(name).join("manifest.json"), "").unwrap();
    }
    ground.run_with("train", "nothing", &[], &["--resume"]);
    same(&whole, &run, "from the first step");
}

#[test]
fn what_cannot_go_on_says_why() {
    let ground = Ground::checkpointed();
    let run = ground.run("train", "run", &[]);
    let refused = |set: &[&str], more: &[&str]| {
        let mut command = ground.command("train", "run", set);
        let output = command.args(more).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
        errors(&output)
    };
    assert!(refused(&[], &[]).contains("--resume"));
    // A finished run has nothing left to do.
    let output = ground
        .command("train", "run", &[])
        .arg("--resume")
        .output()
        .unwrap();
    assert!(output.status.success() && errors(&output).contains("is finished"));
    cut_off(&run);
    let message = refused(&["train.batch=6"], &["--resume"]);
    assert!(message.contains("another configuration"), "{message}");
    let message = refused(&[], &["--resume=/nowhere"]);
    assert!(message.contains("step-000000001"), "{message}");
    // Another number of loader threads, or another interval, is the same run.
    ground.run_with(
        "train",
        "run",
        &["train.workers=2", "checkpoint.every_steps=3"],
        &["--resume"],
    );
    assert_eq!(state(&run), "finished");
    // A place that is no directory.
    fs::write(ground.path("file"), "x").unwrap();
    let output = ground.command("train", "file/run", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        errors(&output).contains("cannot create"),
        "{}",
        errors(&output)
    );
}

#[test]
fn unreadable_images_are_replaced_within_the_budget_and_listed_at_the_end() {
    let ground = Ground::checkpointed_with_teacher();
    // Cut off in the middle: only decoding finds out.
    let picture = ground.path("faces/p01/02.png");
    let bytes = fs::read(&picture).unwrap();
    fs::write(&picture, &bytes[..bytes.len() / 2]).unwrap();
    let run = ground.path("run");
    let output = ground.command("train", "run", &[]).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(2),
        "beyond the budget: {}",
        errors(&output)
    );
    assert!(
        errors(&output).contains("p01/02.png"),
        "{}",
        errors(&output)
    );
    let set = ["data.error_budget=0.1"];
    let output = ground
        .command("train", "run", &set)
        .arg("--overwrite")
        .output()
        .unwrap();
    let said = errors(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("1 images could not be used") && said.contains("p01/02.png"),
        "{said}"
    );
    let record = fs::read_to_string(run.join("run.json")).unwrap();
    assert!(record.contains("p01/02.png"));
    // The teacher leaves it out as well.
    let output = ground.command("distill", "student", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
    assert!(
        errors(&output).contains("p01/02.png"),
        "{}",
        errors(&output)
    );
    let output = ground.command("distill", "student", &set).output().unwrap();
    let said = errors(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("1 images could not be used") && said.contains("left out"),
        "{said}"
    );
    // What was found before a cut counts after it.
    let names = checkpoints(&run);
    copy(&run, &ground.path("part"));
    cut_off(&ground.path("part"));
    let resume = format!("--resume={}", names[names.len() - 2]);
    ground.run_with("train", "part", &set, &[&resume]);
    same(&run, &ground.path("part"), "with a bad image");
    let record = fs::read_to_string(ground.path("part/run.json")).unwrap();
    assert!(record.contains("p01/02.png"));
}

#[test]
fn a_loss_that_does_not_fall_is_said_once() {
    let ground = Ground::checkpointed();
    let set = [
        "optimiser.learning_rate=1e-30",
        "guard.alarm_steps=3",
        "train.epochs=8",
    ];
    let output = ground.command("train", "run", &set).output().unwrap();
    let said = errors(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("the loss has not fallen").count(), 1, "{said}");
    let text = fs::read_to_string(ground.path("run/metrics.jsonl")).unwrap();
    assert_eq!(text.matches("\"kind\":\"alarm\"").count(), 1);
}

#[test]
fn a_poisoned_learning_rate_goes_back_twice_and_never_reaches_a_checkpoint() {
    let ground = Ground::checkpointed();
    let set = [
        "optimiser.learning_rate=1e30",
        "optimiser.clip_norm=0",
        "train.epochs=4",
    ];
    let output = ground.command("train", "run", &set).output().unwrap();
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("2 returns to a checkpoint") && said.contains(".png"),
        "{said}"
    );
    let run = ground.path("run");
    let record = fs::read_to_string(run.join("run.json")).unwrap();
    assert!(record.contains("\"failed\""));
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert!(text.contains("\"kind\":\"skipped\"") && text.contains("\"kind\":\"rolled_back\""));
}
