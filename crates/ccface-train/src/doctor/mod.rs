//! What a network most likely expects, found out on a small labelled folder.

mod hypothesis;
mod separation;

use ccface_data::{FaceImage, FaceSource, source::by_identity};
use ccface_eval::{Embeddings, Pairs, cross_scores};
use ccface_model::{Colour, InputSpec};
use serde::{Deserialize, Serialize};

use hypothesis::{Hypothesis, Question};
use separation::Separation;

use crate::{
    TrainError,
    encoder::{FaceEncoder, normalise, prepare},
};

/// Version of the document.
pub const DOCTOR_SCHEMA: u32 = 1;

/// One way to present faces, and how well the network then tells people apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The way, in words.
    pub name: String,
    /// Separation of same and different people, in standard deviations; higher is better.
    pub separation: f64,
    /// Equal error rate of all pairs.
    pub eer: f64,
    /// How far the best answer's separation is above this one's.
    pub behind: f64,
    /// The standard error of that, by leaving out one person at a time.
    pub behind_error: f64,
    /// Whether the card or the flags say so.
    pub current: bool,
}

/// One question with its answers, the best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// What was varied.
    pub question: String,
    /// All answers, best first.
    pub answers: Vec<Answer>,
    /// Whether the best answer is better than the current one by more than two standard errors.
    pub change: bool,
    /// What follows, in one sentence.
    pub verdict: String,
}

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DoctorResult {
    /// Version of this schema.
    pub schema_version: u32,
    /// The network.
    pub model: String,
    /// Images that were used.
    pub images: usize,
    /// People on them.
    pub identities: usize,
    /// What the card or the flags say.
    pub current: InputSpec,
    /// What the network most likely expects.
    pub likely: InputSpec,
    /// The questions in their order; each takes the answers before it as given.
    pub diagnoses: Vec<Diagnosis>,
    /// Mean cosine of an image and its mirror image.
    pub mirror_cosine: f64,
}

