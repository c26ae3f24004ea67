//! The ORL faces, where they are: `CCFACE_DATA` names the folder that holds `orl` and `orl_aligned112`, `../shared/data`
//! beside the workspace by default.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ccface_data::{FaceSource, ImageFolder, Loader, LoaderConfig, PairConfig, Selection};

fn orl(name: &str) -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let root = std::env::var_os("CCFACE_DATA").map_or(default, PathBuf::from);
    let path = root.join(name);
    if !path.is_dir() {
        let mut out = std::io::stderr().lock();
        let _ = std::io::Write::write_all(&mut out, b"skipped: the ORL faces are not here\n");
        return None;
    }
    Some(path)
}

#[test]
fn aligned_faces_and_raw_pgm_files_open_with_their_identities() {
    let Some(path) = orl("orl_aligned112") else {
        return;
    };
    let train = ImageFolder::open(&path, &"s01..s20".parse().unwrap()).unwrap();
    assert_eq!((train.len(), train.identities().len()), (200, 20));
    assert_eq!(
        (train.name(0), train.name(199)),
        ("s01/01.png".into(), "s20/10.png".into())
    );
    assert_eq!(train.image(0).unwrap().dimensions(), (112, 112));
    let raw = ImageFolder::open(path.with_file_name("orl"), &Selection::All).unwrap();
    // The package that ships them holds one picture of another kind beside the 400.
    let pgm = (0..raw.len()).filter(|&i| raw.name(i).ends_with(".pgm"));
    assert_eq!((pgm.count(), raw.identities()[1].as_str()), (400, "s10"));
    assert_eq!(raw.image(0).unwrap().dimensions(), (92, 112));
}

#[test]
fn an_epoch_of_real_pairs_is_the_same_with_any_workers_and_after_a_restart() {
    let Some(path) = orl("orl_aligned112") else {
        return;
    };
    let source = Arc::new(ImageFolder::open(&path, &"s01..s04".parse().unwrap()).unwrap());
    let digest = |workers: usize, start: usize| -> Vec<String> {
        let config = LoaderConfig {
            batch: 3,
            workers,
            cache_bytes: 1 << 20,
            ..LoaderConfig::default()
        };
        let pairs =
            serde_json::from_str::<PairConfig>(r#"{"degradation":"surveillance"}"#).unwrap();
        let loader = Loader::new(source.clone(), pairs, config).unwrap();
        let batches = loader.epoch(2, start).map(Result::unwrap);
        batches
            .map(|batch| {
                let mut hasher = blake3::Hasher::new();
                for value in batch.student.iter().chain(batch.hr.iter().flatten()) {
                    hasher.update(&value.to_bits().to_le_bytes());
                }
                format!("{:?} {}", batch.indices, hasher.finalize())
            })
            .collect()
    };
    let whole = digest(0, 0);
    assert_eq!(whole.len(), 14);
    for workers in [1, 2, 4] {
        assert!(digest(workers, 0) == whole, "{workers} workers");
    }
    assert!(digest(2, 9) == whole[9..], "after a restart");
}
