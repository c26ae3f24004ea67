//! `ccface data` on small folders.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::{ccface, folder, refuse, succeed};

/// A folder for one test, with paths in it as text.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_string()
    }
}

/// Every file below a folder with its bytes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![dir.to_path_buf()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_path_buf();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn inspect(source: &str) -> Value {
    serde_json::from_str(&succeed(&["data", "inspect", source, "--json", "-"])).unwrap()
}

#[test]
fn inspect_counts_what_is_there() {
    let place = Place::new();
    folder(&place.path("set"), 3, 4, 24);
    fs::copy(place.path("set/p00/00.png"), place.path("set/p01/copy.png")).unwrap();
    let found = inspect(&place.text("set"));
    assert_eq!(
        (&found["images"], &found["identities"]),
        (&13.into(), &3.into())
    );
    assert_eq!(found["duplicates_across_identities"], 1);
    assert_eq!(found["sizes"]["24x24"], 13);
    let table = succeed(&["data", "inspect", &place.text("set")]);
    assert!(
        table.contains("equal: p00/00.png = p01/copy.png"),
        "{table}"
    );
}

#[test]
fn inspect_draws_a_page_that_needs_nothing_else() {
    let place = Place::new();
    folder(&place.path("<i>set"), 3, 2, 24);
    let page = place.text("page.html");
    succeed(&["data", "inspect", &place.text("<i>set"), "--html", &page]);
    let html = fs::read_to_string(page).unwrap();
    assert_eq!(html.matches("<img ").count(), 3);
    assert!(html.contains("6 images of 3 identities"));
    assert!(!html.contains("<i>") && !html.contains("src=\"http"));
}

#[test]
fn inspect_names_the_people_that_two_splits_share() {
    let place = Place::new();
    folder(&place.path("set"), 3, 1, 24);
    let rows = "path,identity,split\nset/p00/00.png,ann,train\nset/p01/00.png,ben,train\nset/p01/00.png,ben,test\nset/p02/00.png,eve,test\n";
    fs::write(place.path("list.csv"), rows).unwrap();
    let list = place.text("list.csv");
    let command = [
        "data",
        "inspect",
        &list,
        "--split",
        "train",
        "--against",
        &list,
        "--against-split",
        "test",
        "--json",
        "-",
    ];
    let found: Value = serde_json::from_str(&succeed(&command)).unwrap();
    assert_eq!(found["images"], 2);
    assert_eq!(found["shared"]["identities"], serde_json::json!(["ben"]));
    assert_eq!(found["shared"]["images"].as_array().unwrap().len(), 1);
}

#[test]
fn verify_names_the_broken_image() {
    let place = Place::new();
    folder(&place.path("set"), 2, 2, 24);
    let set = place.text("set");
    assert!(succeed(&["data", "verify", &set]).contains("4 images"));
    let good = fs::read(place.path("set/p00/00.png")).unwrap();
    fs::write(place.path("set/p00/00.png"), &good[..good.len() / 2]).unwrap();
    let message = refuse(&["data", "verify", &set]);
    assert!(message.contains("1 of 4 entries"), "{message}");
    let listed = ccface(&["data", "verify", &set]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        listed.contains("p00/00.png: ") && listed.contains("cannot be decoded"),
        "{listed}"
    );
    let command = ["data", "verify", &set, "--budget", "0.25", "--json", "-"];
    let found: Value = serde_json::from_str(&succeed(&command)).unwrap();
    assert_eq!(
        (&found["bad"], &found["within_budget"]),
        (&1.into(), &true.into())
    );
    assert_eq!(found["quarantine"][0]["name"], "p00/00.png");
}

#[test]
fn names_with_escapes_do_nothing_to_the_terminal() {
    let place = Place::new();
    folder(&place.path("set"), 1, 1, 24);
    fs::write(place.path("set/p00/a\u{1b}[31m.png"), "junk").unwrap();
    let output = ccface(&["data", "verify", &place.text("set")]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("[31m.png: not an image"));
    assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
}

#[test]
fn a_folder_survives_the_way_to_records_and_back() {
    let place = Place::new();
    folder(&place.path("set"), 3, 2, 24);
    for (layout, record) in [("insightface", "a/set.rec"), ("plain", "b/set.rec")] {
        let (record, back) = (place.text(record), place.text(layout));
        let (set, out) = (place.text("set"), "--out");
        succeed(&["data", "convert", &set, out, &record, "--layout", layout]);
        assert_eq!(inspect(&record)["images"], 6);
        succeed(&["data", "convert", &record, out, &back]);
        for who in 0..3 {
            for shot in 0..2 {
                assert_eq!(
                    fs::read(place.path(&format!("set/p{who:02}/{shot:02}.png"))).unwrap(),
                    fs::read(place.path(&format!("{layout}/{who}/{shot:06}.png"))).unwrap(),
                );
            }
        }
        assert_eq!(files(&place.path(layout)).len(), 6);
        let again = refuse(&["data", "convert", &set, out, &record]);
        assert!(again.contains("nothing is overwritten"), "{again}");
    }
}

