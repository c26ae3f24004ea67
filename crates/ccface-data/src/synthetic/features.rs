//! What is painted on the face: eyes, brows, lips, nostrils and beard.

use super::head::Face;
use super::identity::Identity;
use super::math::{V3, bump, bump2, linear, mix, smooth};
use super::noise::Noise;
use super::sample::teeth;
use super::skin::Surface;

/// Paints the features of the face's front over the skin.
///
/// `soft` is the width of an edge in centimetres (one sample of the picture).
pub(super) fn paint(who: &Identity, face: &Face, noise: &Noise, p: V3, soft: f32, s: &mut Surface) {
    let (x, y) = (p.0, p.1);
    let ax = x.abs();
    hollow(who, face, x, y, s);
    beard(who, face, noise, p, s);
    if ax < 7.0 && y > -0.5 && y < 5.0 {
        brow(who, face, noise, x, y, soft, s);
    }
    if ax < 6.0 && y.abs() < 2.6 {
        eye(who, face, x, y, soft, s);
    }
    if ax < 2.6 && y < -1.0 && y > -8.0 {
        nostril(face, x, y, s);
    }
    let dy = y + face.mouth_level;
    if ax < face.mouth_width + 1.5 && dy.abs() < 3.0 {
        mouth(who, face, noise, x, y, soft, s);
    }
    fold(face, x, y, s);
}

/// Where light from all sides hardly reaches: the sockets below the brows, beside and below the nose, the corners of
/// the mouth.
fn hollow(who: &Identity, face: &Face, x: f32, y: f32, s: &mut Surface) {
    let (e, ax) = (&who.eyes, x.abs());
    let side = usize::from(x > 0.0);
    let brow = face.brow_level[side];
    let deep = (0.6 + 0.7 * e.depth).clamp(0.4, 1.4);
    let socket = 0.30 * deep * bump2(ax, y, e.spacing + 0.1, 0.45 * brow, 2.8, 0.55 * brow + 0.75)
        + 0.20 * deep * bump2(ax, y, e.spacing - 1.75, 0.35, 1.0, 1.5);
    let nose =
        0.30 * bump2(
            ax,
            y,
            face.nose_width + 0.1,
            face.nose_base + 0.45,
            0.6,
            1.0,
        ) + 0.28 * bump2(x, y, 0.0, face.nose_base - 0.2, 1.6, 0.8);
    let corner = 0.22 * bump2(ax, y, face.mouth_width + 0.2, -face.mouth_level, 0.9, 0.9);
    let dark = (socket + nose + corner).min(0.7);
    s.albedo = s
        .albedo
        .times(V3(1.0 - 0.85 * dark, 1.0 - dark, 1.0 - dark));
    s.gloss *= 1.0 - dark;
}

