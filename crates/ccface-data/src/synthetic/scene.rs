//! The meshes of one picture: head, ears, neck, shoulders, hair, glasses.

use super::glasses;
use super::hair::Hair;
use super::head::Face;
use super::identity::Identity;
use super::math::{V3, mix, sin_cos};
use super::mesh::{Grid, Material, Mesh};
use super::noise::Noise;
use super::sample::Sample;
use std::f32::consts::PI;

/// Builds every mesh of a picture in head coordinates.
pub(super) fn build(who: &Identity, sample: &Sample, face: &Face, noise: &Noise) -> Mesh {
    let mut mesh = Mesh {
        vertices: Vec::with_capacity(16_000),
        triangles: Vec::with_capacity(32_000),
    };
    mesh.add(&head(face), Material::Face, 6.0);
    for side in [-1.0, 1.0] {
        mesh.add(&ear(who, face, side), Material::Ear, 0.0);
    }
    let neck = tube(&[
        (face.chin_level + 4.0, who.skull.jaw_width * 0.90, 5.0, -2.2),
        (face.chin_level - 0.5, who.skull.jaw_width * 0.92, 5.2, -2.6),
        (face.chin_level - 3.0, who.skull.jaw_width * 0.98, 5.4, -3.4),
        (face.chin_level - 6.0, who.skull.jaw_width * 1.15, 5.8, -4.2),
    ]);
    let first = mesh.vertices.len();
    mesh.add(&neck, Material::Neck, 0.0);
    // The chin keeps the sky off the neck.
    for v in &mut mesh.vertices[first..] {
        v.open = mix(0.45, 0.9, ((face.chin_level - v.p.1) / 4.0).clamp(0.0, 1.0));
    }
    let clothes = &sample.clothes;
    let top = face.chin_level + clothes.level;
    let cloth = tube(&[
        (top, who.skull.jaw_width * 1.15, 6.2, -4.0),
        (top - 1.0, clothes.shoulder, 7.5, -4.5),
        (top - 3.0, clothes.shoulder.max(10.0) + 6.0, 9.0, -5.0),
        (face.chin_level - 12.0, 20.0, 10.0, -5.0),
    ]);
    mesh.add(&cloth, Material::Cloth, 0.0);
    if who.hair.present {
        add_hair(&mut mesh, &who.hair, face, noise, sample.hair_shift);
    }
    if let (Some(g), true) = (&who.glasses, sample.glasses) {
        let first = mesh.vertices.len();
        mesh.add(&glasses::plane(g, face), Material::Glasses, 0.0);
        for v in &mut mesh.vertices[first..] {
            v.casts = false;
        }
    }
    mesh
}

fn head(face: &Face) -> Grid {
    let columns = 104;
    let levels = face.levels();
    let angles: Vec<(f32, f32, f32)> = (0..columns)
        .map(|c| {
            // Dense at the front, sparse at the back.
            let t = c as f32 / (columns - 1) as f32 * 2.0 - 1.0;
            let a = PI * t * (0.42 + 0.58 * t * t);
            let (s, c) = sin_cos(a);
            (a, s, c)
        })
        .collect();
    let mut points = Vec::with_capacity(columns * levels.len());
    for &y in &levels {
        let section = face.section(y);
        for &(a, s, c) in &angles {
            points.push((face.around(s, c, y, section), (a, y)));
        }
    }
    Grid {
        rows: levels.len(),
        columns,
        closed: true,
        points,
    }
}

/// An ear: a flat ellipsoid that leans off the head. `uv` are its own coordinates in `[−1, 1]`.
fn ear(who: &Identity, face: &Face, side: f32) -> Grid {
    let (rows, columns) = (10, 15);
    let (w, ..) = face.section(-0.8);
    let size = who.skull.ear_size;
    let (sa, ca) = sin_cos(who.skull.ear_angle);
    let back = V3(side * sa, 0.0, -ca);
    let thick = V3(side * ca, 0.0, sa);
    let up = V3(0.0, 1.0, -0.18).unit();
    let centre = V3(side * (w - 0.25), -0.7, -0.6) + back * (1.1 * size);
    let mut points = Vec::with_capacity(rows * columns);
    for r in 0..rows {
        let (sp, cp) = sin_cos(PI * r as f32 / (rows - 1) as f32);
        for c in 0..columns {
            let (s, c) = sin_cos((c as f32 / (columns - 1) as f32 * 2.0 - 1.0) * PI);
            let (x, y, z) = (sp * s, cp, sp * c);
            // `x` runs across, so that the front faces the camera on both sides.
            let along = x * side;
            // The lobe is narrower than the top.
            let narrow = 1.0 - 0.28 * (-y).max(0.0);
            let p = centre
                + back * (along * 1.75 * size * narrow)
                + up * (y * 3.1 * size)
                + thick * (z * 0.5 * size);
            points.push((p, (along, y)));
        }
    }
    Grid {
        rows,
        columns,
        closed: true,
        points,
    }
}

/// A tube around the vertical axis through rings of (level, half-width, half-depth, middle).
fn tube(rings: &[(f32, f32, f32, f32)]) -> Grid {
    let columns = 33;
    let mut points = Vec::with_capacity(columns * rings.len());
    for &(y, w, d, z) in rings {
        for c in 0..columns {
            let a = (c as f32 / (columns - 1) as f32 * 2.0 - 1.0) * PI;
            let (s, c) = sin_cos(a);
            points.push((V3(w * s, y, z + d * c), (a, y)));
        }
    }
    Grid {
        rows: rings.len(),
        columns,
        closed: true,
        points,
    }
}

/// Adds the shell twice: as a transparent front, and as the inside that is seen past the jaw.
fn add_hair(mesh: &mut Mesh, hair: &Hair, face: &Face, noise: &Noise, shift: f32) {
    let grid = hair.shell(face, noise, shift);
    let (vertex, triangle) = (mesh.vertices.len(), mesh.triangles.len());
    mesh.add(&grid, Material::Hair, 0.35);
    for v in &mut mesh.vertices[vertex..] {
        v.casts = hair.alpha(noise, v.uv.0, v.uv.1, 0.1) > 0.5;
    }
    // What lies well inside the opening for the face is never seen.
    let (vertices, mut k) = (&mesh.vertices, 0);
    mesh.triangles.retain(|(t, _)| {
        k += 1;
        k <= triangle || t.iter().any(|&i| !hair.is_clear(vertices[i as usize].uv))
    });
    if hair.cover < 1.0 {
        return;
    }
    let inside: Vec<_> = mesh.triangles[triangle..]
        .iter()
        .filter(|(t, _)| t.iter().all(|&i| vertices[i as usize].casts))
        .map(|&(t, _)| (t, Material::HairInside))
        .collect();
    mesh.triangles.extend(inside);
}
