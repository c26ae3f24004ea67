#![allow(clippy::unwrap_used)]

use ccface_data::source::MemorySource;
use ccface_eval::{read_labels, read_matrix};
use image::{Rgb, RgbImage};

use super::*;
use crate::encoder::EncoderFacts;

/// Gives each face's mean value and its first pixel.
struct Fake(EncoderFacts, Option<&'static AtomicBool>, AtomicUsize);

impl FaceEncoder for Fake {
    fn facts(&self) -> &EncoderFacts {
        &self.0
    }
    fn embed_prepared(&self, pixels: Vec<f32>, count: usize) -> Result<Vec<f32>, TrainError> {
        // Stops itself after some calls.
        if let Some(stop) = self.1
            && self.2.fetch_add(1, Ordering::Relaxed) == 2
        {
            stop.store(true, Ordering::Relaxed);
        }
        let size = pixels.len() / count;
        Ok(pixels
            .chunks(size)
            .flat_map(|face| [face.iter().sum::<f32>() / size as f32, face[0]])
            .collect())
    }
}

fn fake(stop: Option<&'static AtomicBool>) -> Fake {
    let input = InputSpec {
        mean: [0.0; 3],
        std: [1.0; 3],
        ..InputSpec::arcface(4)
    };
    let facts = EncoderFacts {
        name: "fake".into(),
        hash: "f".into(),
        licence: "none".into(),
        input,
        dim: 2,
    };
    Fake(facts, stop, AtomicUsize::new(0))
}

fn source(images: usize) -> MemorySource {
    let mut source = MemorySource::default();
    for i in 0..images {
        let picture = RgbImage::from_fn(4, 4, |x, _| Rgb([(i as u32 * 3 + x) as u8; 3]));
        source.push(&format!("p{:02}", i / 3), &format!("{i:02}"), picture);
    }
    source
}

static NEVER: AtomicBool = AtomicBool::new(false);

fn request<'a>(encoder: &'a Fake, source: &'a MemorySource, out: &'a Path) -> EmbedRequest<'a> {
    EmbedRequest {
        encoder,
        source,
        out,
        flip: FlipFusion::None,
        unit_norm: false,
        shard: Shard::WHOLE,
        batch: 3,
        workers: 2,
        overwrite: false,
        stop: &NEVER,
    }
}

fn run(request: &EmbedRequest<'_>) -> Result<EmbedSummary, TrainError> {
    embed_to_file(request, &mut |_, _| {})
}

#[test]
fn rows_names_and_labels_come_in_the_sources_order_in_both_formats() {
    let dir = tempfile::tempdir().unwrap();
    let (encoder, source) = (fake(None), source(20));
    for name in ["a.npy", "a.safetensors"] {
        let out = dir.path().join(name);
        let mut request = request(&encoder, &source, &out);
        request.overwrite = true;
        let summary = run(&request).unwrap();
        assert!(summary.finished && summary.rows == 20);
        let matrix = read_matrix(&out).unwrap();
        assert_eq!((matrix.rows, matrix.columns), (20, 2));
        for (i, row) in matrix.data.chunks(2).enumerate() {
            assert_eq!(row, [i as f32 * 3.0 + 1.5, i as f32 * 3.0]);
        }
        let names = read_labels(out.with_extension("names.txt")).unwrap();
        assert_eq!((names.len(), names[7].as_str()), (20, "p02/07"));
        assert_eq!(
            read_labels(out.with_extension("labels.txt")).unwrap()[7],
            "p02"
        );
    }
    // Nothing else is left: rows twice, and three companions.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 5);
    let out = dir.path().join("a.npy");
    assert!(
        run(&request(&encoder, &source, &out))
            .unwrap_err()
            .to_string()
            .contains("--overwrite")
    );
    let wrong = dir.path().join("a.csv");
    assert!(
        run(&request(&encoder, &source, &wrong))
            .unwrap_err()
            .to_string()
            .contains(".npy")
    );
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bytes_and_refuses_other_settings() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let dir = tempfile::tempdir().unwrap();
    let source = source(40);
    let whole = dir.path().join("whole.npy");
    let plain = fake(None);
    run(&request(&plain, &source, &whole)).unwrap();
    let out = dir.path().join("parts.npy");
    let stopping = fake(Some(&STOP));
    let mut stopped = request(&stopping, &source, &out);
    stopped.stop = &STOP;
    let summary = run(&stopped).unwrap();
    assert!(!summary.finished && summary.rows < 40 && !out.exists());
    let mut other = request(&plain, &source, &out);
    other.flip = FlipFusion::Sum;
    let message = run(&other).unwrap_err().to_string();
    assert!(message.contains("another flip"), "{message}");
    // A killed process may leave rows that were never counted.
    let part = hidden(&out, "part");
    let mut bytes = fs::read(&part).unwrap();
    bytes.extend([7; 13]);
    fs::write(&part, bytes).unwrap();
    let again = run(&request(&plain, &source, &out)).unwrap();
    assert_eq!(
        (again.resumed, again.rows, again.finished),
        (summary.rows, 40, true)
    );
    assert_eq!(fs::read(&out).unwrap(), fs::read(&whole).unwrap());
}

#[test]
fn parts_make_the_whole_again_and_a_foreign_or_changed_part_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (encoder, source) = (fake(None), source(11));
    let whole = dir.path().join("whole.npy");
    let mut all = request(&encoder, &source, &whole);
    all.unit_norm = true;
    run(&all).unwrap();
    let part = |index, name: &str, unit_norm| {
        let out = dir.path().join(name);
        let mut request = request(&encoder, &source, &out);
        request.shard = Shard { index, count: 3 };
        request.unit_norm = unit_norm;
        run(&request).unwrap();
        out.clone()
    };
    let parts = [
        part(2, "c.npy", true),
        part(0, "a.npy", true),
        part(1, "b.safetensors", true),
    ];
    let merged = dir.path().join("merged.npy");
    assert_eq!(merge(&parts, &merged, false).unwrap().rows, 11);
    for ending in ["npy", "names.txt", "labels.txt"] {
        let read = |path: &Path| fs::read(path.with_extension(ending)).unwrap();
        assert_eq!(read(&merged), read(&whole), "{ending}");
    }
    let refusal = |parts: &[PathBuf]| {
        merge(parts, &dir.path().join("no.npy"), false)
            .unwrap_err()
            .to_string()
    };
    assert!(refusal(&parts[..2]).contains("expected 1"));
    assert!(refusal(&[parts[1].clone(), parts[2].clone()]).contains("part 2 is missing"));
    let foreign = part(1, "d.npy", false);
    assert!(refusal(&[parts[0].clone(), parts[1].clone(), foreign]).contains("unit_norm"));
    let mut bytes = fs::read(&parts[0]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&parts[0], bytes).unwrap();
    assert!(refusal(&parts).contains("changed"));
}

#[test]
fn parts_cover_every_row_once() {
    for (len, count) in [(0, 1), (10, 3), (7, 9), (2_059_906, 64)] {
        let mut next = 0;
        for index in 0..count {
            let range = Shard { index, count }.range(len);
            assert_eq!(range.start, next);
            next = range.end;
        }
        assert_eq!(next, len);
    }
}