fn eye(who: &Identity, face: &Face, x: f32, y: f32, soft: f32, s: &mut Surface) {
    let e = &who.eyes;
    let right = x > 0.0;
    let side = usize::from(right);
    let a = e.width;
    let dx = x.abs() - e.spacing;
    let u = dx / a;
    let v = y - face.eye_level[side] - face.eye_tilt * dx;
    let arc = (1.0 - u * u).max(0.0);
    let upper = face.eye_upper[side] * arc * (1.0 + e.skew * u);
    let lower = -face.eye_lower[side] * arc * (1.0 - 0.25 * u);

    // Eye shadow, lid crease and the shade of the socket above the lid.
    if u.abs() < 1.45 && v > -0.4 {
        let lid = smooth(upper, upper + 0.15, v) * smooth(1.5, 0.4, v) * smooth(1.4, 0.8, u.abs());
        if e.shadow_strength > 0.0 {
            s.albedo = s.albedo.mix(e.shadow, e.shadow_strength * lid * 0.8);
        }
        let crease_at = upper + 0.22 + 0.25 * (1.0 - e.hood) * arc.max(0.15);
        let line =
            bump(((v - crease_at) / (0.11 + 0.5 * soft)) * ((v - crease_at) / (0.11 + 0.5 * soft)));
        let c = e.crease * 0.55 * line * smooth(1.25, 0.7, u.abs());
        s.albedo = s.albedo.times(V3(1.0 - 0.85 * c, 1.0 - c, 1.0 - c));
    }
    // Bag line under the eye.
    if v < -0.3 && u.abs() < 1.2 {
        let at = lower - 0.62;
        let d = (v - at) / (0.16 + 0.5 * soft);
        s.albedo = s.albedo * (1.0 - 0.25 * e.bag * bump(d * d) * smooth(1.2, 0.5, u.abs()));
    }

    let inside = (upper - v).min(v - lower);
    let alpha = if u.abs() < 1.0 {
        smooth(-soft, soft, inside)
    } else {
        0.0
    };
    if alpha > 0.0 {
        // Both eyes look the same way, so the iris sits in the eye's own signed coordinate.
        let sx = if right { dx } else { -dx };
        let (gx, gy) = (sx - face.gaze[0], v - face.gaze[1] - 0.08 * a);
        let r = (gx * gx + gy * gy).sqrt();
        let radius = e.iris_radius;
        let white = linear(0.72, 0.69, 0.67) * mix(1.0, 0.5, smooth(0.3, 1.0, u.abs()));
        // Behind dark lids less light reaches it.
        let white = white * mix(0.62, 1.0, smooth(0.05, 0.5, who.skin.albedo.luma()));
        let fibre = 0.8 + 0.4 * bump(((r / radius - 0.62) / 0.35) * ((r / radius - 0.62) / 0.35));
        let rim = smooth(radius * 0.78, radius, r);
        let iris = (e.iris * (0.6 * fibre)).mix(e.iris * 0.15, rim);
        let pupil = linear(0.02, 0.02, 0.02);
        let mut c = white.mix(iris, smooth(radius + 0.5 * soft, radius - 0.5 * soft, r));
        c = c.mix(pupil, smooth(0.24 + 0.5 * soft, 0.24 - 0.5 * soft, r));
        // Pink corner, and the shadow that the upper lid throws.
        c = c.mix(linear(0.75, 0.45, 0.42), smooth(-0.8, -1.0, u) * 0.7);
        let shade = mix(0.3, 0.95, smooth(0.0, 0.6, upper - v));
        s.albedo = s.albedo.mix(c * shade, alpha);
        s.gloss = mix(s.gloss, 0.0, alpha);
        let (hx, hy) = (gx - face.glint[0], gy - face.glint[1]);
        s.glint = alpha * 0.75 * smooth(0.17 + soft, 0.05, (hx * hx + hy * hy).sqrt());
    }
    // Lashes: the dark rim of the upper lid, a faint one below.
    if u.abs() < 1.12 {
        let thick = 0.12 + 0.16 * e.lash;
        let d = (v - upper - 0.02) / (thick + 0.6 * soft);
        let l = bump(d * d) * smooth(1.12, 0.9, u.abs()) * (0.65 + 0.4 * e.lash).min(1.0);
        s.albedo = s.albedo.mix(linear(0.07, 0.05, 0.05), (1.15 * l).min(1.0));
        let d = (v - lower) / (0.06 + 0.6 * soft);
        s.albedo = s.albedo
            * (1.0 - 0.7 * (0.4 + 0.5 * e.lash) * bump(d * d) * smooth(1.05, 0.8, u.abs()));
    }
}

