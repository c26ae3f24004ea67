//! The invariants of docs/architecture.md.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::support::root;

const LEAVES: [&str; 4] = [
    "ccface-model",
    "ccface-losses",
    "ccface-data",
    "ccface-eval",
];
const CRATES: [&str; 6] = [
    "ccface-model",
    "ccface-losses",
    "ccface-data",
    "ccface-eval",
    "ccface-train",
    "ccface-cli",
];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn crate_sources(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&root().join("crates").join(name).join("src"), &mut found);
    assert!(!found.is_empty());
    found
}

#[test]
fn the_four_leaves_do_not_depend_on_each_other() {
    for leaf in LEAVES {
        let manifest = read(&root().join("crates").join(leaf).join("Cargo.toml"));
        for other in CRATES.iter().filter(|other| **other != leaf) {
            let depends = manifest
                .lines()
                .any(|line| line.trim_start().starts_with(other));
            assert!(!depends, "{leaf} depends on {other}");
        }
    }
    for plain in ["ccface-data", "ccface-eval"] {
        let manifest = read(&root().join("crates").join(plain).join("Cargo.toml"));
        assert!(
            !manifest.lines().any(|line| line.starts_with("burn")),
            "{plain} depends on burn"
        );
    }
}

#[test]
fn backend_features_are_asked_for_in_one_file() {
    let backends = ["flex", "ndarray", "wgpu", "vulkan", "metal", "cuda", "rocm"];
    for name in CRATES {
        for path in crate_sources(name) {
            if path.ends_with("ccface-train/src/device.rs") {
                continue;
            }
            let text = read(&path);
            for backend in backends {
                let asks = text.contains(&format!("feature = \"{backend}\""));
                assert!(!asks, "{} asks for the feature {backend}", path.display());
            }
            assert!(
                !text.contains(": Backend>"),
                "{} is generic over a backend",
                path.display()
            );
            assert!(
                !text.contains("DispatchDevice"),
                "{} looks into a device",
                path.display()
            );
        }
    }
}

#[test]
fn every_file_is_reached_by_its_crate() {
    for name in CRATES {
        let src = root().join("crates").join(name).join("src");
        for path in crate_sources(name) {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            if path.parent() == Some(&src) && ["lib", "main"].contains(&stem) {
                continue;
            }
            let (module, dir) = if stem == "mod" {
                let dir = path.parent().unwrap();
                (
                    dir.file_name().unwrap().to_str().unwrap(),
                    dir.parent().unwrap(),
                )
            } else {
                (stem, path.parent().unwrap())
            };
            let owners = [
                dir.join("mod.rs"),
                dir.with_extension("rs"),
                dir.join("lib.rs"),
                dir.join("main.rs"),
            ];
            let declared = owners.iter().filter(|owner| owner.exists()).any(|owner| {
                read(owner)
                    .lines()
                    .any(|line| line.trim().ends_with(&format!("mod {module};")))
            });
            assert!(declared, "no module declares {}", path.display());
        }
    }
}

#[test]
fn every_loss_term_has_an_oracle_and_a_gradient_check_of_its_name() {
    let losses = root().join("crates/ccface-losses/src");
    let mut terms: Vec<String> = ccface_losses::Term::ALL
        .iter()
        .map(|term| term.name().to_string())
        .collect();
    terms.push("adaptive_penalty".into());
    for entry in fs::read_dir(losses.join("heads")).unwrap() {
        let stem = entry
            .unwrap()
            .path()
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .to_string();
        if stem != "mod" {
            terms.push(stem);
        }
    }
    assert!(terms.len() >= 9);
    for term in terms {
        for place in ["tests/oracle", "tests/gradcheck"] {
            let path = root().join(place).join(format!("{term}.rs"));
            assert!(path.exists(), "{} is missing", path.display());
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_in_every_crate() {
    assert!(read(&root().join("Cargo.toml")).contains("unsafe_code = \"forbid\""));
    for name in CRATES {
        let manifest = read(&root().join("crates").join(name).join("Cargo.toml"));
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{name} does not take the workspace's lints"
        );
    }
}

#[test]
fn main_stays_short() {
    assert!(
        read(&root().join("crates/ccface-cli/src/main.rs"))
            .lines()
            .count()
            < 60
    );
}
