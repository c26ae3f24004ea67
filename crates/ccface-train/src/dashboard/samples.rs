//! A few people of the validation set, small and large, with the scores that teacher and student give them.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::module::Module;
use ccface_data::{FaceImage, degrade::lr_view};
use ccface_model::Backbone;
use image::ImageFormat;
use serde::Serialize;

use crate::{
    TrainError,
    encoder::{FaceEncoder, ModuleEncoder, embed_unit},
    run_dir::write_atomically,
    tensorboard::Value,
    trainee::StepContext,
    validation::ValidationSet,
};

/// Schema version of `scores.jsonl`.
const SCHEMA: u32 = 1;

/// What one network says of an LR view: cosines with HR pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Scores {
    /// With another picture of the same person.
    same: f64,
    /// With a picture of the next person of the samples.
    other: f64,
}

#[derive(Debug, Serialize)]
struct View {
    size: usize,
    picture: String,
    student: Scores,
    #[serde(skip_serializing_if = "Option::is_none")]
    teacher: Option<Scores>,
}

#[derive(Debug, Serialize)]
struct Person {
    name: String,
    gallery: String,
    views: Vec<View>,
}

#[derive(Debug, Serialize)]
struct Line {
    kind: &'static str,
    schema_version: u32,
    epoch: usize,
    step: u64,
    people: Vec<Person>,
}

/// One person: the picture that is made small, and the one it is searched among.
#[derive(Clone, Debug, PartialEq)]
struct Choice {
    name: String,
    probe: usize,
    gallery: usize,
}

/// Keeps sample faces: their pictures once, their scores at each validation.
pub(crate) struct Samples {
    dir: PathBuf,
    count: usize,
    names: Vec<String>,
    teacher: Option<Arc<dyn FaceEncoder>>,
    chosen: Option<Chosen>,
}

/// What does not change from validation to validation.
struct Chosen {
    people: Vec<Choice>,
    teacher: Option<Vec<Scores>>,
    /// Side of the pictures on disk, pixels.
    side: usize,
}

impl Samples {
    /// `names[label]` is the name of a validation identity.
    pub(crate) fn new(
        dir: PathBuf,
        count: usize,
        names: Vec<String>,
        teacher: Option<Arc<dyn FaceEncoder>>,
    ) -> Self {
        Self {
            dir,
            count,
            names,
            teacher,
            chosen: None,
        }
    }

    /// Appends the scores of the student as it is; the first time it also writes the pictures, and gives them back for
    /// TensorBoard beside the scores.
    pub(crate) fn look(
        &mut self,
        (epoch, step): (usize, u64),
        set: &ValidationSet,
        student: &Backbone,
        context: &StepContext,
    ) -> Result<Vec<Value>, TrainError> {
        let mut values = Vec::new();
        let chosen = match self.chosen.take() {
            Some(chosen) => chosen,
            None => self.choose(set, context.input.size, &mut values)?,
        };
        let device = student.devices()[0].clone();
        let student =
            ModuleEncoder::new(student, context.input.clone(), context.embedding, &device);
        let scores = score(&student, set, &chosen.people)?;
        let mut scores = scores.into_iter().zip(0..);
        let mut people = Vec::new();
        for (index, person) in chosen.people.iter().enumerate() {
            let mut views = Vec::new();
            for (size, (student, place)) in set.sizes.iter().zip(scores.by_ref()) {
                let tag = format!("samples/{index}_{size}px");
                values.push(Value::scalar(format!("{tag}/student_same"), student.same));
                values.push(Value::scalar(format!("{tag}/student_other"), student.other));
                let teacher = chosen.teacher.as_ref().map(|t: &Vec<Scores>| t[place]);
                views.push(View {
                    size: *size,
                    picture: view_name(index, *size),
                    student,
                    teacher,
                });
            }
            people.push(Person {
                name: person.name.clone(),
                gallery: gallery_name(index),
                views,
            });
        }
        self.chosen = Some(chosen);
        self.append(&Line {
            kind: "samples",
            schema_version: SCHEMA,
            epoch,
            step,
            people,
        })?;
        Ok(values)
    }

    fn choose(
        &self,
        set: &ValidationSet,
        side: usize,
        values: &mut Vec<Value>,
    ) -> Result<Chosen, TrainError> {
        let chosen = Chosen {
            people: choices(set, self.count, &self.names),
            teacher: None,
            side,
        };
        fs::create_dir_all(&self.dir).map_err(TrainError::io(&self.dir, "create"))?;
        for (index, person) in chosen.people.iter().enumerate() {
            let gallery = ccface_data::degrade::fit(set.faces[person.gallery].clone(), chosen.side);
            values.push(self.keep(&gallery_name(index), &format!("{index}_gallery"), &gallery)?);
            for size in &set.sizes {
                let view = lr_view(&set.faces[person.probe], *size, chosen.side);
                let name = view_name(index, *size);
                values.push(self.keep(&name, &format!("{index}_{size}px"), &view)?);
            }
        }
        let teacher = self.teacher.as_deref();
        Ok(Chosen {
            teacher: teacher
                .map(|teacher| score(teacher, set, &chosen.people))
                .transpose()?,
            ..chosen
        })
    }

