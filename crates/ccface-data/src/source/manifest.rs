//! A table of paths and identities.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use image::RgbImage;

use super::folder::read_capped;
use super::{FaceSource, Hash, Rejected, content};
use crate::decode::{DecodeLimits, decode_rgb};
use crate::error::{DataError, ImageProblem};
use crate::split::{Selection, nearest};

/// Faces listed in a CSV or TSV file with the columns `path` and `identity`, and if wanted `group` and `split`.
///
/// Paths are relative to the manifest's folder and stay within it: an absolute path, one with `..`, a NUL or a
/// backslash, and a link that leads out are refused. Rows that name no usable path are left out and listed as
/// [`rejected`](FaceSource::rejected). Identities and groups are numbered in byte order of their names; images come
/// in the order of their rows.
///
/// [`hash`](FaceSource::hash) covers every image's path, identity, group and content, or that it cannot be read.
#[derive(Debug)]
pub struct Manifest {
    root: PathBuf,
    identities: Vec<String>,
    groups: Vec<String>,
    items: Vec<Item>,
    rejected: Vec<Rejected>,
    limits: DecodeLimits,
}

#[derive(Debug)]
struct Item {
    path: Box<str>,
    label: u32,
    group: Option<u32>,
}

struct Row {
    path: Box<str>,
    identity: String,
    group: String,
}

impl Manifest {
    /// Opens the selected identities of a manifest, of one split where one is named.
    ///
    /// # Errors
    /// A missing or damaged file, missing columns, an unknown split or identity, or no usable row.
    pub fn open(
        path: impl AsRef<Path>,
        selection: &Selection,
        split: Option<&str>,
        limits: &DecodeLimits,
    ) -> Result<Self, DataError> {
        let path = path.as_ref();
        if !path.exists() {
            return Err(DataError::Missing {
                path: path.to_path_buf(),
                what: "file",
            });
        }
        let folder = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let root = fs::canonicalize(folder).map_err(|e| DataError::io(folder, e))?;
        let (rows, rejected) = rows(path, split)?;
        let names = numbered(rows.iter().map(|row| row.identity.as_str()));
        let all: Vec<String> = names.keys().cloned().collect();
        let chosen = selection.select(&all)?;
        let identities: Vec<String> = chosen.iter().map(|&i| all[i].clone()).collect();
        let dense = numbered(identities.iter().map(String::as_str));
        let groups = numbered(
            rows.iter()
                .map(|row| row.group.as_str())
                .filter(|g| !g.is_empty()),
        );
        let items: Vec<Item> = rows
            .into_iter()
            .filter_map(|row| {
                let label = *dense.get(&row.identity)?;
                Some(Item {
                    path: row.path,
                    label,
                    group: groups.get(&row.group).copied(),
                })
            })
            .collect();
        if items.is_empty() {
            let text = match rejected.first() {
                Some(first) => format!(
                    "no usable row; the first one left out: {}: {}",
                    first.name, first.reason
                ),
                None => "no rows; list one image per line below the heading".to_string(),
            };
            return Err(DataError::layout(path, text));
        }
        let groups = groups.into_keys().collect();
        Ok(Self {
            root,
            identities,
            groups,
            items,
            rejected,
            limits: limits.clone(),
        })
    }

    fn path(&self, i: usize) -> Result<PathBuf, DataError> {
        let item = self.items.get(i).ok_or(DataError::OutOfRange {
            index: i,
            len: self.items.len(),
        })?;
        let bad =
            |detail: String| DataError::image(&*item.path, ImageProblem::Unreadable { detail });
        let path = fs::canonicalize(self.root.join(&*item.path)).map_err(|e| bad(e.to_string()))?;
        if !path.starts_with(&self.root) {
            return Err(bad(
                "a link leads out of the manifest's folder; copy the file into it".to_string(),
            ));
        }
        Ok(path)
    }
}

/// Names in byte order with their numbers.
fn numbered<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<String, u32> {
    let mut numbers = BTreeMap::new();
    for name in names {
        if !numbers.contains_key(name) {
            numbers.insert(name.to_string(), 0);
        }
    }
    numbers
        .values_mut()
        .zip(0..)
        .for_each(|(number, n)| *number = n);
    numbers
}

