//! How well embeddings tell people apart, with the error of leaving people out.

/// The separation of same and different people, as a whole and without each person.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Separation {
    pub(super) value: f64,
    without: Vec<f64>,
}

/// Count, sum and sum of squares of cosines.
#[derive(Clone, Copy, Default)]
struct Moments {
    n: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.n += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    fn less(self, other: Self) -> Self {
        Self {
            n: self.n - other.n,
            sum: self.sum - other.sum,
            squares: self.squares - other.squares,
        }
    }

    fn mean(self) -> f64 {
        self.sum / self.n.max(1.0)
    }

    fn variance(self) -> f64 {
        (self.squares / self.n.max(1.0) - self.mean().powi(2)).max(1e-12)
    }
}

fn separation(same: Moments, different: Moments) -> f64 {
    (same.mean() - different.mean()) / ((same.variance() + different.variance()) / 2.0).sqrt()
}

impl Separation {
    /// Of unit rows with dense labels.
    pub(super) fn of(rows: &[f32], dim: usize, labels: &[u32]) -> Self {
        let people = labels.iter().max().map_or(0, |&l| l as usize + 1);
        let mut all = [Moments::default(); 2];
        // What each person takes part in.
        let mut part = vec![[Moments::default(); 2]; people];
        let rows: Vec<&[f32]> = rows.chunks_exact(dim).collect();
        for (i, a) in rows.iter().enumerate() {
            for (j, b) in rows.iter().enumerate().skip(i + 1) {
                let cosine: f64 = a
                    .iter()
                    .zip(*b)
                    .map(|(x, y)| f64::from(*x) * f64::from(*y))
                    .sum();
                let (p, q) = (labels[i] as usize, labels[j] as usize);
                let kind = usize::from(p != q);
                all[kind].add(cosine);
                part[p][kind].add(cosine);
                if p != q {
                    part[q][kind].add(cosine);
                }
            }
        }
        Self {
            value: separation(all[0], all[1]),
            without: part
                .iter()
                .map(|part| separation(all[0].less(part[0]), all[1].less(part[1])))
                .collect(),
        }
    }

    /// How far this one is above another of the same people, and the jackknife's standard error of that.
    ///
    /// ```text
    /// se² = (n − 1)/n · Σ_i (δ_i − δ̄)²        δ_i the difference without person i
    /// ```
    pub(super) fn above(&self, other: &Self) -> (f64, f64) {
        let differences: Vec<f64> = self
            .without
            .iter()
            .zip(&other.without)
            .map(|(a, b)| a - b)
            .collect();
        let n = differences.len().max(1) as f64;
        let mean = differences.iter().sum::<f64>() / n;
        let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
        (self.value - other.value, ((n - 1.0) / n * squares).sqrt())
    }
}
