#![allow(clippy::unwrap_used)]
use std::fs;
use std::path::Path;

use super::lfw;
use super::scface::{self, Cameras, Distance, IdiapPart, Split};
use super::{Completeness, Protocol, csv_lists, survface, tinyface};
use crate::matfile::{MatValue, read_mat, write_mat};
use crate::replica::{ReplicaLayout, write_replica};

fn replica(layout: ReplicaLayout, scale: f64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_replica(layout, folder.path(), scale, |image| {
        image.label.clone().into_bytes()
    })
    .unwrap();
    folder
}

/// Every image is there, and holds the label that the replica was given.
fn agrees_with_files(protocol: &Protocol, distractor_prefix: &str) {
    for image in protocol.probe.iter().chain(&protocol.gallery) {
        let inside = fs::read_to_string(protocol.root.join(&image.path)).unwrap();
        let label = if image.label == "-100" {
            assert!(inside.starts_with(distractor_prefix), "{inside}");
            continue;
        } else {
            &image.label
        };
        assert!(
            &inside == label || label.starts_with("unmated"),
            "{inside} is not {label}"
        );
    }
}

#[test]
fn both_tinyface_layouts_are_read_and_agree() {
    let release = replica(ReplicaLayout::TinyFace, 0.01);
    let aligned = replica(ReplicaLayout::TinyFaceAligned, 0.01);
    let a = tinyface::read(release.path(), Completeness::Part).unwrap();
    let b = tinyface::read(aligned.path(), Completeness::Part).unwrap();
    assert_eq!(a.probe.len(), 37);
    assert_eq!(a.gallery.len(), 44 + 1534);
    agrees_with_files(&a, "distractor");
    agrees_with_files(&b, "distractor");
    let sorted = |list: &[super::FaceImage]| {
        let mut list: Vec<_> = list
            .iter()
            .map(|i| (i.path.clone(), i.label.clone()))
            .collect();
        list.sort();
        list
    };
    assert_eq!(sorted(&a.probe), sorted(&b.probe));
    assert_eq!(sorted(&a.gallery), sorted(&b.gallery));
    assert!(a.warnings.iter().any(|w| w.contains("not aligned")));
    assert_eq!(a.facts().counts["gallery_distractor_images"], 1534);
    let train = tinyface::read_training(release.path(), Completeness::Part).unwrap();
    assert_eq!(train.probe.len(), 78);
}

#[test]
fn a_partial_tinyface_tells_what_was_expected_and_found() {
    let folder = replica(ReplicaLayout::TinyFace, 0.01);
    let error = tinyface::read(folder.path(), Completeness::Whole)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("probe_images: expected 3728, found 37"),
        "{error}"
    );
    assert!(
        error.contains("gallery_match_images: expected 4443, found 44"),
        "{error}"
    );
    assert!(
        error.contains("gallery_distractor_images: expected 153428, found 1534"),
        "{error}"
    );
}

#[test]
fn missing_unlisted_repeated_and_contradicting_tinyface_files_are_named() {
    let folder = replica(ReplicaLayout::TinyFace, 0.01);
    let test = folder.path().join("Testing_Set");
    let part = || tinyface::read(folder.path(), Completeness::Part);
    let clean = part().unwrap();
    let victim = clean.probe[3].path.clone();
    fs::remove_file(test.join(&victim)).unwrap();
    fs::write(test.join("Probe/999_9.jpg"), "x").unwrap();
    let read = part().unwrap();
    assert_eq!(read.probe.len(), 36);
    let text = read.warnings.join("\n");
    assert!(text.contains("1 of 37 listed images are missing"), "{text}");
    assert!(
        text.contains("1 images are in the folder but not in the list (first: 999_9.jpg)"),
        "{text}"
    );

    let mat = test.join("probe_img_ID_pairs.mat");
    let good = read_mat(&mat).unwrap();
    let mut bad = good.clone();
    if let MatValue::Cells(cells) = &mut bad[0].value {
        cells[1] = cells[0].clone();
    }
    write_mat(&mat, &bad).unwrap();
    let error = part().unwrap_err().to_string();
    assert!(error.contains("1 names stand more than once"), "{error}");

    let mut bad = good.clone();
    if let MatValue::Numbers(ids) = &mut bad[1].value {
        ids[0] = 77.0;
    }
    write_mat(&mat, &bad).unwrap();
    let error = part().unwrap_err().to_string();
    assert!(error.contains("has id 77, its file name says 1"), "{error}");

    let mut bad = good.clone();
    bad.pop();
    write_mat(&mat, &bad).unwrap();
    let error = part().unwrap_err().to_string();
    assert!(
        error.contains("no variable `probe_ids`") && error.contains("probe_set"),
        "{error}"
    );

    fs::write(
        &mat,
        &fs::read(test.join("gallery_match_img_ID_pairs.mat")).unwrap()[..200],
    )
    .unwrap();
    assert!(part().is_err());
}

