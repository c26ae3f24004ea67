//! One probe searched in the gallery by each encoder, the best matches side by side.

use ccface_data::degrade::lr_view;
use ccface_eval::{Pairs, identify};

use super::{
    html::{Element, div, el, span},
    material::{Contender, Material},
    numbers::{cosine, count, counted},
    picture::picture,
};

/// The chosen probe and how the encoders do on all probes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Choice {
    /// The probe's image.
    image: usize,
    /// Whether the baseline is wrong on it and the subject right.
    differs: bool,
    /// Probes with a mate in the gallery.
    probes: usize,
    /// Baseline wrong, subject right.
    gained: usize,
    /// Baseline right, subject wrong.
    lost: usize,
    /// Both right.
    both: usize,
}

/// The search at this size; `None` where there is no probe.
pub(crate) fn search(material: &Material<'_>, size: usize, candidates: usize) -> Option<Element> {
    let choice = choose(material, size)?;
    let faces = material.faces();
    let (face, name) = (
        &faces[choice.image],
        &material.evaluation().names[choice.image],
    );
    let side = material.subject().facts().input.size;
    let person = material.person(choice.image);
    let told = |title: String, more: &str| {
        el("p")
            .push(el("b").text(title))
            .push(el("br"))
            .push(span("name", more))
    };
    let probe = div("probe")
        .push(picture(
            &lr_view(face, size, side),
            &format!("the probe, {person}, at {size} px"),
        ))
        .push(told(format!("Probe at {size}\u{a0}px"), name))
        .push(picture(
            face,
            &format!("{person}, the same image at full resolution"),
        ))
        .push(told(
            "The same image at full resolution".into(),
            "not in the search",
        ));
    let lists = material
        .contenders
        .iter()
        .filter(|c| same_faces(material, c))
        .map(|c| list(material, c, size, choice.image, candidates));
    let figure = div("search").push(probe).push(div("lists").extend(lists));
    Some(
        div("").push(figure).push(
            el("p")
                .attr("class", "caption")
                .text(caption(material, &choice, name, size)),
        ),
    )
}

fn same_faces(material: &Material<'_>, contender: &Contender<'_>) -> bool {
    contender.evaluation.labels == material.evaluation().labels
}

/// Whether each probe's best match is the same person; `None` for probes without a mate.
fn right(contender: &Contender<'_>, size: usize) -> Option<Vec<Option<bool>>> {
    let (views, labels) = (contender.views(), &contender.evaluation.labels);
    let outcomes = identify(
        views.lr.get(&size)?,
        labels,
        &views.hr,
        labels,
        Pairs::OtherImages,
    )
    .ok()?;
    Some(
        outcomes
            .iter()
            .map(|o| o.mate.map(|mate| mate.rank == 1))
            .collect(),
    )
}

fn choose(material: &Material<'_>, size: usize) -> Option<Choice> {
    let after = right(material.subject(), size)?;
    let before = material
        .baseline()
        .filter(|b| same_faces(material, b))
        .and_then(|b| right(b, size));
    let probes = after.iter().filter(|o| o.is_some()).count();
    let first = after.iter().position(Option::is_some)?;
    let mut choice = Choice {
        image: first,
        differs: false,
        probes,
        gained: 0,
        lost: 0,
        both: 0,
    };
    for (image, (before, after)) in before.iter().flatten().zip(&after).enumerate() {
        match (before, after) {
            (Some(false), Some(true)) => {
                choice.gained += 1;
                if !choice.differs {
                    (choice.image, choice.differs) = (image, true);
                }
            }
            (Some(true), Some(false)) => choice.lost += 1,
            (Some(true), Some(true)) => choice.both += 1,
            _ => {}
        }
    }
    Some(choice)
}

