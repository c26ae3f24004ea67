//! Resizing in `f32`, separable, with the conventions of the field's libraries.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::face::FaceImage;

/// How pixels are weighted when a picture changes size.
///
/// ```text
/// out(i) = Σ_j w_ij·in(j)        along each axis; Σ_j w_ij = 1; centre of i at (i + ½)·in/out − ½
/// ```
///
/// Borders are replicated. All but [`Box`](Kernel::Box) follow OpenCV's conventions, with no antialiasing
/// unless the kernel averages by itself; nothing is rounded to 8 bits.
///
/// Source: reconstructed, from the documented behaviour of OpenCV and Pillow; checked against their output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// The pixel at `⌊i·in/out⌋` (OpenCV `INTER_NEAREST`).
    Nearest,
    /// Linear between the two nearest pixels (OpenCV `INTER_LINEAR`).
    Bilinear,
    /// Cubic with a = −0.75 over four pixels (OpenCV `INTER_CUBIC`).
    Bicubic,
    /// The exact mean over the covered area for any ratio when shrinking; OpenCV's `INTER_AREA` when growing,
    /// which is nearest with a linear seam.
    Area,
    /// Lanczos, a = 4, over eight pixels (OpenCV `INTER_LANCZOS4`).
    Lanczos4,
    /// The mean of the pixels whose centre lies within the output pixel (Pillow's `BOX`); nearest when growing.
    Box,
}

impl Kernel {
    /// All kernels.
    pub const ALL: [Kernel; 6] = [
        Kernel::Nearest,
        Kernel::Bilinear,
        Kernel::Bicubic,
        Kernel::Area,
        Kernel::Lanczos4,
        Kernel::Box,
    ];
}

/// Resizes a picture to `width × height`.
///
/// # Panics
/// When a side of the input or the output is 0.
pub fn resize(face: &FaceImage, width: usize, height: usize, kernel: Kernel) -> FaceImage {
    assert!(
        width > 0 && height > 0 && face.width > 0 && face.height > 0,
        "resize: a side is 0"
    );
    if (width, height) == (face.width, face.height) {
        return face.clone();
    }
    let across = axis(kernel, face.width, width);
    let down = axis(kernel, face.height, height);
    let mut data = Vec::with_capacity(3 * width * height);
    let mut scratch = Vec::new();
    for plane in face.planes() {
        scratch.clear();
        // The pass that leaves fewer pixels goes first.
        if height * face.width <= width * face.height {
            rows(plane, face.width, &down, &mut scratch);
            columns(&scratch, face.width, &across, &mut data);
        } else {
            columns(plane, face.width, &across, &mut scratch);
            rows(&scratch, width, &down, &mut data);
        }
    }
    FaceImage {
        width,
        height,
        data,
    }
}

/// The weights along one axis: output `i` reads `taps` inputs from `start[i]` on.
struct Axis {
    taps: usize,
    start: Vec<usize>,
    weights: Vec<f32>,
}

impl Axis {
    /// Gathers weighted inputs per output; positions outside are clamped to the border.
    fn collect(input: usize, lists: &[Vec<(isize, f64)>]) -> Self {
        let clamp = |j: isize| j.clamp(0, input as isize - 1) as usize;
        let spans: Vec<(usize, usize)> = lists
            .iter()
            .map(|list| {
                let places = || list.iter().map(|(j, _)| clamp(*j));
                (places().min().unwrap_or(0), places().max().unwrap_or(0))
            })
            .collect();
        let taps = spans.iter().map(|(lo, hi)| hi - lo + 1).max().unwrap_or(1);
        let mut start = Vec::with_capacity(lists.len());
        let mut weights = vec![0.0; taps * lists.len()];
        for ((list, (lo, _)), row) in lists.iter().zip(spans).zip(weights.chunks_exact_mut(taps)) {
            let first = lo.min(input - taps);
            let total: f64 = list.iter().map(|(_, w)| w).sum();
            for (j, w) in list {
                row[clamp(*j) - first] += (w / total) as f32;
            }
            start.push(first);
        }
        Self {
            taps,
            start,
            weights,
        }
    }
}

const CACHED_AXES: usize = 1024;

thread_local! {
    static AXES: RefCell<HashMap<(Kernel, usize, usize), Rc<Axis>>> = RefCell::new(HashMap::new());
}

fn axis(kernel: Kernel, input: usize, output: usize) -> Rc<Axis> {
    AXES.with_borrow_mut(|axes| {
        if let Some(axis) = axes.get(&(kernel, input, output)) {
            return Rc::clone(axis);
        }
        if axes.len() >= CACHED_AXES {
            axes.clear();
        }
        let lists: Vec<_> = (0..output)
            .map(|i| weights(kernel, input, output, i))
            .collect();
        let axis = Rc::new(Axis::collect(input, &lists));
        axes.insert((kernel, input, output), Rc::clone(&axis));
        axis
    })
}