fn brow(who: &Identity, face: &Face, noise: &Noise, x: f32, y: f32, soft: f32, s: &mut Surface) {
    let b = &who.brows;
    let side = usize::from(x > 0.0);
    let t = (x.abs() - b.gap) / b.length;
    if !(-0.25..=1.2).contains(&t) {
        return;
    }
    let peak = (t - 0.62) / 0.62;
    let centre = face.brow_level[side] + b.slant * (t - 0.4) * 1.6 + b.arch * (1.0 - peak * peak)
        - face.frown * 0.45 * smooth(0.5, -0.1, t);
    let half = 0.5 * b.thickness * mix(1.0, b.taper, smooth(0.3, 1.0, t)) * smooth(1.12, 0.9, t);
    let ragged = noise.fractal(x * 5.0 + y * 2.0, y * 3.0) * 0.05;
    let edge = 0.09 + 0.5 * soft;
    let inside = half - (y - centre).abs() + ragged;
    let hair = noise.at(x * 7.0 + y * 4.0 * x.signum(), y * 2.2 + 31.0);
    let alpha =
        smooth(-edge, edge, inside) * smooth(-0.12, 0.12, t) * b.density * (0.65 + 0.5 * hair);
    s.albedo = s.albedo.mix(b.colour, alpha.min(0.97));
    s.gloss *= 1.0 - 0.8 * alpha.min(1.0);
}

fn nostril(face: &Face, x: f32, y: f32, s: &mut Surface) {
    let x = x - face.bend_at(y);
    let ax = x.abs();
    let hole = bump2(
        ax,
        y,
        face.nose_width * 0.48,
        face.nose_base + 0.14,
        0.5 * face.nostril,
        0.29 * face.nostril,
    );
    let wing = bump2(
        ax,
        y,
        face.nose_width + 0.06,
        face.nose_base + 0.45,
        0.4,
        0.85,
    );
    let dark = (1.25 * hole).min(0.85) + 0.2 * wing;
    s.albedo = s
        .albedo
        .times(V3(1.0 - 0.85 * dark, 1.0 - 0.93 * dark, 1.0 - 0.93 * dark));
    s.gloss *= 1.0 - dark.min(1.0);
}

fn mouth(who: &Identity, face: &Face, noise: &Noise, x: f32, y: f32, soft: f32, s: &mut Surface) {
    let lips = face.lips_at(x);
    let (u, v) = (lips.u, y + face.mouth_level);
    if u.abs() < 1.25 {
        let in_upper = (lips.top - v).min(v - lips.gap_top);
        let in_lower = (lips.gap_bottom - v).min(v - lips.bottom);
        let edge = soft + 0.05;
        let end = smooth(1.06, 0.96, u.abs());
        let upper = smooth(-edge, edge, in_upper) * end;
        let lower = smooth(-edge, edge, in_lower) * end;
        let crinkle = 1.0 + 0.09 * (noise.at(x * 5.0, v * 0.8) - 0.5);
        let c = who.mouth.colour * crinkle;
        s.albedo = s.albedo.mix(c * 0.8, upper).mix(c, lower);
        s.gloss = mix(s.gloss, 0.12, upper.max(lower));
        // The opening, with teeth behind the upper lip.
        let gap = lips.gap_top - lips.gap_bottom;
        let inside = (lips.gap_top - v).min(v - lips.gap_bottom);
        let hole = smooth(-0.5 * soft, 0.7 * soft, inside)
            * smooth(0.02, 0.12, gap)
            * smooth(1.0, 0.9, u.abs());
        let dark = linear(0.16, 0.06, 0.06);
        let row = smooth(lips.gap_top - 0.75 - soft, lips.gap_top - 0.75 + soft, v)
            * smooth(0.95, 0.7, u.abs());
        let gaps = 1.0
            - 0.13
                * bump(
                    (((x * 1.25).fract().abs() - 0.5) / 0.2)
                        * (((x * 1.25).fract().abs() - 0.5) / 0.2),
                );
        let show = row * face.teeth * mix(1.0, 0.55, smooth(0.3, 0.9, u.abs())) * gaps;
        s.albedo = s.albedo.mix(dark.mix(teeth(), show), hole);
        s.gloss *= 1.0 - hole;
        // The line between closed lips, darker at the corners.
        let mid = 0.5 * (lips.gap_top + lips.gap_bottom);
        let d = (v - mid) / (0.12 + 0.7 * soft);
        let line = bump(d * d) * smooth(1.14, 0.92, u.abs()) * smooth(0.25, 0.05, gap);
        s.albedo = s
            .albedo
            .mix(s.albedo.times(V3(0.24, 0.15, 0.15)), 0.95 * line);
        let (du, dv) = ((u.abs() - 1.04) / 0.12, (v - mid) / 0.3);
        s.albedo = s.albedo * (1.0 - 0.3 * bump(du * du + dv * dv));
    }
    // Shade below the lower lip.
    let below = bump2(x, v, 0.0, lips.bottom - 0.35, face.mouth_width * 0.8, 0.5);
    s.albedo = s.albedo * (1.0 - 0.28 * below);
}

