//! From a clean face to the face a distant camera would give.

pub mod blur;
pub mod crop;
pub mod jpeg;
pub mod misalign;
pub mod noise;
pub mod preset;
pub mod recipe;
pub mod resize;
pub mod sizes;
pub mod span;
pub mod stage;
pub mod tone;
pub mod warp;

pub use preset::Preset;
pub use recipe::{Key, Plan, Recipe};
pub use resize::{Kernel, resize};
pub use sizes::SizeDistribution;
pub use span::Span;
pub use stage::{Sizes, Stage};

use crate::face::FaceImage;

/// A picture of `size × size` without a degradation: area average where it shrinks, bicubic where it grows,
/// untouched where it fits.
pub fn fit(face: FaceImage, size: usize) -> FaceImage {
    if (face.width, face.height) == (size, size) {
        return face;
    }
    let kernel = if face.side() > size {
        Kernel::Area
    } else {
        Kernel::Bicubic
    };
    resize(&face, size, size, kernel)
}

/// The LR view of the reference protocol: area average to `r × r`, then bicubic to `out_size × out_size`.
///
/// ```text
/// view = bicubic_{a = −0.75}( area(face, r), out_size )        in f32, no rounding to 8 bits
/// ```
///
/// At `r ≥` the face's shorter side nothing is degraded: the view is the face [`fit`](fit()) to `out_size`.
///
/// # Panics
/// When `r` or `out_size` is 0.
///
/// ```
/// use ccface_data::{FaceImage, degrade::lr_view};
/// let face = FaceImage::filled(112, 112, 50.0);
/// assert_eq!(lr_view(&face, 16, 112).width, 112);
/// ```
pub fn lr_view(face: &FaceImage, r: usize, out_size: usize) -> FaceImage {
    if r >= face.side() {
        return fit(face.clone(), out_size);
    }
    resize(
        &resize(face, r, r, Kernel::Area),
        out_size,
        out_size,
        Kernel::Bicubic,
    )
}
