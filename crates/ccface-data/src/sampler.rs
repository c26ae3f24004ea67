//! In which order an epoch visits the images.

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::rng::{Purpose, Stream, epoch_order};
use crate::source::{FaceSource, by_identity};

/// How an epoch is put together; always a pure function of (seed, epoch).
///
/// In a config it is a table such as `{ kind = "shuffled" }` or `{ kind = "pk", p = 10, k = 4 }`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Sampler {
    /// The source's order.
    Sequential,
    /// Every image once, in random order.
    #[default]
    Shuffled,
    /// As many draws as images; every identity equally often, its images in turn.
    ClassBalanced,
    /// As many draws as images; every group equally often, its images in turn.
    GroupBalanced,
    /// Batches of `p` identities with `k` images each; where there are groups, the identities of a batch come
    /// from all groups in turn. An identity with fewer than `k` images repeats them.
    Pk {
        /// Identities per batch.
        p: usize,
        /// Images per identity.
        k: usize,
    },
}

/// One visit to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// The image.
    pub index: usize,
    /// How often the image came earlier in the epoch.
    pub repeat: u32,
}

impl Sampler {
    /// What is wrong with the sampler for this source and batch size, if anything.
    pub fn problem(&self, source: &dyn FaceSource, batch: usize) -> Option<DataError> {
        match self {
            Sampler::Pk { p, k } if *p == 0 || *k == 0 || p * k != batch => {
                Some(DataError::config(
                    "sampler",
                    format!("{p}×{k}"),
                    format!("p·k must equal the batch size ({batch})"),
                ))
            }
            Sampler::Pk { p, .. } => {
                let held = by_identity(source)
                    .iter()
                    .filter(|set| !set.is_empty())
                    .count();
                let text = format!("the source holds images of only {held} identities");
                (*p > held).then(|| DataError::config("sampler.p", p, text))
            }
            Sampler::GroupBalanced if source.groups().is_empty() => Some(DataError::config(
                "sampler",
                "group_balanced",
                "the source has no groups; give a manifest with a group column, or choose another sampler",
            )),
            _ => None,
        }
    }

    /// How many images an epoch visits.
    pub fn visits(&self, source: &dyn FaceSource, batch: usize) -> usize {
        match self {
            Sampler::Pk { .. } if batch > 0 => (source.len() / batch).max(1) * batch,
            _ => source.len(),
        }
    }

    /// The visits of an epoch, in order.
    pub fn order(
        &self,
        source: &dyn FaceSource,
        batch: usize,
        seed: u64,
        epoch: u64,
    ) -> Vec<Visit> {
        let n = self.visits(source, batch);
        let mut stream = Stream::new(seed, epoch, 1, Purpose::Order);
        let indices = match self {
            Sampler::Sequential => (0..n).collect(),
            Sampler::Shuffled => epoch_order(seed, epoch, n),
            Sampler::ClassBalanced => balanced(by_identity(source), n, &mut stream),
            Sampler::GroupBalanced => balanced(by_group(source), n, &mut stream),
            Sampler::Pk { p, k } => pk(source, n, *p, *k, &mut stream),
        };
        number(indices, source.len())
    }
}

fn number(indices: Vec<usize>, len: usize) -> Vec<Visit> {
    let mut seen = vec![0u32; len];
    indices
        .into_iter()
        .map(|index| {
            let repeat = seen[index];
            seen[index] += 1;
            Visit { index, repeat }
        })
        .collect()
}

/// Members of a set in random order, and again in another order once all have come.
struct Deck {
    members: Vec<usize>,
    next: usize,
}

impl Deck {
    fn new(members: Vec<usize>) -> Self {
        let next = members.len();
        Self { members, next }
    }

    fn draw(&mut self, stream: &mut Stream) -> usize {
        if self.next == self.members.len() {
            stream.shuffle(&mut self.members);
            self.next = 0;
        }
        self.next += 1;
        self.members[self.next - 1]
    }
}

fn decks(sets: Vec<Vec<usize>>) -> Vec<Deck> {
    sets.into_iter()
        .filter(|set| !set.is_empty())
        .map(Deck::new)
        .collect()
}

fn balanced(sets: Vec<Vec<usize>>, n: usize, stream: &mut Stream) -> Vec<usize> {
    let mut images = decks(sets);
    if images.is_empty() {
        return Vec::new();
    }
    let mut turn = Deck::new((0..images.len()).collect());
    (0..n)
        .map(|_| {
            let set = turn.draw(stream);
            images[set].draw(stream)
        })
        .collect()
}

fn by_group(source: &dyn FaceSource) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); source.groups().len()];
    for i in 0..source.len() {
        if let Some(group) = source.group(i) {
            members[group].push(i);
        }
    }
    members
}

