//! Part 1, both branches of the margin.

use ccface_losses::{
    ClassificationConsistency,
    angular::{normalise_rows, target_products},
};

use super::{check, from_numbers, labels, matrix, numbers, unit};

#[test]
fn to_the_student_for_each_margin() {
    for margin in [0.0, 0.2, 0.5, 1.2] {
        for scale in [1.0, 32.0] {
            let prototypes = unit(5, 6, 0.7);
            let own = [0, 4, 2, 2];
            let cosines = target_products(
                normalise_rows(matrix(4, 6, 0.3)),
                prototypes.clone(),
                labels(&own),
            );
            for cosine in numbers(cosines) {
                let distance = cosine.acos() + margin - std::f64::consts::PI;
                assert!(distance.abs() > 1e-2, "too close to the border");
            }
            check(matrix(4, 6, 0.3), |student| {
                ClassificationConsistency { scale }.forward_no_reduction(
                    student,
                    prototypes.clone(),
                    labels(&own),
                    from_numbers(vec![margin; 4], [4]),
                )
            });
        }
    }
}

#[test]
fn to_the_student_beyond_the_border() {
    // The student looks away from its prototype: θ = 165° and 170°, margin 0.5.
    let prototypes = from_numbers(vec![1.0, 0.0, 0.0, 1.0, 0.6, 0.8], [3, 2]);
    let rows = [165f64, -170.0]
        .iter()
        .flat_map(|degrees| [degrees.to_radians().cos(), degrees.to_radians().sin()])
        .collect();
    check(from_numbers(rows, [2, 2]), |student| {
        ClassificationConsistency { scale: 8.0 }.forward_no_reduction(
            student,
            prototypes.clone(),
            labels(&[0, 0]),
            from_numbers(vec![0.5; 2], [2]),
        )
    });
}
