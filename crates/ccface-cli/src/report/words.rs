//! What the figures say, in plain sentences.

use ccface_eval::PairingResult;

use super::{
    material::{Contender, Material},
    numbers::{cosine, count, percent, target},
};

/// The FMR at which results keep their operating point.
const FMR: f64 = 0.01;
/// An FMR up to this many times the wanted one still counts as near it.
const NEAR: f64 = 2.0;

/// The one sentence that the page is about, at this size.
pub(crate) fn headline(material: &Material<'_>, size: usize) -> String {
    let subject = material.subject();
    let Some(after) = subject.at(size) else {
        return format!("No result at {size}\u{a0}px.");
    };
    if after.tar_1e2.value().is_none() {
        return format!(
            "{} impostor comparisons are too few to speak of FMR\u{a0}{}; the EER at {size}\u{a0}px is {}{}.",
            count(after.impostor),
            target(FMR),
            percent(after.eer),
            tag(material, subject)
        );
    }
    let Some((baseline, before)) = material.baseline().and_then(|b| Some((b, b.at(size)?))) else {
        return format!(
            "At FMR\u{a0}{}, false rejects at {size}\u{a0}px are {}{}.",
            target(FMR),
            percent(after.at_fmr_1e2.fnmr),
            tag(material, subject)
        );
    };
    let (from, to) = (before.at_fmr_1e2.fnmr, after.at_fmr_1e2.fnmr);
    let (shown_from, shown_to) = (percent(from), percent(to));
    if shown_from == shown_to {
        return format!(
            "At FMR\u{a0}{}, false rejects at {size}\u{a0}px stay at {shown_to} ({} and {}).",
            target(FMR),
            baseline.name,
            subject.name
        );
    }
    format!(
        "At FMR\u{a0}{}, false rejects at {size}\u{a0}px {} from {shown_from} ({}) to {shown_to} ({}).",
        target(FMR),
        if to < from { "fall" } else { "rise" },
        baseline.name,
        subject.name
    )
}

