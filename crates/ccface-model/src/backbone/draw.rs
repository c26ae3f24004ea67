//! Initial weights as a pure function of (seed, tensor name, index), the same on every backend.

use std::f64::consts::TAU;

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The stream of numbers of one tensor.
///
/// A counter-based generator: element `i` hashes `key + i·golden` (SplitMix64), so no draw depends on
/// another tensor, on the order of construction or on the device.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    state: u64,
}

impl Draw {
    /// The stream of the tensor `name` under `seed`.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.update(name.as_bytes());
        let mut key = [0u8; 8];
        hasher.finalize_xof().fill(&mut key);
        Self {
            state: u64::from_le_bytes(key),
        }
    }

    /// `count` numbers from a normal distribution of mean 0 (Box–Muller in f64).
    pub(crate) fn normal(mut self, count: usize, std: f64) -> Vec<f32> {
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            // 1 − u lies in (0, 1], so the logarithm is finite.
            let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt() * std;
            let (sin, cos) = (TAU * self.unit()).sin_cos();
            values.push((radius * cos) as f32);
            values.push((radius * sin) as f32);
        }
        values.truncate(count);
        values
    }

    /// `count` numbers from U(−bound, bound).
    pub(crate) fn uniform(mut self, count: usize, bound: f64) -> Vec<f32> {
        (0..count)
            .map(|_| ((2.0 * self.unit() - 1.0) * bound) as f32)
            .collect()
    }

    /// The next number in [0, 1).
    fn unit(&mut self) -> f64 {
        self.state = self.state.wrapping_add(GOLDEN);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_draws_have_the_asked_moments() {
        let values = Draw::new(7, "conv1.weight").normal(200_000, 0.1);
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let var = values
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / n;
        let beyond = values.iter().filter(|v| v.abs() > 0.196).count() as f64 / n;
        assert!(mean.abs() < 1e-3, "mean {mean}");
        assert!((var.sqrt() - 0.1).abs() < 1e-3, "std {}", var.sqrt());
        assert!((beyond - 0.05).abs() < 3e-3, "tails {beyond}");
    }

    #[test]
    fn draws_depend_on_seed_and_name_only() {
        let draw = |seed, name: &str| Draw::new(seed, name).uniform(9, 1.0);
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert!(draw(3, "c").iter().all(|v| (-1.0..1.0).contains(v)));
    }

    #[test]
    fn an_odd_count_is_a_prefix_of_the_even_one() {
        let odd = Draw::new(1, "a").normal(7, 1.0);
        let even = Draw::new(1, "a").normal(8, 1.0);
        assert_eq!(odd[..], even[..7]);
    }
}