/// The inputs that output `i` reads, with weights that need not sum to 1.
fn weights(kernel: Kernel, input: usize, output: usize, i: usize) -> Vec<(isize, f64)> {
    let scale = input as f64 / output as f64;
    let centre = (i as f64 + 0.5) * scale - 0.5;
    let base = centre.floor() as isize;
    let fraction = centre - centre.floor();
    match kernel {
        Kernel::Nearest => vec![((i as f64 * scale).floor() as isize, 1.0)],
        Kernel::Bilinear => vec![(base, 1.0 - fraction), (base + 1, fraction)],
        Kernel::Bicubic => (-1..=2)
            .map(|k| (base + k, cubic(fraction - k as f64)))
            .collect(),
        Kernel::Lanczos4 => (-3..=4)
            .map(|k| (base + k, lanczos(fraction - k as f64, 4.0)))
            .collect(),
        Kernel::Area if output < input => {
            let (from, to) = (i as f64 * scale, (i as f64 + 1.0) * scale);
            let last = (to.ceil() as isize).min(input as isize);
            (from.floor() as isize..last)
                .map(|j| (j, (to.min(j as f64 + 1.0) - from.max(j as f64)).max(0.0)))
                .collect()
        }
        Kernel::Area => {
            let j = (i as f64 * scale).floor();
            let seam = (i as f64 + 1.0) - (j + 1.0) / scale;
            let w = if seam <= 0.0 {
                0.0
            } else {
                seam - seam.floor()
            };
            vec![(j as isize, 1.0 - w), (j as isize + 1, w)]
        }
        Kernel::Box => {
            let width = scale.max(1.0);
            let middle = (i as f64 + 0.5) * scale;
            let from = ((middle - 0.5 * width + 0.5) as isize).max(0);
            let to = ((middle + 0.5 * width + 0.5) as isize).min(input as isize);
            (from..to)
                .filter(|j| {
                    let x = (*j as f64 - middle + 0.5) / width;
                    x > -0.5 && x <= 0.5
                })
                .map(|j| (j, 1.0))
                .collect()
        }
    }
}

/// Keys' cubic with a = −0.75.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.75;
    let x = x.abs();
    if x <= 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
    } else {
        0.0
    }
}

fn lanczos(x: f64, a: f64) -> f64 {
    if x.abs() < 1e-9 {
        return 1.0;
    }
    if x.abs() >= a {
        return 0.0;
    }
    let y = std::f64::consts::PI * x;
    libm::sin(y) * libm::sin(y / a) * a / (y * y)
}

/// Combines whole rows: the vertical pass.
fn rows(plane: &[f32], width: usize, axis: &Axis, out: &mut Vec<f32>) {
    for (start, weights) in axis.start.iter().zip(axis.weights.chunks_exact(axis.taps)) {
        let at = out.len();
        let sources = plane[start * width..].chunks_exact(width);
        let mut sources = sources.zip(weights).filter(|(_, w)| **w != 0.0);
        match sources.next() {
            Some((source, w)) => out.extend(source.iter().map(|s| w * s)),
            None => out.resize(at + width, 0.0),
        }
        let target = &mut out[at..];
        while let Some((source, w)) = sources.next() {
            // Two rows at a time, which halves the traffic of the target.
            match sources.next() {
                Some((next, v)) => {
                    for ((t, s), n) in target.iter_mut().zip(source).zip(next) {
                        *t += w * s + v * n;
                    }
                }
                None => target.iter_mut().zip(source).for_each(|(t, s)| *t += w * s),
            }
        }
    }
}

/// Combines values along each row: the horizontal pass.
fn columns(plane: &[f32], width: usize, axis: &Axis, out: &mut Vec<f32>) {
    for row in plane.chunks_exact(width) {
        match axis.taps {
            1 => out.extend(axis.start.iter().map(|&s| row[s])),
            2 => row_dot::<2>(row, axis, out),
            3 => row_dot::<3>(row, axis, out),
            4 => row_dot::<4>(row, axis, out),
            5 => row_dot::<5>(row, axis, out),
            6 => row_dot::<6>(row, axis, out),
            8 => row_dot::<8>(row, axis, out),
            taps => {
                let pairs = axis.start.iter().zip(axis.weights.chunks_exact(taps));
                out.extend(pairs.map(|(&s, weights)| {
                    row[s..s + taps]
                        .iter()
                        .zip(weights)
                        .map(|(a, b)| a * b)
                        .sum::<f32>()
                }));
            }
        }
    }
}