/// What else has to be said, most important first.
pub(crate) fn points(material: &Material<'_>, size: usize) -> Vec<String> {
    [
        between(material, size),
        certainty(material, size),
        crossed(material, size),
        collapse(material, size),
        full_size(material),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whose figure it is, where there are several encoders.
fn tag(material: &Material<'_>, contender: &Contender<'_>) -> String {
    if material.contenders.len() > 1 {
        format!(" ({})", contender.name)
    } else {
        String::new()
    }
}

/// Share of genuine comparisons rejected at FMR 1 %, with its naive interval.
fn rejects(result: &PairingResult) -> Option<(f64, f64, f64)> {
    let (low, high) = result.tar_1e2.interval()?;
    Some((1.0 - high, result.at_fmr_1e2.fnmr, 1.0 - low))
}

fn certainty(material: &Material<'_>, size: usize) -> Option<String> {
    let after = material.subject().at(size)?;
    let (low, _, high) = rejects(after)?;
    let mut text = format!(
        "The figures at {size}\u{a0}px rest on {} genuine and {} impostor comparisons of {} people",
        count(after.genuine),
        count(after.impostor),
        count(material.result().protocol.identities)
    );
    let before = material
        .baseline()
        .and_then(|b| Some((b, rejects(b.at(size)?)?)));
    match before {
        Some((baseline, (low_before, _, high_before))) => {
            text += &format!(
                "; naive 95\u{a0}% intervals of the false rejects: {} ({}), {} ({})",
                range(low_before, high_before),
                baseline.name,
                range(low, high),
                material.subject().name
            );
            if low <= high_before && low_before <= high {
                text += ". They overlap: the difference may be chance";
            }
        }
        None => {
            text += &format!(
                "; naive 95\u{a0}% interval of the false rejects: {}",
                range(low, high)
            );
        }
    }
    Some(text + ".")
}

fn range(low: f64, high: f64) -> String {
    let low = percent(low);
    format!("{} to {}", low.trim_end_matches("\u{a0}%"), percent(high))
}

/// The encoders between baseline and subject.
fn between(material: &Material<'_>, size: usize) -> Option<String> {
    let inner = material.contenders.get(1..material.contenders.len() - 1)?;
    let stated: Vec<String> = inner
        .iter()
        .filter_map(|c| {
            c.at(size)
                .map(|r| format!("{} ({})", percent(r.at_fmr_1e2.fnmr), c.name))
        })
        .collect();
    (!stated.is_empty()).then(|| {
        format!(
            "For comparison, at the same size and FMR: {}.",
            stated.join(", ")
        )
    })
}

fn crossed(material: &Material<'_>, size: usize) -> Option<String> {
    if let Some(result) = material.crossed(size) {
        let start = "Without re-enrolment (the student on the camera’s side, the gallery as the teacher enrolled it)";
        return Some(match result.tar_1e2.value() {
            Some(_) => format!(
                "{start}, false rejects at {size}\u{a0}px are {}.",
                percent(result.at_fmr_1e2.fnmr)
            ),
            None => format!(
                "{start}, the EER at {size}\u{a0}px is {}.",
                percent(result.eer)
            ),
        });
    }
    let result = material.result();
    let teacher = result.teacher.as_ref()?;
    (teacher.embedding != result.model.embedding).then(|| {
        format!(
            "The student’s embeddings have {} values and the teacher’s {}: a gallery that the teacher enrolled has to be enrolled anew.",
            result.model.embedding, teacher.embedding
        )
    })
}

fn collapse(material: &Material<'_>, size: usize) -> Option<String> {
    let subject = material.subject();
    let result = subject.collapse(size)?;
    let wanted = material.result().protocol.hr_fmr;
    let fmr = result.fmr_at_hr_threshold;
    let verdict = if fmr <= NEAR * wanted {
        format!("near the {} it was set for", target(wanted))
    } else {
        format!(
            "{:.0} times the {} it was set for, so small faces need a threshold of their own",
            fmr / wanted,
            target(wanted)
        )
    };
    let others: Vec<String> = material
        .contenders
        .iter()
        .rev()
        .skip(1)
        .rev()
        .filter_map(|c: &Contender<'_>| {
            c.collapse(size)
                .map(|r| format!("{}: {}", c.name, percent(r.fmr_at_hr_threshold)))
        })
        .collect();
    let whose = if others.is_empty() {
        String::new()
    } else {
        format!(" ({}; {})", subject.name, others.join(", "))
    };
    Some(format!(
        "Small face against small face, at the threshold fixed on full resolution: {} of {size}-px pairs of strangers match{whose} – {verdict}. Their mean cosine is {}.",
        percent(fmr),
        cosine(result.mean_impostor_cosine)
    ))
}

fn full_size(material: &Material<'_>) -> Option<String> {
    let size = *material.sizes.last()?;
    if !material.is_full_size(size) {
        return None;
    }
    let stated: Vec<String> = material
        .contenders
        .iter()
        .filter_map(|c| {
            c.at(size)
                .map(|r| format!("{}{}", percent(r.eer), tag(material, c)))
        })
        .collect();
    (!stated.is_empty()).then(|| {
        format!(
            "On faces at full size ({size}\u{a0}px) the EER is {}.",
            stated.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ccface_train::faces::{FacesEvaluation, SizeResult};

    use super::*;
    use crate::report::testing::evaluation;

    fn set_rejects(evaluation: &mut FacesEvaluation, pairing: &str, fnmr: f64) {
        let result = evaluation
            .result
            .pairings
            .get_mut(pairing)
            .unwrap()
            .get_mut("16")
            .unwrap();
        let SizeResult::Pairing(result) = result else {
            panic!("{pairing} is no pairing")
        };
        result.at_fmr_1e2.fnmr = fnmr;
    }

    fn sentence(teacher: f64, student: f64) -> String {
        let mut evaluation = evaluation(&[8, 16, 32], true);
        set_rejects(&mut evaluation, "teacher-teacher", teacher);
        set_rejects(&mut evaluation, "student-student", student);
        headline(&Material::of_one(&evaluation), 16).replace('\u{a0}', " ")
    }

    #[test]
    fn the_headline_says_fall_rise_and_stay() {
        assert_eq!(
            sentence(0.813, 0.124),
            "At FMR 1 %, false rejects at 16 px fall from 81.3 % (teacher) to 12.4 % (student)."
        );
        assert_eq!(
            sentence(0.004, 0.021),
            "At FMR 1 %, false rejects at 16 px rise from 0.40 % (teacher) to 2.1 % (student)."
        );
        assert_eq!(
            sentence(0.12001, 0.12002),
            "At FMR 1 %, false rejects at 16 px stay at 12.0 % (teacher and student)."
        );
    }

    #[test]
    fn without_a_teacher_the_headline_speaks_of_the_network_alone() {
        let evaluation = evaluation(&[8, 16], false);
        let material = Material::of_one(&evaluation);
        let text = headline(&material, 16);
        assert!(
            text.contains("false rejects") && !text.contains('('),
            "{text}"
        );
        assert!(points(&material, 16).iter().all(|p| !p.contains("teacher")));
    }

    #[test]
    fn too_few_impostors_are_said_instead_of_a_rate() {
        let mut evaluation = evaluation(&[16], true);
        let result = evaluation
            .result
            .pairings
            .get_mut("student-student")
            .unwrap()
            .get_mut("16")
            .unwrap();
        let SizeResult::Pairing(result) = result else {
            panic!("no pairing")
        };
        result.tar_1e2 = ccface_eval::Rate::insufficient("only 40 impostors");
        let text = headline(&Material::of_one(&evaluation), 16);
        assert!(text.contains("too few"), "{text}");
    }

    #[test]
    fn a_collapse_is_called_what_it_is() {
        let mut evaluation = evaluation(&[16], true);
        for (fmr, said) in [(0.012, "near the 1 %"), (0.34, "34 times the 1 %")] {
            let result = evaluation
                .result
                .pairings
                .get_mut("lr-lr")
                .unwrap()
                .get_mut("16")
                .unwrap();
            let SizeResult::Collapse(result) = result else {
                panic!("no collapse result")
            };
            result.fmr_at_hr_threshold = fmr;
            let text = collapse(&Material::of_one(&evaluation), 16)
                .unwrap()
                .replace('\u{a0}', " ");
            assert!(text.contains(said), "{text}");
        }
    }

    #[test]
    fn a_gallery_of_other_dimensions_is_explained() {
        let mut evaluation = evaluation(&[16], true);
        evaluation.result.pairings.remove("student-teacher");
        evaluation.result.model.embedding = 128;
        evaluation.result.teacher.as_mut().unwrap().embedding = 512;
        let text = crossed(&Material::of_one(&evaluation), 16).unwrap();
        assert!(text.contains("128") && text.contains("512"), "{text}");
    }
}
