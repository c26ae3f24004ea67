//! Glasses: a curved sheet in front of the eyes on which the frame is drawn.

use super::head::Face;
use super::identity::Glasses;
use super::math::{V3, mix, smooth};
use super::mesh::Grid;

/// The sheet that carries the frame; `uv` are centimetres from the middle of the bridge.
pub(super) fn plane(g: &Glasses, face: &Face) -> Grid {
    let (rows, columns) = (5, 25);
    let bridge = face.front_at(0.0, 0.2).2;
    let temple = face.section(0.0).0;
    let top = g.half_height + 0.8;
    let mut points = Vec::with_capacity(rows * columns);
    for r in 0..rows {
        let v = top - 2.0 * top * r as f32 / (rows - 1) as f32;
        for c in 0..columns {
            let t = c as f32 / (columns - 1) as f32 * 2.0 - 1.0;
            let x = t * (temple + 0.3);
            // Flat over the eyes, then back along the temples.
            let bend = (x.abs() - 2.0).max(0.0);
            let z = bridge + 0.75
                - 0.035 * bend * bend
                - 1.6 * smooth(temple - 1.2, temple + 0.3, x.abs());
            points.push((V3(x, v - 0.35, z), (x, v)));
        }
    }
    Grid {
        rows,
        columns,
        closed: false,
        points,
    }
}

/// Opacity of frame and lens at a place of the sheet, and whether it is frame.
pub(super) fn alpha(g: &Glasses, spacing: f32, u: f32, v: f32, soft: f32) -> (f32, f32) {
    let centre = spacing.max(g.half_width + 0.35);
    let (dx, dy) = ((u.abs() - centre) / g.half_width, v / g.half_height);
    let (x2, y2) = (dx * dx, dy * dy);
    // Between an ellipse and a rounded box.
    let round = (x2 + y2).sqrt();
    let square = (x2 * x2 + y2 * y2).sqrt().sqrt();
    let d = (mix(square, round, g.roundness) - 1.0) * g.half_height;
    let half = 0.5 * g.thickness;
    let ring = smooth(half + 0.6 * soft, half - 0.6 * soft, d.abs());
    let bridge = smooth(
        half + 0.6 * soft,
        half - 0.6 * soft,
        (v - 0.45 * g.half_height).abs(),
    ) * smooth(
        centre - g.half_width + 0.1,
        centre - g.half_width - 0.1,
        u.abs(),
    );
    let arm = smooth(
        half + 0.6 * soft,
        half - 0.6 * soft,
        (v - 0.35 * g.half_height).abs(),
    ) * smooth(
        centre + g.half_width - 0.1,
        centre + g.half_width + 0.1,
        u.abs(),
    );
    let thin = (g.thickness / (0.8 * soft)).min(1.0);
    let frame = ring.max(bridge).max(arm) * thin;
    let lens = smooth(0.1, -0.1, d) * (1.0 - frame);
    (frame, lens)
}
