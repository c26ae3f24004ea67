//! Random numbers as a pure function of (seed, epoch, index, purpose).

use std::ops::Range;

/// What a stream of random numbers is for; draws of different purposes never touch each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// The order of an epoch.
    Order,
    /// Mirroring of a pair.
    Flip,
    /// Whether the student sees the HR view.
    HrView,
    /// The face size of the LR view.
    Size,
    /// A degradation stage, by its place in the recipe.
    Stage(u32),
    /// The image that stands in for a bad one.
    Substitute,
    /// Identity folds.
    Folds,
    /// How a variant of a picture is moved.
    Variant,
    /// Synthetic faces.
    Synthetic(u32),
    /// Anything else; callers outside this crate choose their own number.
    Other(u32),
}

impl Purpose {
    fn code(self) -> u64 {
        let (kind, detail) = match self {
            Purpose::Order => (1, 0),
            Purpose::Flip => (2, 0),
            Purpose::HrView => (3, 0),
            Purpose::Size => (4, 0),
            Purpose::Stage(i) => (5, i),
            Purpose::Substitute => (6, 0),
            Purpose::Folds => (7, 0),
            Purpose::Synthetic(i) => (8, i),
            Purpose::Other(i) => (9, i),
            Purpose::Variant => (10, 0),
        };
        (kind << 32) | u64::from(detail)
    }
}

/// A stream of random numbers whose every value follows from (seed, epoch, index, purpose) and the
/// number of draws before it.
///
/// ```text
/// key   = mix(mix(mix(mix(seed) + epoch) + index) + purpose)
/// x_k   = mix(key + k·0x9E3779B97F4A7C15),  k = 1, 2, …      (SplitMix64)
/// ```
///
/// Source: verbatim, SplitMix64 of Steele, Lea and Flood (2014). Integer arithmetic and the `libm` crate
/// only, so values are the same on every platform and in every version of this crate; a test holds fixed
/// values.
///
/// ```
/// use ccface_data::rng::{Purpose, Stream};
/// let mut a = Stream::new(1, 0, 7, Purpose::Flip);
/// let mut b = Stream::new(1, 0, 7, Purpose::Flip);
/// assert_eq!(a.uniform(), b.uniform());
/// ```
#[derive(Debug, Clone)]
pub struct Stream {
    state: u64,
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Stream {
    /// The stream of one purpose for one image in one epoch.
    pub fn new(seed: u64, epoch: u64, index: u64, purpose: Purpose) -> Self {
        let mut key = mix(seed.wrapping_add(GOLDEN));
        for part in [epoch, index, purpose.code()] {
            key = mix(key.wrapping_add(part).wrapping_add(GOLDEN));
        }
        Self { state: key }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number in `[0, 1)` with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A number in `[range.start, range.end)`; the start where the range is empty.
    pub fn uniform_in(&mut self, range: Range<f64>) -> f64 {
        let u = self.uniform();
        if range.end > range.start {
            range.start + (range.end - range.start) * u
        } else {
            range.start
        }
    }

    /// `true` with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// A whole number in `0..n`, each one equally likely (Lemire's method).
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "Stream::below: n must be at least 1");
        let n = n as u64;
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= threshold {
                return (product >> 64) as usize;
            }
        }
    }

    /// One of the items, each one equally likely.
    ///
    /// # Panics
    /// When there is none.
    pub fn choice<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A standard normal number.
    pub fn normal(&mut self) -> f64 {
        self.normal_pair().0
    }

    /// Two independent standard normal numbers (Box–Muller on two uniform numbers).
    pub fn normal_pair(&mut self) -> (f64, f64) {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        let (sin, cos) = libm::sincos(2.0 * std::f64::consts::PI * self.uniform());
        (radius * cos, radius * sin)
    }

    /// Puts the items into a random order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// A random order of `0..n`.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }
}

/// The order in which an epoch visits `n` images.
///
/// ```
/// let mut order = ccface_data::rng::epoch_order(1, 0, 5);
/// order.sort();
/// assert_eq!(order, [0, 1, 2, 3, 4]);
/// ```
pub fn epoch_order(seed: u64, epoch: u64, n: usize) -> Vec<usize> {
    Stream::new(seed, epoch, 0, Purpose::Order).permutation(n)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The published first values for the state 1234567.
        let mut stream = Stream { state: 1_234_567 };
        assert_eq!(stream.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(stream.next_u64(), 3_203_168_211_198_807_973);
        assert_eq!(stream.next_u64(), 9_817_491_932_198_370_423);
    }

    #[test]
    fn draws_keep_their_values_for_ever() {
        let mut stream = Stream::new(1, 2, 3, Purpose::Size);
        let values = (
            stream.next_u64(),
            stream.below(1000),
            stream.uniform(),
            stream.normal(),
        );
        assert_eq!(format!("{values:?}"), FIXED);
        assert_eq!(epoch_order(7, 1, 8), FIXED_ORDER);
    }
    // The whole numbers were also computed by an independent program.
    const FIXED: &str = "(14463517890051663081, 308, 0.5185328224180237, 0.2656399275388912)";
    const FIXED_ORDER: [usize; 8] = [1, 6, 3, 4, 7, 5, 0, 2];

    #[test]
    fn every_part_of_the_key_changes_the_stream() {
        let first = |s, e, i, p| Stream::new(s, e, i, p).next_u64();
        let base = first(1, 0, 0, Purpose::Flip);
        assert_ne!(base, first(2, 0, 0, Purpose::Flip));
        assert_ne!(base, first(1, 1, 0, Purpose::Flip));
        assert_ne!(base, first(1, 0, 1, Purpose::Flip));
        assert_ne!(base, first(1, 0, 0, Purpose::Size));
        assert_ne!(
            first(1, 0, 0, Purpose::Stage(1)),
            first(1, 0, 0, Purpose::Stage(2))
        );
    }

    #[test]
    fn uniform_and_normal_have_the_right_moments() {
        let mut stream = Stream::new(3, 0, 0, Purpose::Other(0));
        let n = 40_000;
        let (mut u, mut z, mut zz) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            u += stream.uniform();
            let x = stream.normal();
            z += x;
            zz += x * x;
        }
        let n = f64::from(n);
        assert!((u / n - 0.5).abs() < 0.01);
        assert!((z / n).abs() < 0.02);
        assert!((zz / n - 1.0).abs() < 0.03);
    }

    #[test]
    fn a_permutation_holds_every_index_once_and_differs_between_epochs() {
        let a = epoch_order(1, 0, 101);
        let mut sorted = a.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..101).collect::<Vec<_>>());
        assert_ne!(a, epoch_order(1, 1, 101));
        assert!(epoch_order(1, 0, 0).is_empty());
    }

    #[test]
    fn below_reaches_every_value_about_equally_often() {
        let mut stream = Stream::new(5, 0, 0, Purpose::Other(1));
        let mut counts = [0usize; 7];
        for _ in 0..7_000 {
            counts[stream.below(7)] += 1;
        }
        assert!(
            counts.iter().all(|&c| (850..1150).contains(&c)),
            "{counts:?}"
        );
    }
}
