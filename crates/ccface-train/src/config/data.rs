//! Section `[data]`: where faces come from, and who trains and validates.

use ccface_data::{Selection, source::Variants};
use serde::{Deserialize, Serialize};

use super::PathChoice;
use super::check;

/// Where faces come from and which identities train and validate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Aligned faces: an image folder `identity/image`, a `.rec` file or a folder with one, TinyFace's training set, or a `.csv`
    /// manifest.
    pub path: PathChoice,
    /// The split of a manifest to use. Default empty: all rows.
    pub split: String,
    /// Identities to use: `all`, names, and inclusive ranges over the sorted names (`s01..s20`). Default `all`.
    pub identities: Selection,
    /// Variants of each training image: as it is, and moved a little; the teacher embeds each. Default: one, the image itself.
    pub variants: Variants,
    /// Split the identities into this many disjoint folds and validate on one; 0 (default) uses no folds.
    pub folds: usize,
    /// Which fold validates, from 0. Default 0.
    pub fold: usize,
    /// Seed of the fold assignment, apart from the run's seed so that seeds share folds. Default 0.
    pub fold_seed: u64,
    /// Share of training images that may be unreadable, 0..1: others of the same people stand in for them. Default 0.001; beyond
    /// it the run ends with the first of them named.
    pub error_budget: f64,
    /// Licence of the data, inherited by the model's card. Default `unstated`.
    pub licence: String,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            path: PathChoice::default(),
            split: String::new(),
            identities: Selection::All,
            variants: Variants::default(),
            folds: 0,
            fold: 0,
            fold_seed: 0,
            error_budget: 0.001,
            licence: "unstated".into(),
        }
    }
}

impl DataConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(
            mistakes,
            !self.path.is_empty(),
            "data.path is missing: name a folder of aligned faces, identity/image",
        );
        check(
            mistakes,
            (0.0..=1.0).contains(&self.error_budget),
            "data.error_budget is a share of the images, 0 to 1",
        );
        let problems = self.variants.problems();
        mistakes.extend(problems.iter().map(|p| format!("data: {p}")));
        check(
            mistakes,
            self.folds != 1,
            "data.folds: 1 leaves nothing to train on; use 0 (none) or at least 2",
        );
        check(
            mistakes,
            self.folds == 0 || self.fold < self.folds,
            format!(
                "data.fold {} does not exist among {} folds; they count from 0",
                self.fold, self.folds
            ),
        );
    }
}
