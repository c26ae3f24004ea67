#![allow(clippy::unwrap_used)]
use super::*;
use crate::sampler::Sampler;
use crate::source::testing::people;

fn loader(workers: usize, change: impl Fn(&mut LoaderConfig)) -> Loader {
    let pairs = PairConfig {
        sizes: serde_json::from_str("[8,10,14]").unwrap(),
        p_hr: 0.2,
        student_size: 16,
        teacher_size: 16,
        ..PairConfig::default()
    };
    let mut config = LoaderConfig {
        batch: 3,
        workers,
        prefetch: 1,
        ..LoaderConfig::default()
    };
    change(&mut config);
    Loader::new(Arc::new(people(5, 3, 20)), pairs, config).unwrap()
}

fn batches(loader: &Loader, epoch: u64, start: usize) -> Vec<Batch> {
    loader.epoch(epoch, start).map(Result::unwrap).collect()
}

#[test]
fn every_byte_is_the_same_with_any_number_of_workers_and_any_restart() {
    let expected = batches(&loader(0, |_| ()), 3, 0);
    assert_eq!(expected.len(), 6);
    for workers in [0, 1, 2, 4, 9] {
        let loader = loader(workers, |_| ());
        assert_eq!(loader.len_batches(), 6);
        assert_eq!(batches(&loader, 3, 0), expected, "{workers} workers");
        for start in [1, 4, 6, 9] {
            assert_eq!(
                batches(&loader, 3, start),
                expected[start.min(6)..],
                "{workers} from {start}"
            );
        }
    }
    let cached = loader(2, |c| c.cache_bytes = 4000);
    assert_eq!(batches(&cached, 3, 0), expected);
    assert_eq!(batches(&cached, 3, 0), expected);
}

#[test]
fn batches_have_the_layout_of_a_tensor_and_the_last_one_may_be_short() {
    let all = batches(&loader(0, |_| ()), 0, 0);
    let sizes: Vec<usize> = all.iter().map(Batch::len).collect();
    assert_eq!(sizes, [3, 3, 3, 3, 3, 2]);
    assert_eq!(all[0].student.len(), 3 * 3 * 16 * 16);
    assert_eq!(all[5].hr.as_ref().unwrap().len(), 2 * 3 * 16 * 16);
    let short = loader(1, |c| {
        c.drop_last = true;
        c.want_hr = false;
    });
    assert_eq!(short.len_batches(), 5);
    assert!(
        batches(&short, 0, 0)
            .iter()
            .all(|b| b.hr.is_none() && b.len() == 3)
    );
}

#[test]
fn an_epoch_can_be_left_in_the_middle_and_knows_its_position() {
    let loader = loader(2, |_| ());
    let mut epoch = loader.epoch(0, 1);
    assert_eq!(epoch.size_hint(), (5, Some(5)));
    epoch.next().unwrap().unwrap();
    assert_eq!(epoch.position(), 2);
    drop(epoch);
    assert_eq!(batches(&loader, 0, 2).len(), 4);
}

#[test]
fn another_seed_or_epoch_gives_other_batches() {
    let base = batches(&loader(0, |_| ()), 0, 0);
    assert_ne!(base, batches(&loader(0, |_| ()), 1, 0));
    assert_ne!(base, batches(&loader(0, |c| c.seed = 2), 0, 0));
}

/// Images 7 and 8 (all of one identity but one) are bad; the last one makes the reader panic.
struct Bad(crate::source::MemorySource);

impl FaceSource for Bad {
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
        assert_ne!(i, 16, "a worker may even panic");
        if matches!(i, 7 | 8) {
            return Err(DataError::image(self.name(i), crate::ImageProblem::Empty));
        }
        self.0.image(i)
    }
    fn hash(&self) -> Result<String, DataError> {
        self.0.hash()
    }
}

fn bad_loader(workers: usize, error_budget: f64) -> Loader {
    let config = LoaderConfig {
        batch: 2,
        workers,
        error_budget,
        sampler: Sampler::Sequential,
        ..LoaderConfig::default()
    };
    let pairs = PairConfig {
        student_size: 16,
        teacher_size: 16,
        ..PairConfig::default()
    };
    Loader::new(Arc::new(Bad(people(5, 3, 20))), pairs, config).unwrap()
}

#[test]
fn another_image_of_the_identity_stands_in_for_a_bad_one_every_time() {
    let expected: Vec<Batch> = bad_loader(0, 0.2)
        .epoch(0, 0)
        .take(8)
        .map(Result::unwrap)
        .collect();
    let bad: Vec<usize> = expected
        .iter()
        .flat_map(|b| b.bad.iter().map(|bad| bad.index))
        .collect();
    assert!(bad.contains(&7) && bad.contains(&8));
    // Images 7, 8 and 9 are one identity.
    assert_eq!((expected[3].indices[1], expected[4].indices[0]), (9, 9));
    for workers in [1, 2, 4] {
        let loader = bad_loader(workers, 0.2);
        let made: Vec<Batch> = loader.epoch(0, 0).take(8).map(Result::unwrap).collect();
        assert_eq!(made, expected);
        let listed = loader.quarantine();
        assert_eq!(listed.iter().map(|b| b.index).collect::<Vec<_>>(), [7, 8]);
        assert_eq!(listed[0].reason, crate::ImageProblem::Empty);
    }
}

#[test]
fn a_spent_error_budget_stops_at_the_same_batch_and_names_the_files() {
    for workers in [0, 1, 3] {
        let results: Vec<_> = bad_loader(workers, 0.001).epoch(0, 0).collect();
        assert_eq!(results.len(), 4, "{workers} workers");
        let text = results[3].as_ref().unwrap_err().to_string();
        assert!(
            text.contains("p02/0: the file is empty") && text.contains("0.100 %"),
            "{text}"
        );
    }
}

#[test]
fn a_worker_that_panics_is_an_error_and_not_a_hang() {
    let last = bad_loader(2, 0.2).epoch(0, 8).next().unwrap();
    assert!(matches!(last, Err(DataError::Worker)));
}

#[test]
fn impossible_settings_are_refused() {
    let refuse = |config: LoaderConfig| {
        let made = Loader::new(Arc::new(people(2, 2, 9)), PairConfig::default(), config);
        made.err().unwrap().to_string()
    };
    assert!(
        refuse(LoaderConfig {
            batch: 0,
            ..LoaderConfig::default()
        })
        .contains("batch = 0")
    );
    assert!(
        refuse(LoaderConfig {
            prefetch: 0,
            ..LoaderConfig::default()
        })
        .contains("prefetch")
    );
    let pk = LoaderConfig {
        sampler: Sampler::Pk { p: 3, k: 1 },
        ..LoaderConfig::default()
    };
    assert!(refuse(pk).contains("p·k"));
}
