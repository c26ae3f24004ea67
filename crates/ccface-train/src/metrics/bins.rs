//! How the numbers of a batch are spread: counts in bins of equal width.

use serde::{Deserialize, Serialize};

/// Counts of values in bins of equal width between two ends.
///
/// ```text
/// bin(v) = ⌊(v − low)/(high − low)·n⌋, clamped to 0..n−1
/// ```
///
/// A value outside counts in the bin at its end; one that is not finite counts nowhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bins {
    /// Lower end of the first bin.
    pub low: f64,
    /// Upper end of the last bin.
    pub high: f64,
    /// Values in each bin.
    pub counts: Vec<u32>,
}

impl Bins {
    /// Counts `values` in `bins` bins (at least one) between `low` and `high`.
    pub fn count(values: &[f32], low: f64, high: f64, bins: usize) -> Self {
        let mut counts = vec![0u32; bins.max(1)];
        let last = counts.len() - 1;
        for value in values.iter().map(|v| f64::from(*v)) {
            let place = (value - low) / (high - low) * counts.len() as f64;
            if value.is_finite() && !place.is_nan() {
                // `as` saturates: what lies below the first bin counts in it.
                counts[(place as usize).min(last)] += 1;
            }
        }
        Self { low, high, counts }
    }

    /// Adds the counts of another batch in the same bins.
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, more) in self.counts.iter_mut().zip(&other.counts) {
            *sum += more;
        }
    }

    /// Upper end of bin `index`.
    pub fn upper(&self, index: usize) -> f64 {
        let share = (index + 1) as f64 / self.counts.len().max(1) as f64;
        self.low + (self.high - self.low) * share
    }

    /// Values counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().copied().map(u64::from).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_and_what_lies_beyond_them_are_counted_and_nan_is_not() {
        let values = [-1.0, 0.0, 0.24, 0.25, 0.5, 9.0, f32::NAN, f32::INFINITY];
        let bins = Bins::count(&values, 0.0, 0.5, 2);
        assert_eq!(bins.counts, [3, 3]);
        assert_eq!((bins.upper(0), bins.upper(1), bins.total()), (0.25, 0.5, 6));
    }

    #[test]
    fn a_range_of_no_width_counts_nothing_and_does_not_panic() {
        assert_eq!(Bins::count(&[0.0], 0.0, 0.0, 3).total(), 0);
    }
}
