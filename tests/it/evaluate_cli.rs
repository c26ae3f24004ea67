//! Evaluation of scores, embeddings and protocols through the command line, against figures computed here in the plainest way.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ccface_eval::{Matrix, write_npy};
use serde_json::Value;

use crate::support::{ccface, refuse, succeed};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Numbers that look random and are the same everywhere.
struct Draws(u64);

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Roughly normal.
    fn bell(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

fn json(args: &[&str]) -> Value {
    let mut args = args.to_vec();
    args.extend(["--json", "-", "--replicates", "50"]);
    serde_json::from_str(&succeed(&args)).unwrap()
}

fn value(result: &Value, metric: &str) -> f64 {
    let found = &result["metrics"][metric];
    found["value"]
        .as_f64()
        .unwrap_or_else(|| panic!("{metric}: {found}"))
}

fn close(found: f64, expected: f64, what: &str) {
    assert!(
        (found - expected).abs() < 1e-6,
        "{what}: {found}, expected {expected}"
    );
}

/// TAR at FAR f by the definition: of all thresholds with FMR ≤ f the one that accepts most.
fn tar_conservative(genuine: &[f64], impostor: &[f64], f: f64) -> f64 {
    let share =
        |list: &[f64], t: f64| list.iter().filter(|s| **s >= t).count() as f64 / list.len() as f64;
    genuine
        .iter()
        .filter(|t| share(impostor, **t) <= f)
        .map(|t| share(genuine, *t))
        .fold(0.0, f64::max)
}

/// EER: the step curve's points, cut linearly where FMR and FNMR cross.
fn eer(genuine: &[f64], impostor: &[f64]) -> f64 {
    let mut thresholds: Vec<f64> = genuine.iter().chain(impostor).copied().collect();
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    thresholds.push(f64::INFINITY);
    let point = |t: f64| {
        let fmr = impostor.iter().filter(|s| **s >= t).count() as f64 / impostor.len() as f64;
        let fnmr = genuine.iter().filter(|s| **s < t).count() as f64 / genuine.len() as f64;
        (fmr, fnmr)
    };
    let mut last = (1.0, 0.0);
    for t in thresholds {
        let (fmr, fnmr) = point(t);
        if fnmr >= fmr {
            let (d0, d1) = (last.0 - last.1, fmr - fnmr);
            return last.0 + d0 / (d0 - d1) * (fmr - last.0);
        }
        last = (fmr, fnmr);
    }
    unreachable!("at infinity nothing is accepted")
}

fn scores_csv(path: &Path, genuine: &[f64], impostor: &[f64]) {
    let mut lines = String::from("score,mated\n");
    for (list, mated) in [(genuine, 1), (impostor, 0)] {
        for score in list {
            lines += &format!("{score},{mated}\n");
        }
    }
    fs::write(path, lines).unwrap();
}

#[test]
fn perfect_and_random_scores_give_what_the_definitions_say() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("scores.csv");
    let genuine: Vec<f64> = (0..50).map(|i| 0.8 + f64::from(i) / 1000.0).collect();
    let impostor: Vec<f64> = (0..300).map(|i| f64::from(i) / 1000.0).collect();
    scores_csv(&file, &genuine, &impostor);
    let found = json(&["evaluate", "scores", text(&file)]);
    assert_eq!(found["schema"], "ccface-evaluation/1");
    close(value(&found, "eer"), 0.0, "eer");
    close(value(&found, "tar@far=0.01"), 1.0, "tar");
    for key in ["low", "high"] {
        assert!(found["metrics"]["eer"][key].is_number());
    }
    assert_eq!(found["metrics"]["tar@far=0.01"]["n"], 50);
    let why = &found["metrics"]["tar@far=0.0001"];
    assert!(
        why["insufficient"].as_str().unwrap().contains("300"),
        "{why}"
    );
    assert!(why.get("value").is_none());

    let mut draws = Draws(7);
    let genuine: Vec<f64> = (0..400).map(|_| draws.bell() + 1.0).collect();
    let impostor: Vec<f64> = (0..3000).map(|_| draws.bell()).collect();
    scores_csv(&file, &genuine, &impostor);
    let found = json(&["evaluate", "scores", text(&file)]);
    close(value(&found, "eer"), eer(&genuine, &impostor), "eer");
    for far in [0.1, 0.01, 0.001] {
        let expected = tar_conservative(&genuine, &impostor, far);
        close(value(&found, &format!("tar@far={far}")), expected, "tar");
    }
}