#[test]
fn a_lost_index_is_written_anew() {
    let place = Place::new();
    folder(&place.path("set"), 2, 3, 24);
    let record = place.text("set.rec");
    succeed(&["data", "convert", &place.text("set"), "--out", &record]);
    let index = fs::read(place.path("set.idx")).unwrap();
    fs::remove_file(place.path("set.idx")).unwrap();
    succeed(&["data", "rebuild-index", &record]);
    assert_eq!(fs::read(place.path("set.idx")).unwrap(), index);
    let bytes = fs::read(&record).unwrap();
    fs::write(&record, &bytes[..bytes.len() - 7]).unwrap();
    let message = refuse(&["data", "rebuild-index", &record]);
    assert!(message.contains("set.rec"), "{message}");
    assert_eq!(
        fs::read(place.path("set.idx")).unwrap(),
        index,
        "a damaged file leaves the index alone"
    );
    let message = refuse(&["data", "rebuild-index", &place.text("set.idx")]);
    assert!(message.contains("not a .rec file"), "{message}");
}

/// `data synth` of a few small faces.
fn synth(out: &str, people: &str) -> [String; 10] {
    [
        "data",
        "synth",
        "--identities",
        people,
        "--images",
        "3",
        "--size",
        "32",
        "--out",
        out,
    ]
    .map(String::from)
}

#[test]
fn synthetic_people_are_the_same_bytes_each_time() {
    let place = Place::new();
    for name in ["a", "b"] {
        succeed(&synth(&place.text(name), "3"));
    }
    let whole = files(&place.path("a"));
    assert_eq!(whole, files(&place.path("b")));
    // 9 faces, the contact sheet, landmarks, groups, settings.
    assert_eq!(whole.len(), 13);
    assert!(image::load_from_memory(&whole[Path::new("contact_sheet.png")]).is_ok());
    assert_eq!(inspect(&place.text("a"))["images"], 9);
}

#[test]
fn a_partial_synthesis_is_continued_and_another_one_refused() {
    let place = Place::new();
    succeed(&synth(&place.text("a"), "3"));
    let whole = files(&place.path("a"));
    for name in ["id000001/001.png", "id000002/000.png", "landmarks.csv"] {
        fs::remove_file(place.path("a").join(name)).unwrap();
    }
    let said = succeed(&synth(&place.text("a"), "3"));
    assert!(said.contains("2 drawn, 7 were there"), "{said}");
    assert_eq!(files(&place.path("a")), whole);
    let message = refuse(&synth(&place.text("a"), "4"));
    assert!(message.contains("other settings"), "{message}");
    folder(&place.path("mine"), 1, 1, 24);
    let before = files(&place.path("mine"));
    let message = refuse(&synth(&place.text("mine"), "3"));
    assert!(message.contains("not empty"), "{message}");
    assert_eq!(files(&place.path("mine")), before);
}

#[test]
fn a_preview_has_a_row_a_face_and_a_column_a_stage() {
    let place = Place::new();
    folder(&place.path("set"), 3, 2, 40);
    let (set, out) = (place.text("set"), place.text("view.png"));
    let command = [
        "data", "preview", &set, "--count", "2", "--sizes", "8,16", "--out", &out,
    ];
    let said = succeed(&command);
    assert!(said.contains("columns: original, HR, crop, down, up, color_jitter, LR"));
    assert!(said.contains("row 2: p02/01.png at "), "{said}");
    let picture = image::open(&out).unwrap();
    assert_eq!(
        (picture.width(), picture.height()),
        (7 * 116 + 4, 2 * 116 + 4)
    );
    let message = refuse(&[
        "data", "preview", &set, "--recipe", "adafase", "--out", &out,
    ]);
    assert!(message.contains("did you mean 'adaface'"), "{message}");
}

#[test]
fn what_cannot_be_read_is_said_in_one_line() {
    let place = Place::new();
    fs::write(place.path("x.rec"), "").unwrap();
    fs::write(place.path("y.zip"), "PK").unwrap();
    folder(&place.path("set"), 1, 1, 24);
    let (empty, zip, set) = (place.text("x.rec"), place.text("y.zip"), place.text("set"));
    for (args, word) in [
        (vec!["inspect", "/nowhere/set"], "/nowhere/set"),
        (vec!["verify", &empty], "empty"),
        (vec!["inspect", &zip], "no known kind of source"),
        (vec!["inspect", &set, "--split", "train"], "manifest"),
        (vec!["verify", &set, "--identities", "p77"], "p77"),
        (vec!["verify", &set, "--budget", "7"], "--budget"),
        (
            vec!["preview", &set, "--count", "0", "--out", "x"],
            "--count",
        ),
        (vec!["convert", &set, "--out", "x.csv"], "not written"),
    ] {
        let command: Vec<&str> = ["data"].into_iter().chain(args).collect();
        let message = refuse(&command);
        assert!(message.contains(word), "{message}");
        let errors = message.lines().filter(|l| l.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{message}");
    }
}
