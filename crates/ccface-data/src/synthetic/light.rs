//! How light meets skin, hair and cloth.

use super::math::{Rotation, V3, mix, smooth};
use super::mesh::Mesh;
use super::sample::Light;
use super::skin::Surface;

/// The lights of a scene, turned into head coordinates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lamps {
    light: Light,
    up: V3,
    view: V3,
    key_half: V3,
    fill_half: V3,
}

impl Lamps {
    pub(super) fn new(light: &Light, head: &Rotation) -> Self {
        let mut l = *light;
        l.key = head.undo(l.key);
        l.fill = head.undo(l.fill);
        let view = head.undo(V3(0.0, 0.0, 1.0));
        Self {
            light: l,
            up: head.undo(V3(0.0, 1.0, 0.0)),
            view,
            key_half: (l.key + view).unit(),
            fill_half: (l.fill + view).unit(),
        }
    }

    /// Light from the sky above and the ground below.
    fn ambient(&self, n: V3) -> V3 {
        self.light
            .ground
            .mix(self.light.sky, 0.5 + 0.5 * n.dot(self.up))
    }

    /// The light that skin sends to the camera.
    ///
    /// Diffuse light wraps around the terminator, red furthest, as it does where light travels under
    /// the skin; the highlight is Blinn's with exponent 16.
    pub(super) fn skin(&self, s: &Surface, n: V3, open: f32, lit: f32) -> V3 {
        let wrap = |d: f32| {
            let w = |k: f32| ((d + k) / (1.0 + k)).max(0.0);
            V3(w(0.22), w(0.15), w(0.12))
        };
        let l = &self.light;
        let shadow = V3(
            mix(0.13, 1.0, lit),
            mix(0.08, 1.0, lit),
            mix(0.06, 1.0, lit),
        );
        let diffuse = self.ambient(n) * open
            + l.key_colour.times(wrap(n.dot(l.key))).times(shadow) * mix(1.0, open, 0.5)
            + l.fill_colour.times(wrap(n.dot(l.fill))) * open;
        let shine = |half: V3| {
            let h = n.dot(half).max(0.0);
            let h4 = h * h * h * h;
            h4 * h4 * h4 * h4
        };
        let rim = 1.0 - n.dot(self.view).clamp(0.0, 1.0);
        let spec =
            l.key_colour * (shine(self.key_half) * lit) + l.fill_colour * shine(self.fill_half);
        let fresnel = 0.35 + 0.65 * rim;
        s.albedo.times(diffuse)
            + spec * (s.gloss * fresnel)
            + l.key_colour * s.glint
            + l.sky * (0.4 * s.glint)
    }

    /// The light that hair sends to the camera: strands along `along` shine in a band across them.
    pub(super) fn hair(&self, colour: V3, n: V3, along: V3, shine: f32, open: f32) -> V3 {
        let l = &self.light;
        let wrap = |d: f32| ((d + 0.4) / 1.4).max(0.0);
        let diffuse = self.ambient(n) * open
            + l.key_colour * (wrap(n.dot(l.key)) * 0.9)
            + l.fill_colour * wrap(n.dot(l.fill));
        let t = along.dot(self.key_half);
        let band = (1.0 - t * t).max(0.0);
        let band = band * band * band * band;
        let band = band * band * wrap(n.dot(l.key)) * shine;
        colour.times(diffuse)
            + l.key_colour.times(colour.mix(V3(0.6, 0.6, 0.6), 0.35)) * (0.5 * band)
    }

    /// The light that cloth sends to the camera.
    pub(super) fn cloth(&self, colour: V3, n: V3, open: f32) -> V3 {
        let l = &self.light;
        let d = self.ambient(n) * open
            + l.key_colour * n.dot(l.key).max(0.0)
            + l.fill_colour * n.dot(l.fill).max(0.0);
        colour.times(d)
    }

    /// Marks the vertices that the key light does not reach.
    ///
    /// The vertices are splatted into a 40 × 40 map of their nearness to the lamp; a vertex well behind
    /// its neighbourhood's nearest surface is in shadow, and the map's 3 × 3 neighbourhood softens the edge.
    pub(super) fn cast_shadows(&self, mesh: &mut Mesh) {
        const SIDE: usize = 40;
        const SPAN: f32 = 22.0;
        let z = self.light.key;
        let x = self.up.cross(z).unit();
        let y = z.cross(x);
        let cell = |p: V3| {
            let u = (p.dot(x) / SPAN + 0.5) * SIDE as f32;
            let v = (p.dot(y) / SPAN + 0.5) * SIDE as f32;
            (
                u.clamp(1.0, SIDE as f32 - 2.0),
                v.clamp(1.0, SIDE as f32 - 2.0),
            )
        };
        let mut map = vec![-100.0f32; SIDE * SIDE];
        for v in mesh.vertices.iter().filter(|v| v.casts) {
            // The four cells around the vertex, so that coarse meshes leave no holes.
            let (cu, cv) = cell(v.p - (x + y) * (0.5 * SPAN / SIDE as f32));
            let first = cv as usize * SIDE + cu as usize;
            let near = v.p.dot(z);
            for i in [first, first + 1, first + SIDE, first + SIDE + 1] {
                map[i] = map[i].max(near);
            }
        }
        for v in &mut mesh.vertices {
            if v.n.dot(z) < -0.3 || v.n.dot(self.view) < -0.2 {
                continue;
            }
            let (cu, cv) = cell(v.p);
            let near = v.p.dot(z) + 0.75 + 0.7 * (1.0 - v.n.dot(z).max(0.0));
            let mut blocked = 0.0;
            // Tent weights over the 3 × 3 cells around the vertex.
            let (iu, iv) = (cu as usize, cv as usize);
            let (fu, fv) = (cu - iu as f32, cv - iv as f32);
            let weights = |f: f32| {
                let (a, c) = (0.5 * (1.0 - f) * (1.0 - f), 0.5 * f * f);
                [a, 1.0 - a - c, c]
            };
            let (wu, wv) = (weights(fu), weights(fv));
            for (j, wj) in wv.iter().enumerate() {
                for (i, wi) in wu.iter().enumerate() {
                    let d = map[(iv + j - 1) * SIDE + iu + i - 1];
                    blocked += wi * wj * smooth(near, near + 0.7, d);
                }
            }
            // Where the light only grazes, the map is too coarse to tell, and shading is dark anyway.
            v.lit = 1.0 - 0.85 * blocked * smooth(0.0, 0.4, v.n.dot(z));
        }
    }
}
