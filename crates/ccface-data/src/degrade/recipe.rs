//! From the HR view to the LR view: a list of stages, or a preset.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::preset::Preset;
use super::sizes::SizeDistribution;
use super::stage::{Sizes, Stage};
use crate::error::DataError;
use crate::face::FaceImage;
use crate::rng::{Purpose, Stream};

/// How LR views are made.
///
/// In a config it is the name of a preset (`degradation = "area-bicubic"`) or a table with `stages`.
#[derive(Debug, Clone, PartialEq)]
pub enum Recipe {
    /// A named recipe.
    Preset(Preset),
    /// One's own stages.
    Custom(Plan),
}

impl Default for Recipe {
    /// [`Preset::AreaBicubic`].
    fn default() -> Self {
        Recipe::Preset(Preset::AreaBicubic)
    }
}

/// A recipe written out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The sizes that belong to the recipe, for a pair config that names none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<SizeDistribution>,
    /// How often a size is drawn at all; otherwise the face keeps its full size and only the stages that do not
    /// resize act (default 1).
    #[serde(default = "one")]
    pub p_resize: f64,
    /// The stages, in order.
    pub stages: Vec<Stage>,
}

fn one() -> f64 {
    1.0
}

/// What decides every draw of a degradation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The run's seed.
    pub seed: u64,
    /// The epoch, or 0.
    pub epoch: u64,
    /// The image.
    pub index: u64,
}

impl Key {
    fn stream(self, stage: usize) -> Stream {
        Stream::new(
            self.seed,
            self.epoch,
            self.index,
            Purpose::Stage(stage as u32),
        )
    }
}

impl Recipe {
    /// The recipe written out.
    pub fn plan(&self) -> Plan {
        match self {
            Recipe::Preset(preset) => preset.plan(),
            Recipe::Custom(plan) => plan.clone(),
        }
    }
}

impl Plan {
    /// The geometry that both views share, with the random numbers of (seed, epoch, index).
    pub fn share_geometry(&self, face: FaceImage, key: Key) -> FaceImage {
        let sizes = Sizes {
            face: face.side(),
            out: face.side(),
        };
        self.run(face, sizes, key, true)
    }

    /// Whether there is geometry that both views share, so that teacher embeddings of whole faces do not fit.
    pub fn has_shared_geometry(&self) -> bool {
        self.stages
            .iter()
            .any(|stage| stage.is_shared() && stage.p() > 0.0)
    }

    /// The LR view of a face after [`share_geometry`](Plan::share_geometry), `sizes.out` on each side, with the random
    /// numbers of (seed, epoch, index).
    pub fn apply(&self, face: FaceImage, sizes: Sizes, key: Key) -> FaceImage {
        super::fit(self.run(face, sizes, key, false), sizes.out)
    }

    /// The picture after each stage with the stage's name, for a preview.
    pub fn steps(
        &self,
        face: &FaceImage,
        sizes: Sizes,
        key: Key,
    ) -> Vec<(&'static str, FaceImage)> {
        let mut view = self.share_geometry(face.clone(), key);
        let mut steps = Vec::new();
        for (i, stage) in self.stages.iter().enumerate() {
            if !stage.is_shared() {
                view = stage.apply(view, sizes, &mut key.stream(i));
            }
            steps.push((stage.name(), view.clone()));
        }
        steps
    }

    fn run(&self, face: FaceImage, sizes: Sizes, key: Key, shared: bool) -> FaceImage {
        let stages = self
            .stages
            .iter()
            .enumerate()
            .filter(|(_, stage)| stage.is_shared() == shared);
        stages.fold(face, |view, (i, stage)| {
            stage.apply(view, sizes, &mut key.stream(i))
        })
    }

    /// Everything that is wrong with the plan.
    pub fn problems(&self) -> Vec<DataError> {
        let mut problems = Vec::new();
        if !(0.0..=1.0).contains(&self.p_resize) {
            problems.push(DataError::config(
                "degradation.p_resize",
                self.p_resize,
                "a probability lies between 0 and 1",
            ));
        }
        if let Some(sizes) = &self.sizes {
            problems.extend(sizes.problem("degradation.sizes"));
        }
        for (i, stage) in self.stages.iter().enumerate() {
            problems.extend(stage.problems(&format!("degradation.stages[{i}]")));
        }
        problems
    }
}

impl Serialize for Recipe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Recipe::Preset(preset) => serializer.serialize_str(preset.name()),
            Recipe::Custom(plan) => plan.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Recipe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Recipe;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a degradation recipe, or a table with stages")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Recipe, E> {
                name.parse().map(Recipe::Preset).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Recipe, A::Error> {
                Plan::deserialize(MapAccessDeserializer::new(map)).map(Recipe::Custom)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_recipe_is_a_name_or_a_table_of_stages() {
        for preset in Preset::ALL {
            let text = format!("\"{}\"", preset.name());
            let recipe: Recipe = serde_json::from_str(&text).unwrap();
            assert_eq!(recipe, Recipe::Preset(preset));
            assert_eq!(serde_json::to_string(&recipe).unwrap(), text);
            assert!(preset.plan().problems().is_empty());
            let custom = Recipe::Custom(preset.plan());
            let written = serde_json::to_string(&custom).unwrap();
            assert_eq!(serde_json::from_str::<Recipe>(&written).unwrap(), custom);
        }
    }

    #[test]
    fn every_preset_gives_a_view_of_its_size_by_its_key_alone() {
        let data = (0..3 * 112 * 112)
            .map(|i| ((i * 31) % 256) as f32)
            .collect();
        let face = FaceImage::new(112, 112, data);
        let key = |index| Key {
            seed: 1,
            epoch: 2,
            index,
        };
        for preset in Preset::ALL {
            let plan = preset.plan();
            let sizes = Sizes { face: 14, out: 96 };
            let view = |index| {
                plan.apply(
                    plan.share_geometry(face.clone(), key(index)),
                    sizes,
                    key(index),
                )
            };
            let out = view(5);
            assert_eq!((out.width, out.height), (96, 96), "{}", preset.name());
            assert!(out.data.iter().all(|v| v.is_finite()));
            assert_eq!(out, view(5));
            let random = !matches!(plan.stages[..], [Stage::Down { .. }, Stage::Up { .. }]);
            assert_eq!((6..14).any(|i| out != view(i)), random, "{}", preset.name());
            let steps = plan.steps(&face, sizes, key(5));
            assert_eq!(steps.len(), plan.stages.len());
            let last = steps.last().map(|(_, picture)| picture.clone()).unwrap();
            assert_eq!(crate::degrade::fit(last, 96), out);
        }
    }

    #[test]
    fn unknown_recipes_stages_and_keys_are_refused() {
        let refuse = |text: &str| {
            serde_json::from_str::<Recipe>(text)
                .unwrap_err()
                .to_string()
        };
        assert!(refuse("\"area-bicubik\"").contains("did you mean 'area-bicubic'"));
        assert!(refuse(r#"{"stages":[{"kind":"dawn","kernels":[]}]}"#).contains("dawn"));
        assert!(refuse(r#"{"stages":[],"p":1}"#).contains("unknown field"));
    }
}