fn row_dot<const N: usize>(row: &[f32], axis: &Axis, out: &mut Vec<f32>) {
    let (weights, _) = axis.weights.as_chunks::<N>();
    out.extend(axis.start.iter().zip(weights).map(|(&s, weights)| {
        let mut total = 0.0;
        for (a, b) in row[s..s + N].iter().zip(weights) {
            total += a * b;
        }
        total
    }));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ramp(width: usize, height: usize) -> FaceImage {
        let data = (0..3 * width * height)
            .map(|i| ((i * 37) % 251) as f32)
            .collect();
        FaceImage::new(width, height, data)
    }

    #[test]
    fn every_kernel_keeps_a_constant_and_the_same_size() {
        let flat = FaceImage::filled(13, 9, 77.0);
        for kernel in Kernel::ALL {
            for (w, h) in [(5, 4), (40, 31), (13, 4), (5, 30)] {
                let out = resize(&flat, w, h, kernel);
                assert!(
                    out.data.iter().all(|v| (v - 77.0).abs() < 1e-3),
                    "{kernel:?} {w}×{h}"
                );
            }
            assert_eq!(resize(&ramp(13, 9), 13, 9, kernel), ramp(13, 9));
        }
    }

    #[test]
    fn area_is_the_exact_mean_for_whole_and_broken_ratios() {
        let face = ramp(6, 6);
        let half = resize(&face, 3, 3, Kernel::Area);
        let mean =
            (face.get(0, 2, 4) + face.get(0, 3, 4) + face.get(0, 2, 5) + face.get(0, 3, 5)) / 4.0;
        assert!((half.get(0, 1, 2) - mean).abs() < 1e-4);
        // 3 → 2 columns: each output covers 1.5 inputs.
        let row = FaceImage::new(3, 1, [[1.0, 2.0, 6.0]; 3].concat());
        let out = resize(&row, 2, 1, Kernel::Area);
        assert!((out.get(0, 0, 0) - (1.0 + 0.5 * 2.0) / 1.5).abs() < 1e-6);
        assert!((out.get(0, 1, 0) - (0.5 * 2.0 + 6.0) / 1.5).abs() < 1e-6);
        let total = |f: &FaceImage| f.data.iter().sum::<f32>() / f.data.len() as f32;
        let broken = resize(&ramp(112, 112), 17, 17, Kernel::Area);
        assert!((total(&broken) - total(&ramp(112, 112))).abs() < 1e-2);
    }

    #[test]
    fn bicubic_doubles_with_the_weights_of_a_minus_three_quarters() {
        let row = FaceImage::new(4, 1, [[0.0, 0.0, 64.0, 0.0]; 3].concat());
        let out = resize(&row, 8, 1, Kernel::Bicubic);
        // Output 4 sits at 1.75, a quarter left of the impulse; output 3 at 1.25.
        let expected = [cubic(0.25) as f32 * 64.0, cubic(0.75) as f32 * 64.0];
        assert!((out.get(0, 4, 0) - expected[0]).abs() < 1e-4);
        assert!((out.get(0, 3, 0) - expected[1]).abs() < 1e-4);
        assert!((cubic(0.25) - 0.878_906_25).abs() < 1e-12);
    }

    #[test]
    fn resizing_and_mirroring_commute_for_symmetric_kernels() {
        let face = ramp(24, 24);
        for kernel in [
            Kernel::Area,
            Kernel::Bilinear,
            Kernel::Bicubic,
            Kernel::Lanczos4,
        ] {
            for side in [7, 50] {
                let a = resize(&face.flip_horizontal(), side, side, kernel);
                let b = resize(&face, side, side, kernel).flip_horizontal();
                if side < 24 || kernel != Kernel::Area {
                    let worst = a
                        .data
                        .iter()
                        .zip(&b.data)
                        .map(|(x, y)| (x - y).abs())
                        .fold(0.0, f32::max);
                    assert!(worst < 1e-2, "{kernel:?} {side}: {worst}");
                }
            }
        }
    }

    #[test]
    fn one_pixel_grows_and_everything_shrinks_to_one_pixel() {
        for kernel in Kernel::ALL {
            let grown = resize(&FaceImage::filled(1, 1, 9.0), 5, 3, kernel);
            assert!(grown.data.len() == 45 && grown.data.iter().all(|v| (v - 9.0).abs() < 1e-4));
            assert_eq!(resize(&ramp(7, 5), 1, 1, kernel).data.len(), 3);
        }
    }
}
