#![allow(clippy::unwrap_used)]

use ccface_data::source::MemorySource;
use image::{Rgb, RgbImage};

use super::*;
use crate::encoder::EncoderFacts;

/// Looks at the middle of the first channel, which must be blue on a scale around 0; it is blind otherwise.
struct Picky(EncoderFacts);

impl FaceEncoder for Picky {
    fn facts(&self) -> &EncoderFacts {
        &self.0
    }
    fn embed_prepared(&self, pixels: Vec<f32>, count: usize) -> Result<Vec<f32>, TrainError> {
        let side = self.0.input.size;
        Ok(pixels
            .chunks(pixels.len() / count)
            .flat_map(|face| {
                let at = |x: usize, y: usize| face[y * side + x];
                let middle = side / 2;
                // Two numbers whose angle is the identity, if they are centred on 0.
                [at(middle - 2, middle - 4), at(middle + 2, middle - 4), 0.05]
            })
            .collect())
    }
}

fn encoder(colour: Colour) -> Picky {
    let input = InputSpec {
        colour,
        ..InputSpec::arcface(32)
    };
    Picky(EncoderFacts {
        name: "picky".into(),
        hash: "p".into(),
        licence: "none".into(),
        input,
        dim: 3,
    })
}

/// The identity is in the blue channel; red and green are noise.
fn people(grey: bool) -> MemorySource {
    let mut source = MemorySource::default();
    for person in 0..12u32 {
        let angle = f64::from(person) * std::f64::consts::FRAC_PI_6;
        for shot in 0..4u32 {
            let picture = RgbImage::from_fn(32, 32, |x, y| {
                let noise =
                    |k: u32| (x * 7 + y * 13 + person * 29 * k + shot * 101 * k) * k * 37 % 251;
                let part = if x < 16 { angle.cos() } else { angle.sin() };
                let inside = (6..26).contains(&x) && (10..15).contains(&y);
                let blue = match inside {
                    true => (127.5 + 100.0 * part + f64::from(noise(3) % 20)) as u8,
                    false => (noise(5) % 255) as u8,
                };
                match grey {
                    true => Rgb([blue; 3]),
                    false => Rgb([noise(1) as u8, noise(2) as u8, blue]),
                }
            });
            source.push(&format!("p{person:02}"), &shot.to_string(), picture);
        }
    }
    source
}

fn verdict(result: &DoctorResult, question: &str) -> (bool, String) {
    let found = result
        .diagnoses
        .iter()
        .find(|d| d.question == question)
        .unwrap();
    (found.change, found.verdict.clone())
}

#[test]
fn a_wrong_colour_order_is_found_and_the_right_scale_stays() {
    let source = people(false);
    let wrong = examine(&encoder(Colour::Rgb), &source, 48, &mut |_, _| {}).unwrap();
    assert_eq!(
        verdict(&wrong, "colour order"),
        (true, "most likely BGR, not RGB".into())
    );
    assert_eq!(wrong.likely.colour, Colour::Bgr);
    assert!(!verdict(&wrong, "scale").0, "{:?}", wrong.diagnoses);
    let right = examine(&encoder(Colour::Bgr), &source, 48, &mut |_, _| {}).unwrap();
    assert!(!verdict(&right, "colour order").0);
    assert_eq!(right.likely, right.current);
    assert_eq!((right.images, right.identities), (48, 12));
}

#[test]
fn a_wrong_scale_is_found() {
    let mut encoder = encoder(Colour::Bgr);
    (encoder.0.input.mean, encoder.0.input.std) = ([0.0; 3], [255.0; 3]);
    let result = examine(&encoder, &people(false), 48, &mut |_, _| {}).unwrap();
    let (change, told) = verdict(&result, "scale");
    assert!(change && told.contains("127.5"), "{told}");
}

#[test]
fn grey_pictures_do_not_tell_the_colour_order() {
    let result = examine(&encoder(Colour::Rgb), &people(true), 48, &mut |_, _| {}).unwrap();
    assert!(verdict(&result, "colour order").1.contains("grey"));
}

#[test]
fn too_few_people_are_told() {
    let mut source = MemorySource::default();
    for person in ["a", "b"] {
        for shot in ["0", "1"] {
            source.push(person, shot, RgbImage::new(32, 32));
        }
    }
    let error = examine(&encoder(Colour::Rgb), &source, 48, &mut |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("at least three"), "{error}");
}
