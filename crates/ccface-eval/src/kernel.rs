//! The inner product of many rows with many rows, in cache-sized tiles.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::embeddings::Embeddings;

/// Rows of one packed probe panel.
const MR: usize = 12;
/// Rows of one packed gallery panel.
const NR: usize = 32;
/// Probe panels that one task keeps in its cache.
const PANELS: usize = 16;
/// Gallery panels that are swept before the next probe panel is taken.
const STRIP: usize = 4;

/// Gallery rows packed at a time: what the sweep needs beside the embeddings is this many rows and the probe.
pub(crate) const CHUNK: usize = 2048;

/// Unit rows of a range, packed so that the kernel reads memory in order: panel, then column, then row.
struct Packed {
    data: Vec<f32>,
    rows: usize,
    panel: usize,
    dim: usize,
}

impl Packed {
    fn new(from: &Embeddings, range: Range<usize>, panel: usize) -> Self {
        let (dim, rows) = (from.dim(), range.len());
        let mut data = vec![0.0; rows.div_ceil(panel) * panel * dim];
        data.par_chunks_mut(panel * dim)
            .enumerate()
            .for_each(|(index, out)| {
                for r in 0..panel.min(rows - index * panel) {
                    let row = from.row(range.start + index * panel + r);
                    let length = row
                        .iter()
                        .map(|x| f64::from(*x) * f64::from(*x))
                        .sum::<f64>()
                        .sqrt();
                    for (x, column) in row.iter().zip(out.chunks_exact_mut(panel)) {
                        column[r] = (f64::from(*x) / length) as f32;
                    }
                }
            });
        Self {
            data,
            rows,
            panel,
            dim,
        }
    }

    fn panels(&self) -> usize {
        self.rows.div_ceil(self.panel)
    }

    fn panel(&self, index: usize) -> &[f32] {
        let size = self.panel * self.dim;
        &self.data[index * size..(index + 1) * size]
    }
}

/// Single-precision cosines of all probe rows with a range of gallery rows, given out in pieces of a row.
///
/// A chunk of the gallery is packed, then every probe meets it; probes run in parallel. `visit` gets the probe's own
/// state, its row number, the gallery row of the first score, and up to 32 scores. For one probe the gallery rows
/// come in ascending order within each call.
pub(crate) struct Sweep<'a> {
    probe: Packed,
    gallery: &'a Embeddings,
}

impl<'a> Sweep<'a> {
    /// Both sides must have the same dimension.
    pub(crate) fn new(probe: &Embeddings, gallery: &'a Embeddings) -> Self {
        Self {
            probe: Packed::new(probe, 0..probe.len(), MR),
            gallery,
        }
    }

    /// Visits the gallery rows of `columns`; `states` has one entry per probe row.
    pub(crate) fn run<T: Send>(
        &self,
        columns: Range<usize>,
        states: &mut [T],
        visit: impl Fn(&mut T, usize, usize, &[f32]) + Sync,
    ) {
        let mut first = columns.start;
        while first < columns.end {
            let last = columns.end.min(first + CHUNK);
            let gallery = Packed::new(self.gallery, first..last, NR);
            states
                .par_chunks_mut(PANELS * MR)
                .enumerate()
                .for_each(|(group, states)| {
                    let task = Task {
                        probe: &self.probe,
                        gallery: &gallery,
                        first_panel: group * PANELS,
                        first_column: first,
                    };
                    task.run(states, &visit);
                });
            first = last;
        }
    }
}

/// Some probe panels against the packed chunk.
struct Task<'a> {
    probe: &'a Packed,
    gallery: &'a Packed,
    first_panel: usize,
    first_column: usize,
}

impl Task<'_> {
    fn run<T>(&self, states: &mut [T], visit: &impl Fn(&mut T, usize, usize, &[f32])) {
        let arch = Arch::new();
        let mut tile = [[0.0_f32; NR]; MR];
        let panels = self.gallery.panels();
        for strip in (0..panels).step_by(STRIP) {
            for (p, states) in states.chunks_mut(MR).enumerate() {
                let a = self.probe.panel(self.first_panel + p);
                for g in strip..panels.min(strip + STRIP) {
                    arch.dispatch(Product {
                        a,
                        b: self.gallery.panel(g),
                        tile: &mut tile,
                    });
                    let columns = NR.min(self.gallery.rows - g * NR);
                    for (r, state) in states.iter_mut().enumerate() {
                        let row = (self.first_panel + p) * MR + r;
                        let column = self.first_column + g * NR;
                        visit(state, row, column, &tile[r][..columns]);
                    }
                }
            }
        }
    }
}

/// All MR × NR inner products of two panels.
struct Product<'a> {
    a: &'a [f32],
    b: &'a [f32],
    tile: &'a mut [[f32; NR]; MR],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { a, b, tile } = self;
        for column in (0..NR).step_by(2 * S::F32_LANES) {
            if S::REGISTER_COUNT >= 32 {
                block::<S, MR>(simd, a, b, 0, column, tile);
            } else {
                block::<S, 6>(simd, a, b, 0, column, tile);
                block::<S, 6>(simd, a, b, 6, column, tile);
            }
        }
    }
}

/// R rows × two vectors of columns, held in registers over the whole depth.
#[inline(always)]
fn block<S: Simd, const R: usize>(
    simd: S,
    a: &[f32],
    b: &[f32],
    row: usize,
    column: usize,
    tile: &mut [[f32; NR]; MR],
) {
    let mut sums = [[simd.splat_f32s(0.0); 2]; R];
    for (a, b) in a.chunks_exact(MR).zip(b.chunks_exact(NR)) {
        let (vectors, _) = S::as_simd_f32s(&b[column..column + 2 * S::F32_LANES]);
        let (left, right) = (vectors[0], vectors[1]);
        let a = &a[row..row + R];
        for (sum, x) in sums.iter_mut().zip(a) {
            let x = simd.splat_f32s(*x);
            sum[0] = simd.mul_add_e_f32s(x, left, sum[0]);
            sum[1] = simd.mul_add_e_f32s(x, right, sum[1]);
        }
    }
    for (sum, out) in sums.iter().zip(&mut tile[row..row + R]) {
        let (out, _) = S::as_mut_simd_f32s(&mut out[column..column + 2 * S::F32_LANES]);
        out[0] = sum[0];
        out[1] = sum[1];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::similarity::tests::{plain_cosine, random_embeddings};

    #[test]
    fn every_pair_is_visited_once_with_its_cosine() {
        for (probes, gallery, dim) in [(1, 1, 1), (13, 33, 5), (250, 2100, 17), (192, 64, 64)] {
            let labels: Vec<u32> = (0..gallery.max(probes) as u32).collect();
            let probe = random_embeddings(1, &labels[..probes], dim, 1.0);
            let gallery = random_embeddings(2, &labels[..gallery], dim, 1.0);
            let mut rows: Vec<Vec<f32>> = vec![Vec::new(); probes];
            Sweep::new(&probe, &gallery).run(
                0..gallery.len(),
                &mut rows,
                |row, _, first, scores| {
                    assert_eq!(row.len(), first);
                    row.extend_from_slice(scores);
                },
            );
            for (i, row) in rows.iter().enumerate() {
                assert_eq!(row.len(), gallery.len());
                for (j, score) in row.iter().enumerate() {
                    let expected = plain_cosine(probe.row(i), gallery.row(j));
                    assert!((f64::from(*score) - expected).abs() < 1e-6);
                }
            }
        }
    }
}