/// The line from the wing of the nose to beside the mouth.
fn fold(face: &Face, x: f32, y: f32, s: &mut Surface) {
    let ax = x.abs();
    let t = face.fold_along(y);
    if face.fold < 0.02 || !(0.0..=1.0).contains(&t) {
        return;
    }
    let d = (ax - face.fold_at(t)) / 0.5;
    let k = face.fold * 0.22 * bump(d * d) * smooth(0.0, 0.2, t) * smooth(1.0, 0.6, t);
    s.albedo = s.albedo.times(V3(1.0 - 0.85 * k, 1.0 - k, 1.0 - k));
}

fn beard(who: &Identity, face: &Face, noise: &Noise, p: V3, s: &mut Surface) {
    let b = &who.beard;
    if b.stubble == 0.0 || p.1 > -2.0 {
        return;
    }
    let (x, y) = (p.0, p.1);
    let ax = x.abs();
    // Along the side, depth tells the front of the jaw from the ear.
    let mouth = face.mouth_level;
    let nose = face.nose_base;
    let lips = face.lips_at(x);
    let lip_clear = smooth(lips.top + 0.05, lips.top + 0.4, y + mouth)
        .max(smooth(lips.bottom - 0.15, lips.bottom - 0.45, y + mouth))
        .max(smooth(1.0, 1.25, lips.u.abs()));
    let ragged = 0.35 * noise.fractal(x * 1.7 + 5.0, (y + p.2 * 0.5) * 1.7);
    // The moustache widens from the nose to the corners of the mouth and hangs over them a little.
    let down = ((nose - y) / (nose + mouth).max(0.5)).clamp(0.0, 1.3);
    let reach = mix(face.nose_width * 0.55, face.mouth_width + 0.25, down);
    let upper = smooth(nose + 0.1, nose - 0.5, y + 0.3 * ragged)
        * smooth(-mouth - 1.0, -mouth - 0.2, y)
        * smooth(reach + 0.55, reach - 0.35, ax + ragged);
    let chin = smooth(face.mouth_width + 0.7, face.mouth_width - 0.5, ax + ragged)
        * smooth(-mouth - 0.2, -mouth - 1.0, y);
    // The cheek line rises towards the ear.
    let line = b.cheek_line - 1.6 + 0.55 * (ax - 2.5).max(0.0);
    let cheek = smooth(line + 0.5, line - 0.5, y + ragged)
        * smooth(face.mouth_width - 0.4, face.mouth_width + 0.4, ax)
        + smooth(5.9, 6.6, ax) * smooth(-1.5, -2.5, y) * smooth(-0.5, 1.5, p.2);
    let under = smooth(-mouth - 1.2, -mouth - 2.6, y);
    let full = cheek.max(chin).max(under).min(1.0);
    let hair = noise.at(x * 6.0, (y + 0.3 * p.2) * 2.5 + 13.0);
    let zone = (b.moustache * upper)
        .max(b.goatee * chin.max(0.0))
        .max(b.full * full)
        * lip_clear;
    let shade = b.stubble * upper.max(full) * lip_clear;
    let stub = s.albedo.mix(b.colour, 0.45);
    s.albedo = s.albedo.mix(stub, (shade * (0.6 + 0.5 * hair)).min(1.0));
    let cover = (zone * (0.78 + 0.35 * hair)).min(0.97);
    s.albedo = s.albedo.mix(b.colour * (0.8 + 0.4 * hair), cover);
    s.gloss *= 1.0 - 0.8 * cover;
}