/// Varies colour order and scale, then mirror image, shift and size of the crop, and compares how well the network tells
/// people apart.
///
/// ```text
/// separation = (μ_same − μ_different) / √((σ²_same + σ²_different)/2)        cosines of all pairs
/// ```
///
/// An answer counts as better when its separation is above the current one's by two standard errors of the jackknife over
/// people. At most `images` faces are used, spread over the people that have two. `progress(done, total)` counts ways.
///
/// # Errors
/// Fewer than three people with two images, an image that cannot be read, or what the encoder reports.
pub fn examine(
    encoder: &dyn FaceEncoder,
    source: &dyn FaceSource,
    images: usize,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<DoctorResult, TrainError> {
    let (chosen, labels) = choose(source, images)?;
    let faces = chosen
        .iter()
        .map(|&i| Ok(FaceImage::from_rgb8(&source.image(i)?)))
        .collect::<Result<Vec<_>, TrainError>>()?;
    let grey = faces.iter().all(|face| {
        let plane = face.width * face.height;
        face.data[..plane] == face.data[2 * plane..]
    });
    let current = Hypothesis::new(encoder.input().clone());
    let mut likely = current.clone();
    let total = Question::ALL
        .iter()
        .map(|q| q.ways(&current, grey).len())
        .sum();
    let mut done = 0;
    let mut diagnoses = Vec::new();
    for question in Question::ALL {
        let mut tried = Vec::new();
        for way in question.ways(&likely, grey) {
            let rows = embed(encoder, &faces, &way)?;
            tried.push((
                Separation::of(&rows, encoder.dim(), &labels),
                eer(rows, encoder.dim(), &labels)?,
                way,
            ));
            done += 1;
            progress(done, total);
        }
        let (diagnosis, best) = judge(question, tried, &likely, grey);
        if diagnosis.change {
            likely = best;
        }
        diagnoses.push(diagnosis);
    }
    let plain = embed(encoder, &faces, &likely)?;
    let mirrored = embed(
        encoder,
        &faces,
        &Hypothesis {
            mirrored: true,
            ..likely.clone()
        },
    )?;
    let cosines: f64 = plain
        .iter()
        .zip(&mirrored)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum();
    Ok(DoctorResult {
        schema_version: DOCTOR_SCHEMA,
        model: encoder.name().into(),
        images: faces.len(),
        identities: labels.iter().max().map_or(0, |&l| l as usize + 1),
        current: current.input,
        likely: likely.input,
        diagnoses,
        mirror_cosine: cosines / faces.len() as f64,
    })
}

/// Orders the answers and says what follows.
fn judge(
    question: Question,
    mut tried: Vec<(Separation, f64, Hypothesis)>,
    current: &Hypothesis,
    grey: bool,
) -> (Diagnosis, Hypothesis) {
    tried.sort_by(|a, b| b.0.value.total_cmp(&a.0.value));
    let best = &tried[0];
    let answers: Vec<Answer> = tried
        .iter()
        .map(|(separation, eer, way)| {
            let (behind, behind_error) = best.0.above(separation);
            Answer {
                name: way.describe(question),
                separation: separation.value,
                eer: *eer,
                behind,
                behind_error,
                current: way == current,
            }
        })
        .collect();
    let behind = answers
        .iter()
        .find(|a| a.current)
        .map_or((0.0, 0.0), |a| (a.behind, a.behind_error));
    let change = behind.0 > 2.0 * behind.1 && behind.0 > 1e-6;
    let best_name = &answers[0].name;
    let here = current.describe(question);
    let verdict = if grey && question == Question::Colour && !change {
        format!("{here} stays; the pictures are grey, so the colour order cannot be told from them")
    } else if change {
        format!("most likely {best_name}, not {here}")
    } else if answers[0].current {
        format!("{here}: right, as far as these pictures tell")
    } else {
        format!("{here} stays: {best_name} is not better by more than chance")
    };
    let winner = tried.swap_remove(0).2;
    let diagnosis = Diagnosis {
        question: question.name().into(),
        answers,
        change,
        verdict,
    };
    (diagnosis, winner)
}

/// Unit rows of faces presented in one way.
fn embed(
    encoder: &dyn FaceEncoder,
    faces: &[FaceImage],
    way: &Hypothesis,
) -> Result<Vec<f32>, TrainError> {
    use rayon::prelude::*;

    let dim = encoder.dim();
    let mut rows = Vec::with_capacity(faces.len() * dim);
    for batch in faces.chunks(16) {
        let pixels: Vec<Vec<f32>> = batch
            .par_iter()
            .map(|face| {
                let mut pixels = Vec::new();
                prepare(&way.present(face), &way.input, &mut pixels);
                pixels
            })
            .collect();
        rows.extend(encoder.embed_prepared(pixels.concat(), batch.len())?);
    }
    for row in rows.chunks_exact_mut(dim) {
        normalise(row).ok_or_else(|| {
            TrainError::Evaluation(format!(
                "{} gives an embedding that is zero or not finite: its weights are damaged",
                encoder.name()
            ))
        })?;
    }
    Ok(rows)
}

fn eer(rows: Vec<f32>, dim: usize, labels: &[u32]) -> Result<f64, TrainError> {
    let told = |e: ccface_eval::EvalError| TrainError::Evaluation(e.to_string());
    let rows = Embeddings::new(rows, dim).map_err(told)?;
    let scores = cross_scores(&rows, labels, &rows, labels, Pairs::Unordered).map_err(told)?;
    Ok(scores.eer().value)
}

/// At most `images` images of people with two or more, as evenly as can be, with dense labels.
fn choose(source: &dyn FaceSource, images: usize) -> Result<(Vec<usize>, Vec<u32>), TrainError> {
    let people: Vec<Vec<usize>> = by_identity(source)
        .into_iter()
        .filter(|members| members.len() > 1)
        .collect();
    if people.len() < 3 {
        return Err(TrainError::Evaluation(format!(
            "{} people have two images or more; give a folder with at least three (ten or more tell far more)",
            people.len()
        )));
    }
    // Two each where there are many people, more where there are few.
    let people_used = people.len().min((images / 2).max(3));
    let each = (images / people_used).max(2);
    let mut chosen = Vec::new();
    let mut labels = Vec::new();
    for label in 0..people_used {
        let members = &people[label * people.len() / people_used];
        for &member in members.iter().take(each) {
            chosen.push(member);
            labels.push(label as u32);
        }
    }
    Ok((chosen, labels))
}

/// The colour order in words.
fn colour_name(colour: Colour) -> &'static str {
    match colour {
        Colour::Rgb => "RGB",
        Colour::Bgr => "BGR",
    }
}

#[cfg(test)]
mod tests;