/// Unit-free embeddings of `labels` with noise, and their files.
fn embeddings(
    dir: &Path,
    name: &str,
    labels: &[&str],
    dim: usize,
    noise: f64,
    seed: u64,
) -> (PathBuf, PathBuf, Vec<f32>) {
    let mut draws = Draws(seed);
    let data: Vec<f32> = labels
        .iter()
        .flat_map(|label| {
            let own = label
                .bytes()
                .fold(17u64, |h, b| h.wrapping_mul(1_000_003) ^ u64::from(b));
            let mut person = Draws(own);
            for _ in 0..4 {
                person.uniform();
            }
            let row: Vec<f32> = (0..dim)
                .map(|_| (person.bell() + noise * draws.bell()) as f32)
                .collect();
            row
        })
        .collect();
    let (file, list) = (
        dir.join(format!("{name}.npy")),
        dir.join(format!("{name}.csv")),
    );
    write_npy(
        &file,
        &Matrix {
            data: data.clone(),
            rows: labels.len(),
            columns: dim,
        },
    )
    .unwrap();
    fs::write(&list, labels.join("\n") + "\n").unwrap();
    (file, list, data)
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
fn embeddings_agree_with_brute_force() {
    let dir = tempfile::tempdir().unwrap();
    let people: Vec<String> = (0..40).map(|i| format!("p{i}")).collect();
    let probe: Vec<&str> = (0..100).map(|i| people[i % 40].as_str()).collect();
    // People 30 to 39 are not in the gallery: their probes are non-mated.
    let gallery: Vec<&str> = (0..90)
        .map(|i| {
            if i < 60 {
                people[i % 30].as_str()
            } else {
                "-100"
            }
        })
        .collect();
    let dim = 12;
    let (p, pl, probes) = embeddings(dir.path(), "p", &probe, dim, 1.0, 1);
    let (g, gl, rows) = embeddings(dir.path(), "g", &gallery, dim, 1.0, 2);
    let found = json(&[
        "evaluate",
        "embeddings",
        "--probe",
        text(&p),
        "--probe-labels",
        text(&pl),
        "--gallery",
        text(&g),
        "--gallery-labels",
        text(&gl),
    ]);
    let (mut genuine, mut impostor, mut hits, mut mated) = (vec![], vec![], [0usize; 21], 0usize);
    let (mut tops, mut mates) = (vec![], vec![]);
    for (i, who) in probe.iter().enumerate() {
        let scores: Vec<f64> = (0..gallery.len())
            .map(|j| cosine(&probes[i * dim..][..dim], &rows[j * dim..][..dim]))
            .collect();
        let mut best = f64::NEG_INFINITY;
        for (score, label) in scores.iter().zip(&gallery) {
            if label == who {
                genuine.push(*score);
                best = best.max(*score);
            } else {
                impostor.push(*score);
            }
        }
        if best == f64::NEG_INFINITY {
            tops.push(scores.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            continue;
        }
        mated += 1;
        let rank = 1 + scores.iter().filter(|s| **s > best).count();
        mates.push((rank, best));
        (rank..21).for_each(|k| hits[k] += 1);
    }
    for (rank, hit) in hits.iter().enumerate().skip(1) {
        close(
            value(&found, &format!("rank{rank}")),
            *hit as f64 / mated as f64,
            "rank",
        );
    }
    close(value(&found, "eer"), eer(&genuine, &impostor), "eer");
    close(
        value(&found, "tar@far=0.01"),
        tar_conservative(&genuine, &impostor, 0.01),
        "tar",
    );
    tops.sort_by(|a, b| b.total_cmp(a));
    let threshold = tops[(tops.len() as f64 * 0.1) as usize - 1];
    let right = mates
        .iter()
        .filter(|(r, s)| *r <= 20 && *s >= threshold)
        .count();
    close(
        value(&found, "tpir20@fpir=0.1"),
        right as f64 / mated as f64,
        "tpir",
    );
    assert_eq!(found["protocol"]["counts"]["nonmated_probes"], tops.len());
    assert!(
        succeed(&[
            "evaluate",
            "embeddings",
            "--probe",
            text(&p),
            "--probe-labels",
            text(&pl)
        ])
        .contains("rank1")
    );
}

#[test]
fn damaged_embeddings_are_refused_or_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (file, labels) = (dir.path().join("e.npy"), dir.path().join("l.csv"));
    let write = |data: Vec<f32>, columns: usize, names: &str| {
        let rows = data.len() / columns;
        write_npy(
            &file,
            &Matrix {
                data,
                rows,
                columns,
            },
        )
        .unwrap();
        fs::write(&labels, names).unwrap();
    };
    let args = [
        "evaluate",
        "embeddings",
        "--probe",
        text(&file),
        "--probe-labels",
        text(&labels),
    ];
    let four = vec![1.0, 0.1, 0.9, 0.2, 0.1, 1.0, 0.2, 0.9];
    write([&four[..6], &[f32::NAN, 1.0]].concat(), 2, "a\na\nb\nb\n");
    assert!(refuse(&args).contains("row 3 holds NaN"));
    write(four.clone(), 2, "a\na\nb\n");
    let message = refuse(&args);
    assert!(
        message.contains("expected 4") && message.contains("found 3"),
        "{message}"
    );
    write([&four[..], &[0.0, 0.0]].concat(), 2, "a\na\nb\nb\nb\n");
    let found = json(&args);
    close(value(&found, "fte/probe"), 0.2, "fte");
    assert_eq!(found["protocol"]["counts"]["probe_zero_excluded"], 1);
    let other = dir.path().join("g.npy");
    write_npy(
        &other,
        &Matrix {
            data: vec![1.0, 0.0, 0.5],
            rows: 1,
            columns: 3,
        },
    )
    .unwrap();
    let names = dir.path().join("g.csv");
    fs::write(&names, "a\n").unwrap();
    let mut both = args.to_vec();
    both.extend(["--gallery", text(&other), "--gallery-labels", text(&names)]);
    assert!(refuse(&both).contains("dimension 3, expected 2"));
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 5]).unwrap();
    let message = refuse(&args);
    assert!(
        message.contains("truncated") && message.contains("e.npy"),
        "{message}"
    );
    fs::write(&file, "dear diary").unwrap();
    refuse(&args);
}