#[test]
fn a_probe_without_a_mate_is_counted() {
    let folder = replica(ReplicaLayout::TinyFaceAligned, 0.01);
    fs::write(
        folder
            .path()
            .join(tinyface::ALIGNED)
            .join("Probe/5000_1.jpg"),
        "x",
    )
    .unwrap();
    let read = tinyface::read(folder.path(), Completeness::Part).unwrap();
    assert!(
        read.warnings
            .iter()
            .any(|w| w.contains("1 probes have no mate")),
        "{:?}",
        read.warnings
    );
}

#[test]
fn a_folder_without_tinyface_says_where_it_looked() {
    let folder = tempfile::tempdir().unwrap();
    let error = tinyface::read(folder.path(), Completeness::Part)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Testing_Set/Probe") && error.contains(tinyface::ALIGNED),
        "{error}"
    );
}

#[test]
fn scface_gives_its_three_protocols_with_the_known_counts() {
    let folder = replica(ReplicaLayout::Scface, 1.0);
    let read = |split: &Split, distance, cameras| {
        scface::read(folder.path(), split, distance, cameras, Completeness::Whole).unwrap()
    };
    for distance in Distance::ALL {
        let all = read(&Split::All130, distance, Cameras::Visible);
        assert_eq!((all.gallery.len(), all.probe.len()), (130, 650));
        assert_eq!(all.name, format!("scface/all130/d{}", distance as u8));
        agrees_with_files(&all, "");
        assert!(all.probe.iter().all(|p| {
            p.path
                .to_string_lossy()
                .ends_with(&format!("_{}.jpg", distance as u8))
        }));
    }
    let infrared = read(&Split::All130, Distance::Near, Cameras::Infrared);
    assert_eq!(infrared.probe.len(), 260);
    let test: Vec<u16> = (51..=130).collect();
    let ft80 = read(&Split::Ft80 { test }, Distance::Far, Cameras::Visible);
    assert_eq!((ft80.gallery.len(), ft80.probe.len()), (80, 400));
    let sizes: Vec<usize> = [
        IdiapPart::Train,
        IdiapPart::Development,
        IdiapPart::Evaluation,
    ]
    .into_iter()
    .map(|part| {
        read(&Split::Idiap { part }, Distance::Far, Cameras::One(2))
            .gallery
            .len()
    })
    .collect();
    assert_eq!(sizes, [43, 44, 43]);
}

