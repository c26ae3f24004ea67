//! A z-buffer that keeps, for every sample of the picture, the nearest triangle.

/// A vertex on the picture: sample coordinates and nearness (larger is nearer).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Projected {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) near: f32,
}

/// What a sample sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) near: f32,
    /// Number of the triangle, `u32::MAX` for none.
    pub(super) triangle: u32,
    /// Weights of the second and third corner.
    pub(super) weights: (f32, f32),
}

impl Hit {
    pub(super) fn is_some(&self) -> bool {
        self.triangle != u32::MAX
    }
}

/// One layer of samples, row by row.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) side: usize,
    pub(super) hits: Vec<Hit>,
}

impl Layer {
    pub(super) fn new(side: usize) -> Self {
        let none = Hit {
            near: f32::NEG_INFINITY,
            triangle: u32::MAX,
            weights: (0.0, 0.0),
        };
        Self {
            side,
            hits: vec![none; side * side],
        }
    }

    /// Draws a triangle; sample centres lie at whole numbers.
    pub(super) fn draw(&mut self, triangle: u32, a: Projected, b: Projected, c: Projected) {
        let area = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
        if area.abs() < 1e-9 {
            return;
        }
        let last = (self.side - 1) as f32;
        let x0 = a.x.min(b.x).min(c.x).max(0.0).ceil();
        let x1 = a.x.max(b.x).max(c.x).min(last).floor();
        let y0 = a.y.min(b.y).min(c.y).max(0.0).ceil();
        let y1 = a.y.max(b.y).max(c.y).min(last).floor();
        if !(x0 <= x1 && y0 <= y1) {
            return;
        }
        let inverse = 1.0 / area;
        let (bx, by) = ((c.y - a.y) * inverse, -(c.x - a.x) * inverse);
        let (cx, cy) = (-(b.y - a.y) * inverse, (b.x - a.x) * inverse);
        let (nb, nc) = (b.near - a.near, c.near - a.near);
        for y in y0 as usize..=y1 as usize {
            let dy = y as f32 - a.y;
            for x in x0 as usize..=x1 as usize {
                let dx = x as f32 - a.x;
                let wb = bx * dx + by * dy;
                let wc = cx * dx + cy * dy;
                if wb < 0.0 || wc < 0.0 || wb + wc > 1.0 {
                    continue;
                }
                let near = a.near + wb * nb + wc * nc;
                let hit = &mut self.hits[y * self.side + x];
                if near > hit.near {
                    *hit = Hit {
                        near,
                        triangle,
                        weights: (wb, wc),
                    };
                }
            }
        }
    }
}

/// Twice the signed area: positive where the corners run as the grid's (right, then down).
pub(super) fn facing(a: Projected, b: Projected, c: Projected) -> f32 {
    (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32, y: f32, near: f32) -> Projected {
        Projected { x, y, near }
    }

    #[test]
    fn the_nearest_triangle_wins_in_either_order() {
        for order in [[0u32, 1], [1, 0]] {
            let mut layer = Layer::new(8);
            for t in order {
                let n = t as f32;
                layer.draw(t, at(-1.0, -1.0, n), at(20.0, -1.0, n), at(-1.0, 20.0, n));
            }
            assert!(layer.hits.iter().all(|h| h.triangle == 1));
        }
    }

    #[test]
    fn weights_reproduce_the_place() {
        let mut layer = Layer::new(8);
        let (a, b, c) = (at(0.0, 0.0, 0.0), at(7.0, 1.0, 7.0), at(2.0, 6.0, 2.0));
        layer.draw(5, a, b, c);
        let hit = layer.hits[3 * 8 + 3];
        assert!(hit.is_some());
        let (wb, wc) = hit.weights;
        assert!((wb * b.x + wc * c.x - 3.0).abs() < 1e-5);
        assert!((wb * b.y + wc * c.y - 3.0).abs() < 1e-5);
        assert!((hit.near - 3.0).abs() < 1e-5);
    }
}