    fn keep(&self, name: &str, tag: &str, face: &FaceImage) -> Result<Value, TrainError> {
        let path = self.dir.join(name);
        let mut bytes = Cursor::new(Vec::new());
        face.to_rgb8()
            .write_to(&mut bytes, ImageFormat::Png)
            .map_err(|error| TrainError::Evaluation(format!("{}: {error}", path.display())))?;
        let bytes = bytes.into_inner();
        write_atomically(&path, |file| std::io::Write::write_all(file, &bytes))?;
        let tag = format!("samples/{tag}");
        Ok(Value::png(tag, face.width, face.height, bytes))
    }

    fn append(&self, line: &Line) -> Result<(), TrainError> {
        let path = scores_file(&self.dir);
        let mut text = serde_json::to_string(line).unwrap_or_default();
        text.push('\n');
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .map_err(TrainError::io(&path, "write"))
    }
}

fn scores_file(dir: &Path) -> PathBuf {
    dir.join("scores.jsonl")
}

fn gallery_name(person: usize) -> String {
    format!("{person}_gallery.png")
}

fn view_name(person: usize, size: usize) -> String {
    format!("{person}_{size}px.png")
}

/// People spread evenly over the set, each with its first two pictures; the same for equal sets.
fn choices(set: &ValidationSet, count: usize, names: &[String]) -> Vec<Choice> {
    let mut labels: Vec<_> = set.labels.clone();
    labels.sort_unstable();
    labels.dedup();
    let count = count.min(labels.len());
    (0..count)
        .filter_map(|place| {
            let label = labels[place * labels.len() / count];
            let mut pictures = (0..set.labels.len()).filter(|i| set.labels[*i] == label);
            let probe = pictures.next()?;
            let name = usize::try_from(label).ok().and_then(|i| names.get(i));
            Some(Choice {
                name: name.cloned().unwrap_or_else(|| format!("person {label}")),
                probe,
                gallery: pictures.next().unwrap_or(probe),
            })
        })
        .collect()
}

/// Scores of each person at each size, person by person.
fn score(
    encoder: &dyn FaceEncoder,
    set: &ValidationSet,
    people: &[Choice],
) -> Result<Vec<Scores>, TrainError> {
    let (dim, side, views) = (encoder.dim(), encoder.input().size, set.sizes.len());
    let probe = |i: usize| {
        let face = &set.faces[people[i / views].probe];
        Ok(lr_view(face, set.sizes[i % views], side))
    };
    let gallery = |i: usize| Ok(set.faces[people[i].gallery].clone());
    let count = people.len() * views;
    let probes = embed_unit(encoder, count, set.batch, &probe, &mut |_| {})?;
    let gallery = embed_unit(encoder, people.len(), set.batch, &gallery, &mut |_| {})?;
    let row = |rows: &[f32], i: usize| rows[i * dim..(i + 1) * dim].to_vec();
    Ok((0..count)
        .map(|i| {
            let (probe, person) = (row(&probes, i), i / views);
            Scores {
                same: cosine(&probe, &row(&gallery, person)),
                other: cosine(&probe, &row(&gallery, (person + 1) % people.len())),
            }
        })
        .collect())
}

/// Cosine of two rows of unit length.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
    products.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(labels: &[u32]) -> ValidationSet {
        ValidationSet {
            faces: vec![FaceImage::filled(4, 4, 0.0); labels.len()],
            labels: labels.to_vec(),
            sizes: vec![2],
            batch: 2,
            ..ValidationSet::empty()
        }
    }

    #[test]
    fn people_are_spread_over_the_set_and_show_two_pictures() {
        let names: Vec<String> = (0..6).map(|i| format!("s{i}")).collect();
        let found = choices(&set(&[0, 0, 1, 2, 2, 2, 3, 3, 4, 5]), 3, &names);
        let places: Vec<(&str, usize, usize)> = found
            .iter()
            .map(|c| (c.name.as_str(), c.probe, c.gallery))
            .collect();
        assert_eq!(places, [("s0", 0, 1), ("s2", 3, 4), ("s4", 8, 8)]);
    }

    #[test]
    fn no_more_people_are_taken_than_there_are_and_unnamed_ones_have_a_number() {
        let found = choices(&set(&[0, 1]), 9, &[]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].name, "person 1");
        assert!(choices(&set(&[]), 9, &[]).is_empty());
    }
}
