//! Part 3: contrast between LR queries and HR keys.

use super::{Matrix, dot, log_sum_exp, unit_rows};

/// Past keys with their labels.
pub(crate) type Queue<'a> = Option<(&'a Matrix, &'a [usize])>;

/// The exponents of each sample's denominator: its positive, the key negatives, the LR–LR push.
pub(crate) struct Denominator {
    pub(crate) positive: f64,
    pub(crate) keys: Vec<f64>,
    pub(crate) push: Vec<f64>,
}

impl Denominator {
    fn all(&self) -> Vec<f64> {
        let mut all = vec![self.positive];
        all.extend(&self.keys);
        all.extend(&self.push);
        all
    }

    /// The loss.
    pub(crate) fn loss(&self) -> f64 {
        log_sum_exp(&self.all()) - self.positive
    }

    /// How many negatives there are.
    pub(crate) fn negatives(&self) -> usize {
        self.keys.len() + self.push.len()
    }

    /// The share of the denominator that is push.
    pub(crate) fn push_share(&self) -> f64 {
        (log_sum_exp(&self.push) - log_sum_exp(&self.all())).exp()
    }
}

/// Each sample's denominator.
pub(crate) fn denominators(
    student: &Matrix,
    keys: &Matrix,
    labels: &[usize],
    queue: Queue<'_>,
    temperature: f64,
    batch_keys: bool,
    push: bool,
) -> Vec<Denominator> {
    let z = unit_rows(student);
    let mut out = Vec::new();
    for i in 0..z.len() {
        let mut denominator = Denominator {
            positive: dot(&z[i], &keys[i]) / temperature,
            keys: Vec::new(),
            push: Vec::new(),
        };
        for j in 0..z.len() {
            if labels[j] == labels[i] {
                continue;
            }
            if batch_keys {
                denominator.keys.push(dot(&z[i], &keys[j]) / temperature);
            }
            if push {
                denominator.push.push(dot(&z[i], &z[j]) / temperature);
            }
        }
        if let Some((past, past_labels)) = queue {
            for q in 0..past.len() {
                if past_labels[q] != labels[i] {
                    denominator.keys.push(dot(&z[i], &past[q]) / temperature);
                }
            }
        }
        out.push(denominator);
    }
    out
}