fn rows(path: &Path, split: Option<&str>) -> Result<(Vec<Row>, Vec<Rejected>), DataError> {
    let tabs = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("tsv"));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(if tabs { b'\t' } else { b',' })
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|e| broken(path, &e))?;
    let heading = reader.headers().map_err(|e| broken(path, &e))?.clone();
    let find = |wanted: &str| {
        heading.iter().position(|h| {
            h.trim_start_matches('\u{feff}')
                .eq_ignore_ascii_case(wanted)
        })
    };
    let column = |wanted: &'static str| {
        find(wanted).ok_or_else(|| {
            let found: Vec<&str> = heading.iter().collect();
            DataError::layout(
                path,
                format!("no column '{wanted}' (found: {}); the first line names the columns path, identity and if wanted group and split", found.join(", ")),
            )
        })
    };
    let (at_path, at_identity) = (column("path")?, column("identity")?);
    let (at_group, at_split) = (find("group"), find("split"));
    if split.is_some() {
        column("split")?;
    }
    let (mut rows, mut rejected) = (Vec::new(), Vec::new());
    let mut splits: BTreeSet<String> = BTreeSet::new();
    for record in reader.records() {
        let record = record.map_err(|e| broken(path, &e))?;
        let cell = |at: usize| record.get(at).unwrap_or("");
        let here = at_split.map(cell).unwrap_or("");
        if split.is_some_and(|wanted| wanted != here) {
            if splits.len() < 100 {
                splits.insert(here.to_string());
            }
            continue;
        }
        let line = record.position().map_or(0, csv::Position::line);
        let name = || format!("line {line}: '{}'", crate::decode::one_line(&cell(at_path)));
        match inside(cell(at_path)) {
            Err(detail) => {
                rejected.push(Rejected {
                    name: name(),
                    reason: ImageProblem::Unreadable { detail },
                });
            }
            Ok(()) if cell(at_identity).is_empty() => {
                let detail = "the identity is empty".to_string();
                rejected.push(Rejected {
                    name: name(),
                    reason: ImageProblem::Label {
                        label: String::new(),
                        detail,
                    },
                });
            }
            Ok(()) => rows.push(Row {
                path: cell(at_path).into(),
                identity: cell(at_identity).to_string(),
                group: at_group.map(cell).unwrap_or("").to_string(),
            }),
        }
    }
    if let (Some(wanted), true) = (split, rows.is_empty() && rejected.is_empty()) {
        let near = nearest(wanted, splits.iter().map(String::as_str)).unwrap_or_default();
        return Err(DataError::layout(
            path,
            format!("no row of the split '{wanted}'; did you mean '{near}'?"),
        ));
    }
    Ok((rows, rejected))
}

fn broken(path: &Path, error: &csv::Error) -> DataError {
    let at = error.position().map_or(0, csv::Position::byte);
    DataError::format(
        path,
        at,
        format!("not a valid table ({})", crate::decode::one_line(error)),
    )
}

/// Whether a path stays within the manifest's folder by its text alone.
fn inside(path: &str) -> Result<(), String> {
    let refuse = |what: &str| {
        Err(format!(
            "{what}; paths are relative to the manifest's folder and stay within it"
        ))
    };
    if path.is_empty() {
        return refuse("the path is empty");
    }
    if path.contains(['\0', '\\']) {
        return refuse("the path holds a NUL or a backslash");
    }
    for part in Path::new(path).components() {
        match part {
            Component::Normal(_) | Component::CurDir => {}
            Component::ParentDir => return refuse("the path holds '..'"),
            Component::RootDir | Component::Prefix(_) => return refuse("the path is absolute"),
        }
    }
    Ok(())
}

impl FaceSource for Manifest {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn identity(&self, i: usize) -> usize {
        self.items[i].label as usize
    }

    fn identities(&self) -> &[String] {
        &self.identities
    }

    fn name(&self, i: usize) -> String {
        self.items[i].path.to_string()
    }

    fn image(&self, i: usize) -> Result<RgbImage, DataError> {
        decode_rgb(&self.encoded(i)?, &self.limits)
            .map_err(|reason| DataError::image(self.name(i), reason))
    }