fn pk(source: &dyn FaceSource, n: usize, p: usize, k: usize, stream: &mut Stream) -> Vec<usize> {
    let sets = by_identity(source);
    // An identity belongs to the group of its first image; without groups all belong to one.
    let mut groups = vec![Vec::new(); source.groups().len().max(1)];
    for (label, set) in sets.iter().enumerate() {
        if let Some(&first) = set.first() {
            groups[source.group(first).unwrap_or(0)].push(label);
        }
    }
    let mut images: Vec<Deck> = sets.into_iter().map(Deck::new).collect();
    let mut groups = decks(groups);
    let mut turn = Deck::new((0..groups.len()).collect());
    let mut order = Vec::with_capacity(n);
    while order.len() < n {
        let mut labels: Vec<usize> = Vec::with_capacity(p);
        while labels.len() < p {
            let group = turn.draw(stream);
            let label = groups[group].draw(stream);
            // A deck reshuffled inside a batch could give an identity twice.
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        for label in labels {
            for _ in 0..k {
                order.push(images[label].draw(stream));
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::source::testing::people;

    fn indices(visits: &[Visit]) -> Vec<usize> {
        visits.iter().map(|v| v.index).collect()
    }

    #[test]
    fn shuffled_visits_every_image_once_in_an_order_of_its_own() {
        let source = people(5, 4, 8);
        let order = Sampler::Shuffled.order(&source, 4, 1, 0);
        let mut sorted = indices(&order);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..source.len()).collect::<Vec<_>>());
        assert!(order.iter().all(|v| v.repeat == 0));
        assert_ne!(order, Sampler::Shuffled.order(&source, 4, 1, 1));
        assert_eq!(
            indices(&Sampler::Sequential.order(&source, 4, 1, 0)),
            (0..source.len()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn class_balanced_draws_every_identity_equally_often() {
        let source = people(4, 1, 8);
        let order = Sampler::ClassBalanced.order(&source, 2, 1, 0);
        assert_eq!(order.len(), 6);
        let mut counts = [0; 4];
        for visit in &order {
            counts[source.identity(visit.index)] += 1;
        }
        assert!(counts.iter().all(|c| (1..=2).contains(c)), "{counts:?}");
        // An image's second visit draws anew.
        let once: Vec<_> = order.iter().map(|v| (v.index, v.repeat)).collect();
        let mut unique = once.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), once.len());
    }

    /// Identities 0 and 1 belong to the first group, all others to the second.
    struct Grouped(crate::source::MemorySource, Vec<String>);

    impl FaceSource for Grouped {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn identity(&self, i: usize) -> usize {
            self.0.identity(i)
        }
        fn identities(&self) -> &[String] {
            self.0.identities()
        }
        fn name(&self, i: usize) -> String {
            self.0.name(i)
        }
        fn image(&self, i: usize) -> Result<image::RgbImage, DataError> {
            self.0.image(i)
        }
        fn hash(&self) -> Result<String, DataError> {
            self.0.hash()
        }
        fn groups(&self) -> &[String] {
            &self.1
        }
        fn group(&self, i: usize) -> Option<usize> {
            Some(usize::from(self.identity(i) > 1))
        }
    }

    #[test]
    fn groups_come_equally_often_whatever_their_size() {
        let source = Grouped(people(12, 2, 8), vec!["few".into(), "many".into()]);
        let share = |order: &[Visit]| {
            order
                .iter()
                .filter(|v| source.group(v.index) == Some(0))
                .count()
        };
        let order = Sampler::GroupBalanced.order(&source, 4, 1, 0);
        assert!(Sampler::GroupBalanced.problem(&source, 4).is_none());
        assert_eq!((order.len(), share(&order)), (30, 15));
        // Two identities of each group in every batch of four.
        let order = Sampler::Pk { p: 4, k: 2 }.order(&source, 8, 1, 0);
        assert!(order.chunks(8).all(|batch| share(batch) == 4));
    }

    #[test]
    fn pk_batches_hold_p_identities_with_k_images_each() {
        let source = people(7, 3, 8);
        let sampler = Sampler::Pk { p: 3, k: 2 };
        assert!(sampler.problem(&source, 6).is_none());
        let order = sampler.order(&source, 6, 1, 0);
        assert_eq!(order.len(), 24);
        for batch in order.chunks(6) {
            let mut labels: Vec<_> = batch.iter().map(|v| source.identity(v.index)).collect();
            labels.dedup();
            assert_eq!(labels.len(), 3, "{labels:?}");
            labels.sort_unstable();
            labels.dedup();
            assert_eq!(labels.len(), 3);
        }
        assert!(
            sampler
                .problem(&source, 8)
                .unwrap()
                .to_string()
                .contains("batch size (8)")
        );
        let many = Sampler::Pk { p: 8, k: 1 };
        assert!(
            many.problem(&source, 8)
                .unwrap()
                .to_string()
                .contains("only 7")
        );
        assert!(Sampler::GroupBalanced.problem(&source, 8).is_some());
    }
}
