//! Group labels that come with every synthetic picture.

use serde::{Deserialize, Serialize};

/// The groups of a picture, for reports by group.
///
/// `skin_tone` and `age` belong to the person, `pose` to the picture. They name ranges of generator
/// parameters, not people: "age-like" means drawn with the signs of that age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Groups {
    /// Six equal bins of the tone scale, 0 the lightest, 5 the darkest.
    pub skin_tone: u8,
    /// Four equal bins of the age scale, about 18–33, 34–49, 50–64 and 65–80 years.
    pub age: u8,
    /// Yaw to the image's left beyond 18° (0), 8° to 18° (1), within 8° (2), and likewise to the right (3, 4).
    pub pose: u8,
}

impl Groups {
    /// Number of skin-tone bins.
    pub const SKIN_TONES: u8 = 6;
    /// Number of age bins.
    pub const AGES: u8 = 4;
    /// Number of pose bins.
    pub const POSES: u8 = 5;

    /// The bins of a tone and an age in `[0, 1]` and a yaw in radians.
    pub(super) fn new(tone: f32, age: f32, yaw: f32) -> Self {
        let bin = |v: f32, n: u8| ((v * f32::from(n)) as u8).min(n - 1);
        let pose = match yaw.to_degrees() {
            d if d < -18.0 => 0,
            d if d < -8.0 => 1,
            d if d <= 8.0 => 2,
            d if d <= 18.0 => 3,
            _ => 4,
        };
        Self {
            skin_tone: bin(tone, Self::SKIN_TONES),
            age: bin(age, Self::AGES),
            pose,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_cover_their_scales_to_the_ends() {
        assert_eq!(
            Groups::new(0.0, 0.0, -0.5),
            Groups {
                skin_tone: 0,
                age: 0,
                pose: 0
            }
        );
        assert_eq!(
            Groups::new(1.0, 1.0, 0.5),
            Groups {
                skin_tone: 5,
                age: 3,
                pose: 4
            }
        );
        assert_eq!(
            Groups::new(0.5, 0.5, 0.0),
            Groups {
                skin_tone: 3,
                age: 2,
                pose: 2
            }
        );
    }
}
