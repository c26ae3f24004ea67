//! Grids of vertices that become one list of triangles.

use super::math::V3;

/// What a triangle is made of; the renderer looks its colour up by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Material {
    /// The head's front and sides.
    Face,
    /// An ear.
    Ear,
    /// Neck.
    Neck,
    /// Clothes.
    Cloth,
    /// Hair seen from inside, behind the face.
    HairInside,
    /// Hair in front, partly transparent.
    Hair,
    /// Glasses, partly transparent.
    Glasses,
}

/// A point of a surface in head coordinates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vertex {
    pub(super) p: V3,
    pub(super) n: V3,
    /// Coordinates of the material's own pattern.
    pub(super) uv: (f32, f32),
    /// Openness to ambient light in `[0, 1]`.
    pub(super) open: f32,
    /// Share of the key light that arrives.
    pub(super) lit: f32,
    /// Whether it throws a shadow.
    pub(super) casts: bool,
}

/// Vertices, and triangles of three vertex numbers with a material.
#[derive(Debug, Default)]
pub(super) struct Mesh {
    pub(super) vertices: Vec<Vertex>,
    pub(super) triangles: Vec<([u32; 3], Material)>,
}

/// Points row by row from top to bottom, each row from left to right as the camera sees its front.
#[derive(Debug)]
pub(super) struct Grid {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Whether the last column is the first one again.
    pub(super) closed: bool,
    pub(super) points: Vec<(V3, (f32, f32))>,
}

impl Mesh {
    /// Adds a grid with normals from its own slopes.
    ///
    /// `hollow` makes openness out of the surface's curvature (concave places see less of the sky).
    pub(super) fn add(&mut self, grid: &Grid, material: Material, hollow: f32) {
        let first = self.vertices.len() as u32;
        let (rows, columns) = (grid.rows, grid.columns);
        let at = |r: usize, c: usize| grid.points[r * columns + c].0;
        for r in 0..rows {
            let (up, down) = (r.saturating_sub(1), (r + 1).min(rows - 1));
            for c in 0..columns {
                let (left, right) = if grid.closed {
                    (
                        if c == 0 { columns - 2 } else { c - 1 },
                        if c + 1 == columns { 1 } else { c + 1 },
                    )
                } else {
                    (c.saturating_sub(1), (c + 1).min(columns - 1))
                };
                let (p, uv) = grid.points[r * columns + c];
                let (u, d, l, t) = (at(up, c), at(down, c), at(r, left), at(r, right));
                let n = (d - u).cross(t - l).unit();
                let open = if hollow > 0.0 {
                    let mean = (u + d + l + t) * 0.25 - p;
                    (1.0 - hollow * mean.dot(n)).clamp(0.4, 1.06)
                } else {
                    1.0
                };
                self.vertices.push(Vertex {
                    p,
                    n,
                    uv,
                    open,
                    lit: 1.0,
                    casts: true,
                });
            }
        }
        for r in 0..rows - 1 {
            for c in 0..columns - 1 {
                let a = first + (r * columns + c) as u32;
                let b = a + 1;
                let d = a + columns as u32;
                self.triangles.push(([a, b, d], material));
                self.triangles.push(([b, d + 1, d], material));
            }
        }
    }
}

/// A smooth curve through points of rising `x` (Catmull–Rom), constant outside.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    knots: Vec<(f32, f32)>,
}

impl Curve {
    pub(super) fn new(mut knots: Vec<(f32, f32)>) -> Self {
        knots.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { knots }
    }

    pub(super) fn at(&self, x: f32) -> f32 {
        let k = &self.knots;
        let last = k.len() - 1;
        if x <= k[0].0 {
            return k[0].1;
        }
        if x >= k[last].0 {
            return k[last].1;
        }
        let i = k.iter().rposition(|p| p.0 <= x).unwrap_or(0).min(last - 1);
        let slope = |i: usize| {
            let (a, b) = (k[i.saturating_sub(1)], k[(i + 1).min(last)]);
            (b.1 - a.1) / (b.0 - a.0).max(1e-6)
        };
        let h = (k[i + 1].0 - k[i].0).max(1e-6);
        let t = (x - k[i].0) / h;
        let (t2, t3) = (t * t, t * t * t);
        (2.0 * t3 - 3.0 * t2 + 1.0) * k[i].1
            + (t3 - 2.0 * t2 + t) * h * slope(i)
            + (3.0 * t2 - 2.0 * t3) * k[i + 1].1
            + (t3 - t2) * h * slope(i + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_passes_through_its_points() {
        let curve = Curve::new(vec![(2.0, 5.0), (0.0, 1.0), (1.0, 3.0)]);
        for (x, y) in [(0.0, 1.0), (1.0, 3.0), (2.0, 5.0), (-4.0, 1.0), (9.0, 5.0)] {
            assert!((curve.at(x) - y).abs() < 1e-5);
        }
        assert!((curve.at(1.5) - 4.0).abs() < 0.2);
    }

    #[test]
    fn the_normals_of_a_grid_look_at_the_camera() {
        let points = (0..9)
            .map(|i| (V3((i % 3) as f32, -((i / 3) as f32), 0.0), (0.0, 0.0)))
            .collect();
        let mut mesh = Mesh::default();
        mesh.add(
            &Grid {
                rows: 3,
                columns: 3,
                closed: false,
                points,
            },
            Material::Face,
            1.0,
        );
        assert_eq!(mesh.triangles.len(), 8);
        assert!(
            mesh.vertices
                .iter()
                .all(|v| v.n == V3(0.0, 0.0, 1.0) && v.open == 1.0)
        );
    }
}
