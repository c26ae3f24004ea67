//! HR/LR pairs per second on one core, from JPEG bytes to a batch of numbers.
//!
//! `cargo bench -p ccface-data --bench pairs`; the peer that does the same work in Python is
//! `scripts/pairs_peer.py`, which reads the pictures that this bench writes where `CCFACE_BENCH_OUT` names a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ccface_data::decode::{DecodeLimits, decode_rgb};
use ccface_data::degrade::Preset;
use ccface_data::{
    DataError, FaceImage, FaceSource, ImageFolder, Loader, LoaderConfig, PairConfig, Selection,
    degrade::Recipe,
};
use divan::counter::ItemsCount;
use image::RgbImage;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// 112×112 JPEG files in memory, quality 95, colour at half resolution.
struct Jpegs {
    files: Vec<Vec<u8>>,
    identities: Vec<String>,
}

const N: usize = 400;
const BATCH: usize = 50;

impl Jpegs {
    fn new() -> Self {
        let shared =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/orl_aligned112");
        let orl = ImageFolder::open(shared, &Selection::All).ok();
        let files: Vec<Vec<u8>> = (0..N)
            .map(|i| {
                let real = orl.as_ref().and_then(|orl| orl.image(i % orl.len()).ok());
                encode(&real.unwrap_or_else(|| waves(i)))
            })
            .collect();
        if let Some(folder) = std::env::var_os("CCFACE_BENCH_OUT").map(PathBuf::from) {
            for (i, file) in files.iter().enumerate() {
                std::fs::write(folder.join(format!("{i:04}.jpg")), file)
                    .expect("the folder is writable");
            }
        }
        Self {
            files,
            identities: vec!["somebody".to_string()],
        }
    }
}

/// Something with edges and texture where there are no faces.
fn waves(i: usize) -> RgbImage {
    RgbImage::from_fn(112, 112, |x, y| {
        let (x, y, i) = (f64::from(x), f64::from(y), i as f64);
        let wave = |a: f64, b: f64| 128.0 + 90.0 * (x / a + i).sin() * (y / b).cos();
        image::Rgb([
            wave(9.0, 7.0) as u8,
            wave(11.0, 5.0) as u8,
            wave(4.0, 13.0) as u8,
        ])
    })
}

fn encode(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 95);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder
        .encode(
            picture.as_raw(),
            picture.width() as u16,
            picture.height() as u16,
            ColorType::Rgb,
        )
        .expect("112 pixels fit a JPEG");
    bytes
}

impl FaceSource for Jpegs {
    fn len(&self) -> usize {
        self.files.len()
    }
    fn identity(&self, _: usize) -> usize {
        0
    }
    fn identities(&self) -> &[String] {
        &self.identities
    }
    fn name(&self, i: usize) -> String {
        i.to_string()
    }
    fn image(&self, i: usize) -> Result<RgbImage, DataError> {
        decode_rgb(&self.files[i], &DecodeLimits::default()).map_err(|reason| DataError::Image {
            name: self.name(i),
            reason,
        })
    }
    fn hash(&self) -> Result<String, DataError> {
        Ok(String::new())
    }
}

/// A batch of pairs, HR view included, on the calling thread.
#[divan::bench(args = ["area-bicubic", "adaface", "qgface", "surveillance"])]
fn pairs(bencher: divan::Bencher<'_, '_>, recipe: &str) {
    let preset: Preset = recipe.parse().expect("the name of a preset");
    let pairs = PairConfig {
        degradation: Recipe::Preset(preset),
        ..PairConfig::default()
    };
    let config = LoaderConfig {
        batch: BATCH,
        workers: 0,
        ..LoaderConfig::default()
    };
    let loader = Loader::new(Arc::new(Jpegs::new()), pairs, config).expect("valid settings");
    let mut epoch = 0;
    let mut batches = loader.epoch(epoch, 0);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        let batch = batches.next().unwrap_or_else(|| {
            epoch += 1;
            batches = loader.epoch(epoch, 0);
            batches.next().expect("an epoch has batches")
        });
        batch.expect("every picture decodes")
    });
}

/// Decoding alone.
#[divan::bench]
fn decode(bencher: divan::Bencher<'_, '_>) {
    let source = Jpegs::new();
    let mut i = 0;
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        i = (i + 1) % N;
        source.image(i).expect("every picture decodes")
    });
}

/// Planes of `f32` from 8-bit pixels.
#[divan::bench]
fn to_planes(bencher: divan::Bencher<'_, '_>) {
    let picture = waves(3);
    bencher
        .counter(ItemsCount::new(1usize))
        .bench_local(|| FaceImage::from_rgb8(&picture));
}

/// One LR view of the reference protocol.
#[divan::bench(args = [8, 16, 56, 100])]
fn lr_view(bencher: divan::Bencher<'_, '_>, size: usize) {
    let face = FaceImage::from_rgb8(&waves(3));
    bencher
        .counter(ItemsCount::new(1usize))
        .bench_local(|| ccface_data::lr_view(&face, size, 112));
}

fn main() {
    divan::main();
}
