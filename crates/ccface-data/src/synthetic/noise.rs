//! A tile of smooth noise, drawn once per face and looked up at any scale.

use super::math::{floor, mix};
use crate::rng::Stream;

const SIDE: usize = 64;

/// A periodic 64 × 64 lattice of uniform numbers with bilinear look-up.
#[derive(Debug, Clone)]
pub(super) struct Noise {
    lattice: Box<[f32; SIDE * SIDE]>,
}

impl Noise {
    pub(super) fn new(stream: &mut Stream) -> Self {
        // Four 16-bit numbers out of every draw.
        let mut lattice = Box::new([0.0; SIDE * SIDE]);
        for four in lattice.chunks_exact_mut(4) {
            let bits = stream.next_u64();
            for (k, value) in four.iter_mut().enumerate() {
                *value = ((bits >> (16 * k)) & 0xFFFF) as f32 / 65_535.0;
            }
        }
        Self { lattice }
    }

    /// The value in `[0, 1]` at a place in lattice steps.
    #[inline]
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        let (fx, fy) = (floor(x), floor(y));
        let (tx, ty) = (x - fx as f32, y - fy as f32);
        let wrap = |i: i32| i as usize & (SIDE - 1);
        let (ix, iy, jx, jy) = (wrap(fx), wrap(fy), wrap(fx + 1), wrap(fy + 1));
        // The mask tells the compiler that the index is in range.
        let get = |x: usize, y: usize| self.lattice[(y * SIDE + x) & (SIDE * SIDE - 1)];
        mix(
            mix(get(ix, iy), get(jx, iy), tx),
            mix(get(ix, jy), get(jx, jy), tx),
            ty,
        )
    }

    /// Two octaves, in `[−1, 1]`.
    pub(super) fn fractal(&self, x: f32, y: f32) -> f32 {
        (self.at(x, y) * 0.65 + self.at(x * 2.13 + 17.3, y * 2.13 + 9.1) * 0.35) * 2.0 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn noise_is_continuous_periodic_and_within_its_range() {
        let noise = Noise::new(&mut Stream::new(1, 0, 0, Purpose::Synthetic(0)));
        for i in 0..200 {
            let (x, y) = (i as f32 * 0.37 - 20.0, i as f32 * 0.91 - 50.0);
            let v = noise.at(x, y);
            assert!((0.0..=1.0).contains(&v));
            assert!((v - noise.at(x + 1e-3, y)).abs() < 2e-3);
            assert!((v - noise.at(x + 64.0, y - 64.0)).abs() < 1e-3);
            assert!(noise.fractal(x, y).abs() <= 1.0);
        }
    }
}