#[test]
fn missing_scface_images_and_wrong_splits_are_told() {
    let folder = replica(ReplicaLayout::Scface, 1.0);
    fs::remove_file(
        folder
            .path()
            .join("surveillance_cameras_all/007_cam3_2.jpg"),
    )
    .unwrap();
    fs::write(
        folder.path().join("surveillance_cameras_all/notes.jpg"),
        "x",
    )
    .unwrap();
    let read = |split: &Split| {
        scface::read(
            folder.path(),
            split,
            Distance::Middle,
            Cameras::Visible,
            Completeness::Whole,
        )
    };
    let error = read(&Split::All130).unwrap_err().to_string();
    assert!(
        error.contains("1 images are missing (first: 007_cam3_2.jpg)"),
        "{error}"
    );
    assert!(
        error.contains("probe_images: expected 650, found 649"),
        "{error}"
    );
    assert!(error.contains("first: notes.jpg"), "{error}");
    let error = read(&Split::Ft80 { test: vec![1; 80] })
        .unwrap_err()
        .to_string();
    assert!(error.contains("80 different test people"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = scface::read(
        empty.path(),
        &Split::All130,
        Distance::Far,
        Cameras::Visible,
        Completeness::Part,
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("mugshot_frontal_original_all")
    );
}

#[test]
fn survface_identification_and_verification_are_read() {
    let folder = replica(ReplicaLayout::SurvFace, 0.003);
    let read = survface::read_identification(folder.path(), Completeness::Whole).unwrap();
    assert_eq!((read.gallery.len(), read.probe.len()), (180, 360));
    agrees_with_files(&read, "");
    let unmated = read
        .probe
        .iter()
        .filter(|p| p.label.starts_with("unmated"))
        .count();
    assert_eq!(unmated, 180);
    let error = survface::read_verification(folder.path(), Completeness::Whole)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("positive_pairs: expected 5319, found 16"),
        "{error}"
    );
    let read = survface::read_verification(folder.path(), Completeness::Part).unwrap();
    assert_eq!(read.pairs.len(), 32);
    for pair in &read.pairs {
        let (a, b) = (&read.probe[pair.a], &read.probe[pair.b]);
        assert_eq!(a.label == b.label, pair.same);
    }
}

#[test]
fn lfw_pairs_keep_their_order_and_point_to_the_right_images() {
    let folder = replica(ReplicaLayout::Lfw, 0.02);
    let read = lfw::read(
        "lfw",
        folder.path().join("lfw"),
        folder.path().join("pairs.txt"),
        Completeness::Whole,
    )
    .unwrap();
    assert_eq!(read.pairs.len(), 120);
    agrees_with_files(&read, "");
    for (i, pair) in read.pairs.iter().enumerate() {
        assert_eq!(pair.same, i / 6 % 2 == 0);
        assert_eq!(
            read.probe[pair.a].label == read.probe[pair.b].label,
            pair.same
        );
    }
    assert_eq!(read.facts().counts["folds"], 10);
}

fn lfw_error(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("pairs.txt");
    fs::write(&list, text).unwrap();
    lfw::read("lfw", folder.path(), &list, Completeness::Whole)
        .unwrap_err()
        .to_string()
}

#[test]
fn wrong_pair_lists_are_told_with_their_line() {
    assert!(lfw_error("").contains("empty"));
    assert!(lfw_error("10\t300\nA\t1\t2\n").contains("announces 6000 pairs, the list has 1"));
    assert!(lfw_error("1\t1\nA\t1\tx\nA\t1\tB\t1\n").contains("line 2: `x`"));
    assert!(lfw_error("1\t1\nA\t1\t2\t3\t4\n").contains("line 2: 5 fields"));
    assert!(lfw_error("1\t1\n../A\t1\t2\nA\t1\tB\t1\n").contains("not a plain relative path"));
    assert!(lfw_error("1\t1\nA\t1\t2\nA\t1\tB\t1\n").contains("listed images are missing"));
    assert!(lfw_error("a.jpg 1\n").contains("two per pair"));
    assert!(lfw_error("a.jpg 1\nb.jpg 0\n").contains("contradict"));
}

#[test]
fn two_line_pairs_of_calfw_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["A_0001.jpg", "A_0002.jpg", "B_0001.jpg"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let list = folder.path().join("pairs_CALFW.txt");
    fs::write(
        &list,
        "A_0001.jpg 1\nA_0002.jpg 1\nA_0001.jpg 0\nB_0001.jpg 0\n",
    )
    .unwrap();
    let read = lfw::read("calfw", folder.path(), &list, Completeness::Whole).unwrap();
    assert_eq!(read.probe.len(), 3);
    let same: Vec<bool> = read.pairs.iter().map(|p| p.same).collect();
    assert_eq!(same, [true, false]);
    assert_eq!(read.probe[read.pairs[1].b].label, "B");
}

#[test]
fn own_lists_and_pairs_are_read_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["a.jpg", "b.jpg", "c.jpg"] {
        fs::write(root.join(name), "x").unwrap();
    }
    let write = |name: &str, text: &str| {
        let path = root.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let probe = write("p.csv", "label,path\nx,a.jpg\ny,b.jpg\n");
    let gallery = write("g.csv", "path,label\nc.jpg,x\n");
    let read = csv_lists::read_lists(root, &probe, Some(Path::new(&gallery)), Completeness::Whole)
        .unwrap();
    assert_eq!((read.probe.len(), read.gallery.len()), (2, 1));
    assert_eq!(
        (read.probe[1].label.as_str(), read.gallery[0].label.as_str()),
        ("y", "x")
    );
    let pairs = write(
        "pairs.csv",
        "path_a,path_b,mated\na.jpg,c.jpg,1\na.jpg,b.jpg,0\n",
    );
    let read = csv_lists::read_pairs(root, &pairs, Completeness::Whole).unwrap();
    assert_eq!((read.pairs.len(), read.probe.len()), (2, 3));

    let error = |text: &str| {
        let list = write("bad.csv", text);
        csv_lists::read_lists(root, &list, None, Completeness::Whole)
            .unwrap_err()
            .to_string()
    };
    assert!(error("path\na.jpg\n").contains("no column `label`"));
    assert!(error("path,label\n../a.jpg,x\n").contains("line 2: `../a.jpg` is not a plain"));
    assert!(error("path,label\n/etc/a.jpg,x\n").contains("not a plain"));
    assert!(error("path,label\na.jpg,x\na.jpg,x\n").contains("stand more than once"));
    assert!(error("path,label\nz.jpg,x\n").contains("1 of 1 images are missing"));
    assert!(error("path,label\na.jpg,\n").contains("`label` is empty"));
}

#[test]
fn a_replica_refuses_a_folder_in_use_and_a_wrong_scale() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x"), "x").unwrap();
    let write = |root: &Path, scale| {
        write_replica(ReplicaLayout::Lfw, root, scale, |_| Vec::new())
            .unwrap_err()
            .to_string()
    };
    assert!(write(folder.path(), 0.5).contains("not empty"));
    assert!(write(&folder.path().join("new"), 1.5).contains("scale"));
}