#[test]
fn wrong_score_tables_and_options_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.csv");
    for (table, said) in [
        ("score,mated\nnan,1\n", "line 2"),
        ("score\n1\n", "no column `mated`"),
        ("score,mated\n0.5,1\n", "impostor"),
    ] {
        fs::write(&file, table).unwrap();
        let message = refuse(&["evaluate", "scores", text(&file)]);
        assert!(message.contains(said), "{message}");
    }
    assert!(refuse(&["evaluate", "scores", "/nowhere.csv"]).contains("/nowhere.csv"));
    fs::write(&file, "score,mated\n1,1\n0,0\n").unwrap();
    assert!(refuse(&["evaluate", "scores", text(&file), "--far", "2"]).contains("--far 2"));
}

#[test]
fn a_threshold_is_never_calibrated_on_the_people_it_is_tested_on() {
    let dir = tempfile::tempdir().unwrap();
    let table = |name: &str, people: &str| {
        let mut lines = String::from("score,mated,probe_subject,gallery_subject\n");
        for i in 0..200 {
            lines += &format!("{},0,{people}{i},{people}{}\n", f64::from(i) / 400.0, i + 1);
            lines += &format!("{},1,{people}{i},{people}{i}\n", 0.4 + f64::from(i) / 400.0);
        }
        let path = dir.path().join(name);
        fs::write(&path, lines).unwrap();
        path
    };
    let (test, other) = (table("test.csv", "t"), table("other.csv", "c"));
    let message = refuse(&[
        "evaluate",
        "scores",
        text(&test),
        "--calibration",
        text(&test),
    ]);
    assert!(
        message.contains("both the calibration and the test set"),
        "{message}"
    );
    let found = json(&[
        "evaluate",
        "scores",
        text(&test),
        "--calibration",
        text(&other),
    ]);
    let point = &found["thresholds"]["calibrated/far=0.01"];
    assert!(point["fmr"].as_f64().unwrap() <= 0.01, "{point}");
}

