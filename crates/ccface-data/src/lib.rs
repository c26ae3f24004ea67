//! From files to faces to HR/LR pairs to batches of plain numbers; synthetic faces.
//!
//! The way of one image: a [`FaceSource`] reads and decodes it, [`paired`] mirrors it and makes its LR view by a
//! [`degrade::Recipe`], and the [`Loader`] puts pairs into a [`Batch`] ahead of the training step. Every draw is a
//! pure function of (seed, epoch, index); see [`rng`].

pub mod align;
pub mod batch;
pub mod convert;
pub mod decode;
pub mod degrade;
pub mod error;
pub mod face;
pub mod inspect;
pub mod loader;
pub mod mask;
pub mod paired;
pub mod quarantine;
pub mod rng;
pub mod sampler;
pub mod source;
pub mod split;
pub mod synthetic;

pub use batch::Batch;
pub use degrade::{SizeDistribution, lr_view};
pub use error::{DataError, ImageProblem};
pub use face::FaceImage;
pub use inspect::{Inspection, Verification, inspect, verify};
pub use loader::{Epoch, Loader, LoaderConfig};
pub use mask::FaceMask;
pub use paired::{Pair, PairConfig, pair};
pub use quarantine::BadImage;
pub use sampler::Sampler;
pub use source::{FaceSource, ImageFolder};
pub use split::{Fold, Part, Selection, folds};
