//! The saved inputs of the fuzzers, read again on stable Rust: `fuzz/corpus/<reader>/*`.

#[path = "../../fuzz/readers.rs"]
mod readers;

use std::fs;

use crate::support::root;

fn each(reader: &str, read: fn(&[u8])) {
    let folder = root().join("fuzz/corpus").join(reader);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 3, "{} holds too little", folder.display());
    for path in paths {
        read(&fs::read(&path).unwrap());
    }
}

#[test]
fn saved_record_files_do_no_harm() {
    each("recordio", readers::recordio);
}

#[test]
fn saved_indices_do_no_harm() {
    each("index", readers::index);
}

#[test]
fn saved_verification_sets_do_no_harm() {
    each("verification_set", readers::verification_set);
}

#[test]
fn saved_manifests_do_no_harm() {
    each("manifest", readers::manifest);
}