#[test]
fn a_replica_is_evaluated_and_two_results_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    let replica = dir.path().join("tinyface");
    succeed(&[
        "data",
        "replica",
        "tinyface",
        "--out",
        text(&replica),
        "--scale",
        "0.01",
    ]);
    let message = refuse(&["evaluate", "tinyface", text(&replica), "--list", "-"]);
    assert!(
        message.contains("expected 3728") && message.contains("expected 153428"),
        "{message}"
    );
    let list = succeed(&[
        "evaluate",
        "tinyface",
        text(&replica),
        "--part",
        "--list",
        "-",
    ]);
    let names: Vec<&str> = list.lines().collect();
    let labels: Vec<&str> = names
        .iter()
        .map(|name| {
            let file = name.rsplit('/').next().unwrap();
            if name.contains("Distractor") {
                *name
            } else {
                file.split('_').next().unwrap()
            }
        })
        .collect();
    let mut results = Vec::new();
    for (name, noise) in [("worse", 2.5), ("better", 1.0)] {
        let (file, _, _) = embeddings(dir.path(), name, &labels, 16, noise, 3);
        let result = dir.path().join(format!("{name}.json"));
        let page = dir.path().join(format!("{name}.html"));
        succeed(&[
            "evaluate",
            "tinyface",
            text(&replica),
            "--part",
            "--embeddings",
            text(&file),
            "--json",
            text(&result),
            "--html",
            text(&page),
            "--replicates",
            "50",
        ]);
        assert!(
            fs::read_to_string(&page)
                .unwrap()
                .contains("gallery distractor images")
        );
        results.push(result);
    }
    let read = |path: &Path| -> Value {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let (worse, better) = (read(&results[0]), read(&results[1]));
    assert_eq!(better["protocol"]["name"], "tinyface");
    assert!(value(&better, "rank1") > value(&worse, "rank1"));
    let table: Value = serde_json::from_str(&succeed(&[
        "compare",
        text(&results[0]),
        text(&results[1]),
        "--json",
        "-",
    ]))
    .unwrap();
    let rank1 = table["paired"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["metric"] == "rank1")
        .unwrap();
    close(
        rank1["difference"].as_f64().unwrap(),
        value(&better, "rank1") - value(&worse, "rank1"),
        "difference",
    );
    assert!(succeed(&["compare", text(&results[0]), text(&results[1])]).contains("paired tests"));

    // The same rows in another order, named.
    let shuffled = dir.path().join("names.txt");
    fs::write(
        &shuffled,
        names
            .iter()
            .rev()
            .map(|n| format!("{n}\n"))
            .collect::<String>(),
    )
    .unwrap();
    let backwards: Vec<&str> = labels.iter().rev().copied().collect();
    let (file, _, _) = embeddings(dir.path(), "named", &backwards, 16, 0.0, 3);
    let args = [
        "evaluate",
        "tinyface",
        text(&replica),
        "--part",
        "--embeddings",
        text(&file),
    ];
    let mut named = args.to_vec();
    named.extend(["--names", text(&shuffled)]);
    assert_eq!(value(&json(&named), "rank1"), 1.0);

    let (file, _, _) = embeddings(dir.path(), "short", &labels[1..], 16, 0.0, 3);
    let message = refuse(&[
        "evaluate",
        "tinyface",
        text(&replica),
        "--part",
        "--embeddings",
        text(&file),
    ]);
    assert!(message.contains("rows, expected"), "{message}");
    fs::write(&results[0], "{}").unwrap();
    assert!(refuse(&["compare", text(&results[0]), text(&results[1])]).contains("worse.json"));
}

#[test]
fn every_layout_is_replicated_and_listed() {
    let dir = tempfile::tempdir().unwrap();
    for (layout, extra) in [
        ("tinyface-aligned", vec!["tinyface"]),
        ("scface", vec!["scface", "--distance", "1"]),
        ("survface", vec!["survface", "--task", "verification"]),
        ("lfw", vec!["lfw"]),
    ] {
        let out = dir.path().join(layout);
        succeed(&[
            "data",
            "replica",
            layout,
            "--out",
            text(&out),
            "--scale",
            "0.02",
        ]);
        let mut args = vec!["evaluate", extra[0], text(&out)];
        args.extend(&extra[1..]);
        args.extend(["--part", "--list", "-"]);
        assert!(!succeed(&args).is_empty(), "{layout}");
        let again = ccface(&["data", "replica", layout, "--out", text(&out)]);
        assert_eq!(
            again.status.code(),
            Some(2),
            "a folder that is not empty is kept"
        );
    }
}
