//! Part 3 with every combination of negatives.

use ccface_losses::CrossResolution;

use super::{check, labels, matrix, unit};

#[test]
fn to_the_student_with_every_option() {
    for option in 1..16 {
        let [batch_keys, push, queue, normalise] = [1, 2, 4, 8].map(|bit| option & bit != 0);
        if !(batch_keys || push || queue) {
            continue;
        }
        check(matrix(4, 5, 0.3), |student| {
            CrossResolution {
                temperature: 0.2,
                batch_keys,
                push,
                normalise,
            }
            .forward_no_reduction(
                student,
                unit(4, 5, 0.8),
                labels(&[0, 1, 1, 2]),
                queue.then(|| (unit(3, 5, 1.4), labels(&[0, 2, 7]))),
            )
            .loss
        });
    }
}
