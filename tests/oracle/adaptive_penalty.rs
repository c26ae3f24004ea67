//! Part 2: the margin of each sample.

use super::{Matrix, clamp_cosine, dot, unit};

/// The margin of each sample for a kind of difficulty, by its name in configurations.
pub(crate) fn margins(
    kind: &str,
    student: &Matrix,
    teacher_hr: &Matrix,
    teacher_lr: &Matrix,
    prototypes: &Matrix,
    labels: &[usize],
    range: (f64, f64),
) -> Vec<f64> {
    let mut margins = Vec::new();
    for i in 0..student.len() {
        let own = &prototypes[labels[i]];
        let kept = clamp_cosine(dot(&unit(&student[i]), own));
        let hr = dot(&teacher_hr[i], own);
        let lr = dot(&teacher_lr[i], own);
        let g = match kind {
            "fixed" => 1.0,
            "teacher_hr" => hr.clamp(0.0, 1.0),
            "teacher_lr" => lr.clamp(0.0, 1.0),
            "retention" => (kept.clamp(0.0, 1.0) / hr.clamp(0.2, 1.0)).clamp(0.0, 1.0),
            "minimum" => kept.min(hr).clamp(0.0, 1.0),
            other => panic!("no oracle for the difficulty {other:?}"),
        };
        margins.push(range.0 + (range.1 - range.0) * g);
    }
    margins
}
