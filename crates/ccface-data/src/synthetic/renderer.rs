//! One picture from its parameters: project, rasterise, shade, composite.

use super::camera::Film;
use super::groups::Groups;
use super::head::Face;
use super::identity::Identity;
use super::light::Lamps;
use super::math::{Rotation, V3, mix, smooth};
use super::mesh::{Material, Mesh, Vertex};
use super::noise::Noise;
use super::raster::{Hit, Layer, Projected, facing};
use super::sample::{Background, Sample};
use super::skin::Surface;
use super::{SyntheticConfig, SyntheticFace, features, glasses, scene, skin};
use crate::align::{ARCFACE_TEMPLATE_112, Similarity, similarity_from_landmarks};
use crate::rng::{Purpose, Stream};

/// Everything that shading asks for.
struct Renderer<'a> {
    who: &'a Identity,
    sample: &'a Sample,
    face: &'a Face,
    mesh: &'a Mesh,
    noise: &'a Noise,
    grain: &'a Noise,
    lamps: Lamps,
    /// Centimetres in one sample.
    soft: f32,
}

/// A place on a mesh between three vertices.
struct Place {
    p: V3,
    n: V3,
    uv: (f32, f32),
    open: f32,
    lit: f32,
}

/// A camera in the frame of the aligned crop.
struct View {
    turn: Rotation,
    distance: f32,
    align: [[f32; 3]; 2],
}

impl View {
    /// Looks at a face so that its landmarks come to lie on the template; gives the landmarks too.
    fn new(config: &SyntheticConfig, sample: &Sample, face: &Face) -> (Self, [[f32; 2]; 5]) {
        let scale = config.size as f64 / 112.0;
        let target = ARCFACE_TEMPLATE_112.map(|p| p.map(|v| v * scale));
        let mut view = Self {
            turn: sample.pose.rotation(),
            distance: sample.camera.distance,
            align: [[0.0; 3]; 2],
        };
        let seen = face.landmarks().map(|p| view.film(p).0);
        // A human face never degenerates; were it to, the picture would stay unaligned.
        let fit = similarity_from_landmarks(&seen.map(|p| p.map(f64::from)), &target)
            .unwrap_or(Similarity::IDENTITY);
        view.align = fit.matrix().map(|row| row.map(|v| v as f32));
        let landmarks = seen.map(|p| view.aligned(p));
        (view, landmarks)
    }

    /// A point of the head on the unaligned film (y down), and its nearness.
    fn film(&self, p: V3) -> ([f32; 2], f32) {
        let q = self.turn.apply(p);
        let k = self.distance / (self.distance - q.2);
        ([q.0 * k, -q.1 * k], q.2)
    }

    /// A point of the film in pixels of the crop.
    fn aligned(&self, p: [f32; 2]) -> [f32; 2] {
        self.align.map(|[a, b, t]| a * p[0] + b * p[1] + t)
    }

    /// Pixels of the crop in one centimetre.
    fn scale(&self) -> f32 {
        let [a, b, _] = self.align[0];
        (a * a + b * b).sqrt()
    }
}

/// Landmarks and groups of a picture, without the picture.
pub(super) fn describe(
    config: &SyntheticConfig,
    seed: u64,
    identity: u64,
    number: u64,
) -> ([[f32; 2]; 5], Groups) {
    let who = Identity::new(seed, identity);
    let sample = Sample::new(config, seed, identity, number, &who);
    let (_, landmarks) = View::new(config, &sample, &Face::new(&who, &sample.expression));
    (
        landmarks,
        Groups::new(who.skin.tone, who.age, sample.pose.yaw),
    )
}

pub(super) fn render(
    config: &SyntheticConfig,
    seed: u64,
    identity: u64,
    number: u64,
) -> SyntheticFace {
    let who = Identity::new(seed, identity);
    let sample = Sample::new(config, seed, identity, number, &who);
    let texture = &mut Stream::new(seed, 0, identity, Purpose::Synthetic(2));
    let (noise, grain) = (Noise::new(texture), Noise::new(texture));
    let face = Face::new(&who, &sample.expression);
    let mut mesh = scene::build(&who, &sample, &face, &noise);
    let (view, landmarks) = View::new(config, &sample, &face);
    let lamps = Lamps::new(&sample.light, &view.turn);
    lamps.cast_shadows(&mut mesh);

    let size = config.size;
    let side = (size as f32 * config.supersample).ceil() as usize;
    let ratio = side as f32 / size as f32;
    let projected: Vec<Projected> = mesh
        .vertices
        .iter()
        .map(|v| {
            let (p, near) = view.film(v.p);
            let [x, y] = view.aligned(p);
            Projected {
                x: (x + 0.5) * ratio - 0.5,
                y: (y + 0.5) * ratio - 0.5,
                near,
            }
        })
        .collect();

    let (mut solid, mut hair, mut frame) = (Layer::new(side), Layer::new(side), Layer::new(side));
    for (i, (corners, material)) in mesh.triangles.iter().enumerate() {
        let [a, b, c] = corners.map(|k| projected[k as usize]);
        let front = facing(a, b, c) > 0.0;
        let layer = match material {
            Material::Hair => &mut hair,
            Material::Glasses => &mut frame,
            _ => &mut solid,
        };
        // The inside of the hair is drawn where it faces away, all else where it faces the camera.
        if front != (*material == Material::HairInside) {
            layer.draw(i as u32, a, b, c);
        }
    }

    let renderer = Renderer {
        who: &who,
        sample: &sample,
        face: &face,
        mesh: &mesh,
        noise: &noise,
        grain: &grain,
        lamps,
        soft: 0.5 / (view.scale() * ratio),
    };
    let samples = (0..side * side)
        .map(|i| {
            let (x, y) = (
                (i % side) as f32 / side as f32,
                (i / side) as f32 / side as f32,
            );
            renderer.colour(x, y, solid.hits[i], hair.hits[i], frame.hits[i])
        })
        .collect();
    let film = Film { side, samples };
    let noise = &mut Stream::new(seed, number, identity, Purpose::Synthetic(3));
    let image = film.develop(&sample.camera, size, noise);
    let groups = Groups::new(who.skin.tone, who.age, sample.pose.yaw);
    SyntheticFace {
        image,
        landmarks,
        groups,
    }
}

