//! A batch of pairs as plain numbers.

use crate::quarantine::BadImage;

/// What a training step reads: numbers in a tensor's layout, with no tensor library in sight.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Each image's index in the source.
    pub indices: Vec<usize>,
    /// Each image's label.
    pub labels: Vec<usize>,
    /// Whether the pair is mirrored.
    pub flipped: Vec<bool>,
    /// The side in pixels that each face had when it was smallest.
    pub face_sizes: Vec<f32>,
    /// Whether the student sees the HR view.
    pub is_hr: Vec<bool>,
    /// The students' views, `[N, 3, student_size, student_size]`, RGB from 0 to 255.
    pub student: Vec<f32>,
    /// The HR views, `[N, 3, hr_size, hr_size]`, RGB from 0 to 255, where they were asked for.
    pub hr: Option<Vec<f32>>,
    /// Side of the students' views.
    pub student_size: usize,
    /// Side of the HR views.
    pub hr_size: usize,
    /// Images that could not be used; the batch holds another in the place of each.
    pub bad: Vec<BadImage>,
}

impl Batch {
    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
}