    fn hash(&self) -> Result<String, DataError> {
        let mut hasher = blake3::Hasher::new();
        for (i, item) in self.items.iter().enumerate() {
            let group = item.group.map_or("", |g| self.groups[g as usize].as_str());
            for text in [&*item.path, &self.identities[item.label as usize], group] {
                hasher.update(text.as_bytes());
                hasher.update(&[0]);
            }
            hasher.update(&content(self, i));
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn image_hash(&self, i: usize) -> Result<Hash, DataError> {
        Ok(blake3::hash(&self.encoded(i)?).into())
    }

    fn encoded(&self, i: usize) -> Result<Vec<u8>, DataError> {
        let path = self.path(i)?;
        read_capped(&path, &self.name(i), &self.limits)
    }

    fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    fn groups(&self) -> &[String] {
        &self.groups
    }

    fn group(&self, i: usize) -> Option<usize> {
        self.items[i].group.map(|g| g as usize)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_row_whose_file_is_missing_is_found_when_read_and_leaves_the_rest_in_use() {
        let dir = folder();
        let file = open(
            dir.path(),
            "l.csv",
            "path,identity\n3.png,x\ngone.png,x\na/1.png,y\n",
            None,
        )
        .unwrap();
        let seen = crate::inspect(&file).unwrap();
        assert_eq!((seen.images, seen.unreadable.len()), (3, 1));
        assert_eq!(seen.unreadable[0].name, "gone.png");
        let without = file.hash().unwrap();
        fs::copy(dir.path().join("3.png"), dir.path().join("gone.png")).unwrap();
        assert_ne!(file.hash().unwrap(), without);
    }

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        for (name, side) in [("a/1.png", 4), ("a/2.png", 5), ("3.png", 6)] {
            RgbImage::new(side, side)
                .save(dir.path().join(name))
                .unwrap();
        }
        dir
    }

    fn open(dir: &Path, name: &str, text: &str, split: Option<&str>) -> Result<Manifest, String> {
        fs::write(dir.join(name), text).unwrap();
        Manifest::open(
            dir.join(name),
            &Selection::All,
            split,
            &DecodeLimits::default(),
        )
        .map_err(|e| e.to_string())
    }

    #[test]
    fn columns_come_in_any_order_with_groups_and_splits() {
        let dir = folder();
        let text = "identity,path,split,group\nzoe,a/1.png,train,west\nann,a/2.png,train,east\nzoe,3.png,test,west\n";
        let all = open(dir.path(), "m.csv", text, None).unwrap();
        assert_eq!(
            (all.identities(), all.groups()),
            (
                &["ann".to_string(), "zoe".into()][..],
                &["east".to_string(), "west".into()][..]
            )
        );
        assert_eq!(
            (all.identity(0), all.group(0), all.image(2).unwrap().width()),
            (1, Some(1), 6)
        );
        let train = open(dir.path(), "m.csv", text, Some("train")).unwrap();
        assert_eq!(train.len(), 2);
        assert!(
            open(dir.path(), "m.csv", text, Some("tain"))
                .unwrap_err()
                .contains("did you mean 'train'")
        );
        let tabs = open(dir.path(), "m.tsv", &text.replace(',', "\t"), None).unwrap();
        assert_eq!(tabs.hash().unwrap(), all.hash().unwrap());
    }

    #[test]
    fn paths_that_lead_out_are_refused_each_with_its_line() {
        let dir = folder();
        let text =
            "path,identity\n../x.png,a\n/etc/passwd,a\nb\\c.png,a\n\"\0\",a\na/1.png,\na/1.png,a\n";
        let manifest = open(dir.path(), "m.csv", text, None).unwrap();
        assert_eq!((manifest.len(), manifest.rejected().len()), (1, 5));
        assert!(manifest.rejected()[0].name.starts_with("line 2"));
        assert!(
            manifest.rejected()[1]
                .reason
                .to_string()
                .contains("absolute")
        );
        let none = open(dir.path(), "m.csv", "path,identity\n../x.png,a\n", None).unwrap_err();
        assert!(none.contains("'..'"), "{none}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_out_is_refused_when_read() {
        let (dir, outside) = (folder(), folder());
        std::os::unix::fs::symlink(outside.path().join("3.png"), dir.path().join("out.png"))
            .unwrap();
        std::os::unix::fs::symlink(dir.path().join("3.png"), dir.path().join("in.png")).unwrap();
        let manifest = open(
            dir.path(),
            "m.csv",
            "path,identity\nout.png,a\nin.png,a\n",
            None,
        )
        .unwrap();
        assert!(
            manifest
                .image(0)
                .unwrap_err()
                .to_string()
                .contains("leads out")
        );
        assert!(manifest.image(1).is_ok());
    }

    #[test]
    fn damaged_tables_say_what_is_missing() {
        let dir = folder();
        let refuse = |text: &str| open(dir.path(), "m.csv", text, None).unwrap_err();
        assert!(refuse("file,identity\n").contains("no column 'path'"));
        assert!(refuse("path,identity\n").contains("no rows"));
        assert!(refuse("path,identity\na,b,c\n").contains("not a valid table"));
        assert!(refuse("").contains("no column 'path'"));
    }
}