impl Renderer<'_> {
    fn colour(&self, x: f32, y: f32, solid: Hit, hair: Hit, frame: Hit) -> V3 {
        let mut c = if solid.is_some() {
            self.shade(solid)
        } else {
            backdrop(&self.sample.background, self.grain, x, y)
        };
        if hair.is_some() && hair.near > solid.near {
            let at = self.place(hair);
            let (angle, level) = at.uv;
            let alpha = self.who.hair.alpha(self.noise, angle, level, self.soft);
            if alpha > 0.0 {
                c = c.mix(self.strand(&at, 1.0), alpha);
            }
        }
        if frame.is_some()
            && frame.near > solid.near
            && let Some(g) = &self.who.glasses
        {
            let at = self.place(frame);
            let (rim, lens) =
                glasses::alpha(g, self.who.eyes.spacing, at.uv.0, at.uv.1, self.soft * 2.0);
            if lens > 0.0 {
                // A lens takes a little light and mirrors a little of the sky.
                c = c.mix(c * 0.93 + self.sample.light.sky * 0.025, lens);
            }
            if rim > 0.0 {
                let s = Surface {
                    albedo: g.colour,
                    gloss: 0.25,
                    glint: 0.0,
                };
                c = c.mix(self.lamps.skin(&s, at.n, 1.0, 1.0), rim);
            }
        }
        c
    }

    fn place(&self, hit: Hit) -> Place {
        let corners = self.mesh.triangles[hit.triangle as usize].0;
        let [a, b, c]: [&Vertex; 3] = corners.map(|k| &self.mesh.vertices[k as usize]);
        let (wb, wc) = hit.weights;
        let wa = 1.0 - wb - wc;
        let f = |a: f32, b: f32, c: f32| wa * a + wb * b + wc * c;
        let v = |a: V3, b: V3, c: V3| a * wa + b * wb + c * wc;
        Place {
            p: v(a.p, b.p, c.p),
            n: v(a.n, b.n, c.n).unit(),
            uv: (f(a.uv.0, b.uv.0, c.uv.0), f(a.uv.1, b.uv.1, c.uv.1)),
            open: f(a.open, b.open, c.open),
            lit: f(a.lit, b.lit, c.lit),
        }
    }

    fn shade(&self, hit: Hit) -> V3 {
        let at = self.place(hit);
        let soft = self.soft;
        match self.mesh.triangles[hit.triangle as usize].1 {
            Material::Face => {
                let front = smooth(1.75, 1.25, at.uv.0.abs());
                let mut s = skin::paint(self.who, self.noise, self.grain, at.p, front);
                if front > 0.0 && at.p.1 < 5.5 {
                    features::paint(self.who, self.face, self.noise, at.p, soft, &mut s);
                }
                self.lamps.skin(&s, at.n, at.open, at.lit)
            }
            Material::Ear => {
                let mut s = skin::paint(self.who, self.noise, self.grain, at.p, 0.0);
                let (u, v) = (at.uv.0 + 0.1, at.uv.1 + 0.05);
                let shell = smooth(0.75, 0.35, (u * u * 1.6 + v * v).sqrt());
                s.albedo = s.albedo.times(V3(1.02, 0.88, 0.86)) * (1.0 - 0.45 * shell);
                s.gloss *= 0.5;
                self.lamps.skin(&s, at.n, 0.85, at.lit)
            }
            Material::Neck => {
                let s = skin::paint(self.who, self.noise, self.grain, at.p, 0.0);
                self.lamps.skin(&s, at.n, at.open, at.lit.min(0.8))
            }
            Material::HairInside => self.strand(&at, 0.35),
            _ => {
                let fold = 1.0 + 0.15 * self.noise.fractal(at.p.0 * 0.5, at.p.1 * 0.7);
                self.lamps
                    .cloth(self.sample.clothes.paint(at.p) * fold, at.n, at.open)
            }
        }
    }

    fn strand(&self, at: &Place, share: f32) -> V3 {
        let hair = &self.who.hair;
        let (angle, level) = at.uv;
        let colour = hair.paint(self.noise, angle, level);
        // Strands run down the shell.
        let down = V3(0.0, -1.0, 0.0);
        let along = (down - at.n * down.dot(at.n)).unit();
        let edge = mix(0.8, 1.0, smooth(0.0, 4.0, level));
        self.lamps
            .hair(colour, at.n, along, hair.shine, at.open * edge)
            * share
    }
}

fn backdrop(b: &Background, grain: &Noise, x: f32, y: f32) -> V3 {
    let mut c = b.top.mix(b.bottom, y);
    for &(bx, by, r, colour) in &b.blobs {
        if r > 0.0 {
            let (dx, dy) = (x - bx, y - by);
            let d = (dx * dx + dy * dy).sqrt();
            c = c.mix(colour, 0.8 * smooth(r, 0.5 * r, d));
        }
    }
    c * (1.0 + b.texture * grain.fractal(x * 9.0, y * 9.0))
}
