//! What the quickstart does, decided before anything is drawn or trained.

use std::{ops::Range, path::Path};

use ccface_train::{ConfigSource, RunConfig};

use crate::CliError;

/// Pictures of each person.
pub(super) const PICTURES: usize = 10;
/// People who are only evaluated, right after the training people.
pub(super) const HELD_OUT: u64 = 60;
/// Face sizes of the evaluation; the last is full resolution.
pub(super) const SIZES: [usize; 6] = [8, 12, 16, 24, 32, 112];

/// Pictures that the teacher sees in training: the budget of the largest part.
const TEACHER_PICTURES: usize = 16_000;
/// Pictures that the control and the student see each.
const STUDENT_PICTURES: usize = 9_600;

const BASE: (&str, &str) = ("quickstart/base.toml", include_str!("base.toml"));

/// People to train on: a number, or a range `first..end` of the generator's identities.
pub(super) fn people(text: &str) -> Result<Range<u64>, CliError> {
    let wrong = || {
        CliError::Usage(format!(
            "--identities {text}: give a number of people (240) or a range of the generator's identities (1000..1240), at least 10"
        ))
    };
    let range: Range<u64> = match text.split_once("..") {
        Some((first, end)) => {
            first.trim().parse().map_err(|_| wrong())?..end.trim().parse().map_err(|_| wrong())?
        }
        None => 0..text.trim().parse().map_err(|_| wrong())?,
    };
    let count = range.end.checked_sub(range.start).ok_or_else(wrong)?;
    if !(10..=20_000).contains(&count) || range.end > u64::MAX - HELD_OUT {
        return Err(wrong());
    }
    Ok(range)
}

/// Epochs that keep a run within its budget of pictures.
fn epochs(budget: usize, people: &Range<u64>) -> usize {
    let pictures = (people.end - people.start) as usize * PICTURES;
    (budget as f64 / pictures as f64).round().max(1.0) as usize
}

/// The configurations of the three runs.
pub(super) struct Plan {
    pub(super) teacher: RunConfig,
    pub(super) control: RunConfig,
    pub(super) student: RunConfig,
}

impl Plan {
    pub(super) fn new(
        out: &Path,
        seed: u64,
        people: &Range<u64>,
        device: &str,
    ) -> Result<Self, CliError> {
        let quoted = |path: &Path| serde_json::Value::from(path.display().to_string()).to_string();
        let common = [
            format!("seed={seed}"),
            format!("device={device}"),
            format!("data.path={}", quoted(&out.join("faces/train"))),
        ];
        let config = |own: &[String]| -> Result<RunConfig, CliError> {
            let set = common.iter().chain(own).cloned().collect();
            Ok(ConfigSource {
                file: None,
                text: Some(BASE),
                set,
            }
            .load()?)
        };
        let (long, short) = (
            epochs(TEACHER_PICTURES, people),
            epochs(STUDENT_PICTURES, people),
        );
        let teacher = quoted(&out.join("teacher"));
        // The control and the student differ in the objective and in nothing else.
        let both = [
            format!("teacher.path={teacher}"),
            "student.start=teacher".into(),
            format!("train.epochs={short}"),
            "optimiser.learning_rate=0.05".into(),
        ];
        let with = |own: &[&str]| -> Vec<String> {
            both.iter()
                .cloned()
                .chain(own.iter().map(ToString::to_string))
                .collect()
        };
        Ok(Self {
            teacher: config(&[
                "pairs.p_hr=1.0".into(),
                format!("train.epochs={long}"),
                "head.margin_warmup_epochs=2".into(),
                "optimiser.warmup_epochs=0.5".into(),
            ])?,
            control: config(&with(&["head.start=class_means"]))?,
            student: config(&with(&["teacher.prototypes=inherited"]))?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ccface_train::Task;

    #[test]
    fn people_are_a_number_or_a_range() {
        assert_eq!(people("240").unwrap(), 0..240);
        assert_eq!(people("1000..1240").unwrap(), 1000..1240);
        for wrong in ["", "5", "x", "7..3", "1..2..3", "-4"] {
            assert!(people(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_number_of_pictures_seen_hardly_depends_on_the_number_of_people() {
        for count in [100u64, 240, 500, 1000] {
            let seen = epochs(TEACHER_PICTURES, &(0..count)) as u64 * count * PICTURES as u64;
            assert!((10_000..=24_000).contains(&seen), "{count}: {seen}");
        }
    }

    #[test]
    fn all_three_configurations_are_valid_and_control_and_student_share_their_compute() {
        let plan = Plan::new(Path::new("a b"), 7, &(0..240), "flex").unwrap();
        plan.teacher.validate(Task::Train, "teacher").unwrap();
        plan.control.validate(Task::Train, "control").unwrap();
        plan.student.validate(Task::Distill, "student").unwrap();
        assert_eq!(plan.control.train, plan.student.train);
        assert_eq!(plan.control.pairs, plan.student.pairs);
        assert_eq!(plan.control.optimiser, plan.student.optimiser);
    }
}
