//! The degradation recipes that have a name.

use std::f64::consts::PI;
use std::str::FromStr;

use super::recipe::Plan;
use super::resize::Kernel;
use super::sizes::SizeDistribution;
use super::span::Span;
use super::stage::Stage;
use crate::error::DataError;
use crate::split::nearest;

/// The recipes that have a name.
///
/// Source: reconstructed, from the published descriptions of each method; sizes are for 112-pixel faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preset {
    /// `area-bicubic`: area average down, bicubic up; the reference view of this project.
    AreaBicubic,
    /// `adaface`: side ratio U(0.2, 1) with random kernels down and up, crop on black and colour jitter, each with
    /// probability 0.2.
    AdaFace,
    /// `qgface`: 11 to 56 pixels with random kernels, JPEG quality 75 while small, then crop, colour jitter and
    /// rotation on the LR view alone.
    QgFace,
    /// `fskd-14`: 14 pixels always.
    Fskd14,
    /// `fskd-28`: 28 pixels always.
    Fskd28,
    /// `fskd-56`: 56 pixels always.
    Fskd56,
    /// `fskd-mix`: 14, 28, 56 or 112 pixels.
    FskdMix,
    /// `surveillance`: 8 to 56 pixels, misaligned, blurred by lens, movement and focus, noisy, badly exposed and
    /// compressed while small.
    Surveillance,
    /// `heldout`: blur, noise, JPEG and landmark jitter with kernels that no other recipe uses, for evaluation, so
    /// that test degradation differs from training.
    HeldOut,
}

/// The five kernels of OpenCV that the literature draws from.
const RANDOM: [Kernel; 5] = [
    Kernel::Nearest,
    Kernel::Bilinear,
    Kernel::Area,
    Kernel::Bicubic,
    Kernel::Lanczos4,
];

impl Preset {
    /// All presets.
    pub const ALL: [Preset; 9] = [
        Preset::AreaBicubic,
        Preset::AdaFace,
        Preset::QgFace,
        Preset::Fskd14,
        Preset::Fskd28,
        Preset::Fskd56,
        Preset::FskdMix,
        Preset::Surveillance,
        Preset::HeldOut,
    ];

    /// The preset's name in a config.
    pub fn name(self) -> &'static str {
        match self {
            Preset::AreaBicubic => "area-bicubic",
            Preset::AdaFace => "adaface",
            Preset::QgFace => "qgface",
            Preset::Fskd14 => "fskd-14",
            Preset::Fskd28 => "fskd-28",
            Preset::Fskd56 => "fskd-56",
            Preset::FskdMix => "fskd-mix",
            Preset::Surveillance => "surveillance",
            Preset::HeldOut => "heldout",
        }
    }

    /// The preset written out.
    pub fn plan(self) -> Plan {
        let down = |kernels: &[Kernel]| Stage::Down {
            kernels: kernels.to_vec(),
        };
        let up = |kernels: &[Kernel]| Stage::Up {
            kernels: kernels.to_vec(),
        };
        let plain = || vec![down(&[Kernel::Area]), up(&[Kernel::Bicubic])];
        let photometric = || Stage::ColorJitter {
            p: 0.2,
            brightness: Span::new(0.5, 1.5),
            contrast: Span::new(0.5, 1.5),
            saturation: Span::new(0.5, 1.5),
        };
        let crop = |shared| Stage::Crop {
            p: 0.2,
            share: Span::new(0.2, 1.0),
            aspect: Span::new(0.75, 4.0 / 3.0),
            shared,
        };
        let list = |sizes: &[u32]| Some(SizeDistribution::List(sizes.to_vec()));
        let (sizes, p_resize, stages) = match self {
            Preset::AreaBicubic => (None, 1.0, plain()),
            Preset::AdaFace => (
                Some(SizeDistribution::Uniform { min: 22, max: 112 }),
                0.2,
                vec![crop(true), down(&RANDOM), up(&RANDOM), photometric()],
            ),
            Preset::QgFace => (
                Some(SizeDistribution::Uniform { min: 11, max: 56 }),
                1.0,
                vec![
                    down(&RANDOM),
                    Stage::Jpeg {
                        p: 1.0,
                        quality: Span::new(75.0, 75.0),
                    },
                    up(&RANDOM),
                    crop(false),
                    photometric(),
                    Stage::Rotate {
                        p: 0.2,
                        angle: Span::new(-PI / 18.0, PI / 18.0),
                    },
                ],
            ),
            Preset::Fskd14 => (list(&[14]), 1.0, plain()),
            Preset::Fskd28 => (list(&[28]), 1.0, plain()),
            Preset::Fskd56 => (list(&[56]), 1.0, plain()),
            Preset::FskdMix => (list(&[14, 28, 56, 112]), 1.0, plain()),
            Preset::Surveillance => (
                Some(SizeDistribution::LogUniform { min: 8, max: 56 }),
                1.0,
                vec![
                    Stage::LandmarkJitter {
                        p: 0.8,
                        sigma: Span::new(0.1, 0.6),
                    },
                    Stage::GaussianBlur {
                        p: 0.6,
                        sigma: Span::new(0.2, 0.7),
                    },
                    Stage::MotionBlur {
                        p: 0.2,
                        length: Span::new(0.5, 2.0),
                    },
                    Stage::Defocus {
                        p: 0.2,
                        radius: Span::new(0.3, 1.0),
                    },
                    down(&[Kernel::Area, Kernel::Bilinear]),
                    Stage::Tone {
                        p: 0.5,
                        gamma: Span::new(0.7, 1.5),
                        stops: Span::new(-0.7, 0.5),
                    },
                    Stage::Noise {
                        p: 0.7,
                        photons: Span::new(100.0, 2000.0),
                        read: Span::new(0.5, 4.0),
                    },
                    Stage::Jpeg {
                        p: 0.7,
                        quality: Span::new(30.0, 90.0),
                    },
                    up(&[Kernel::Bicubic, Kernel::Bilinear]),
                ],
            ),
            Preset::HeldOut => (
                None,
                1.0,
                vec![
                    Stage::LandmarkJitter {
                        p: 1.0,
                        sigma: Span::new(0.25, 0.25),
                    },
                    Stage::GaussianBlur {
                        p: 1.0,
                        sigma: Span::new(0.5, 0.5),
                    },
                    down(&[Kernel::Box]),
                    Stage::Noise {
                        p: 1.0,
                        photons: Span::new(400.0, 400.0),
                        read: Span::new(2.0, 2.0),
                    },
                    Stage::Jpeg {
                        p: 1.0,
                        quality: Span::new(60.0, 60.0),
                    },
                    up(&[Kernel::Lanczos4]),
                ],
            ),
        };
        Plan {
            sizes,
            p_resize,
            stages,
        }
    }
}

impl FromStr for Preset {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        Preset::ALL
            .into_iter()
            .find(|p| p.name() == name)
            .ok_or_else(|| {
                let names: Vec<&str> = Preset::ALL.iter().map(|p| p.name()).collect();
                let near = nearest(name, names.iter().copied()).unwrap_or_default();
                DataError::config(
                    "degradation",
                    name,
                    format!(
                        "no such recipe; did you mean '{near}'? There are: {}",
                        names.join(", ")
                    ),
                )
            })
    }
}