fn caption(material: &Material<'_>, choice: &Choice, name: &str, size: usize) -> String {
    let all = counted(choice.probes, "probe", "probes");
    let Some(baseline) = material.baseline() else {
        return format!(
            "{name} is the first of {all} at {size}\u{a0}px. The gallery holds every other image at full resolution."
        );
    };
    let (before, after) = (&baseline.name, &material.subject().name);
    let neither = choice.probes - choice.gained - choice.lost - choice.both;
    let picked = if choice.differs {
        format!(
            "{name} was picked because it shows a difference: it is the first probe, in file order, whose best match is wrong for the {before} and right for the {after}."
        )
    } else {
        format!(
            "{name} is the first probe in file order; there is none on which the {before} is wrong and the {after} right."
        )
    };
    format!(
        "{picked} Of {all} at {size}\u{a0}px, {} are such; on {} it is the other way round, on {} both are right, on {} neither. The gallery holds every other image at full resolution; a tie with another person counts as wrong.",
        count(choice.gained),
        count(choice.lost),
        count(choice.both),
        count(neither)
    )
}

fn list(
    material: &Material<'_>,
    contender: &Contender<'_>,
    size: usize,
    image: usize,
    candidates: usize,
) -> Element {
    let best = contender
        .evaluation
        .best(contender.views(), size, image, candidates);
    let hits = best.iter().filter(|c| c.mated).count();
    let title = el("h3")
        .push(span(&format!("swatch {}", contender.tone), ""))
        .text(format!("The {}’s {} best", contender.name, best.len()))
        .push(span(
            "note",
            format!("{hits} of {} the same person", best.len()),
        ));
    let item = |(rank, candidate): (usize, &ccface_train::faces::Candidate)| {
        let person = material.person(candidate.image);
        let (class, mark, said) = if candidate.mated {
            ("match same", "✓", "same person")
        } else {
            ("match other", "✕", "other person")
        };
        el("li")
            .attr("class", class)
            .attr("title", &material.evaluation().names[candidate.image])
            .push(picture(
                &material.faces()[candidate.image],
                &format!("rank {}: {person}, {said}", rank + 1),
            ))
            .push(div("said").push(span("mark", mark)).push(span("", said)))
            .push(div("score").text(cosine(candidate.score)))
    };
    el("section").push(title).push(
        el("ol")
            .attr("class", "matches")
            .extend(best.iter().enumerate().map(item)),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::report::testing::{evaluation, vectors};

    #[test]
    fn the_first_probe_that_tells_the_encoders_apart_is_chosen_and_counted() {
        let mut evaluation = evaluation(&[12], true);
        let clear = vectors(&evaluation.labels, 0.05, 1);
        let mut confused = clear.clone();
        // The teacher takes probes 4 and 9 for the next person.
        for image in [4, 9] {
            let other = evaluation
                .labels
                .iter()
                .position(|l| *l != evaluation.labels[image])
                .unwrap();
            confused[image] = clear[other].clone();
        }
        let rows = |rows: &[Vec<f32>]| ccface_eval::Embeddings::from_rows(rows).unwrap();
        evaluation.student.hr = rows(&clear);
        evaluation.student.lr.insert(12, rows(&clear));
        let teacher = evaluation.teacher.as_mut().unwrap();
        teacher.hr = rows(&clear);
        teacher.lr.insert(12, rows(&confused));
        let material = Material::of_one(&evaluation);
        let probes = evaluation.labels.len();
        let choice = choose(&material, 12).unwrap();
        assert_eq!(
            choice,
            Choice {
                image: 4,
                differs: true,
                probes,
                gained: 2,
                lost: 0,
                both: probes - 2
            }
        );
        let html = search(&material, 12, 5).unwrap().to_string();
        assert!(
            html.contains("picked because it shows a difference") && html.contains("2 are such")
        );
        assert_eq!(html.matches("class=\"match ").count(), 10);
    }

    #[test]
    fn where_nothing_differs_the_caption_says_so() {
        let mut evaluation = evaluation(&[12], true);
        evaluation.teacher = Some(evaluation.student.clone());
        let html = search(&Material::of_one(&evaluation), 12, 5)
            .unwrap()
            .to_string();
        assert!(
            html.contains("there is none on which the teacher is wrong"),
            "{html}"
        );
    }

    #[test]
    fn same_and_other_are_told_by_words_and_not_by_colour_alone() {
        let html = search(&Material::of_one(&evaluation(&[12], false)), 12, 5)
            .unwrap()
            .to_string();
        assert_eq!(
            html.matches(">same person<").count() + html.matches(">other person<").count(),
            5
        );
    }
}
