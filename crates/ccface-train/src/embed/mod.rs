//! Embeddings of a whole source as a file: in order, in parts, resumable.

mod merge;
mod rows;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use ccface_data::{DataError, FaceImage, FaceSource};
use ccface_model::InputSpec;
use serde::{Deserialize, Serialize};

pub use merge::{MergeSummary, merge};
use rows::RowFile;

use crate::{
    TrainError,
    encoder::{FaceEncoder, FlipFusion, embed_faces},
    run_dir::write_atomically,
};

/// Version of the document beside the rows.
pub const EMBED_SCHEMA: u32 = 1;

/// How often rows are forced to disk and counted as done.
const SAFE_EVERY: Duration = Duration::from_secs(5);

/// One of several equal parts of a source; part `index` of `count` holds rows `len·index/count .. len·(index+1)/count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which part, from 0.
    pub index: usize,
    /// How many parts.
    pub count: usize,
}

impl Shard {
    /// The whole source.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// The rows of this part of `len`.
    pub fn range(self, len: usize) -> std::ops::Range<usize> {
        let at = |part: usize| (len as u128 * part as u128 / self.count.max(1) as u128) as usize;
        at(self.index)..at(self.index + 1)
    }
}

/// Everything that the rows depend on; two parts fit together, and a stopped run goes on, where this is equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbedFacts {
    /// Version of this schema.
    pub schema_version: u32,
    /// Version of the program.
    pub ccface_version: String,
    /// The network's file.
    pub model: String,
    /// BLAKE3 of its weights.
    pub model_hash: String,
    /// The pixels it took.
    pub input: InputSpec,
    /// The licence that goes with its embeddings.
    pub licence: String,
    /// BLAKE3 of the source.
    pub data_hash: String,
    /// Images of the whole source.
    pub images: usize,
    /// Length of a row.
    pub dim: usize,
    /// How an image and its mirror image are joined.
    pub flip: FlipFusion,
    /// Whether rows have unit norm.
    pub unit_norm: bool,
    /// Images per call of the network: it moves the last bits of a row.
    pub batch: usize,
    /// Which part this is.
    pub shard: Shard,
}

/// The document beside the rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbedDocument {
    /// What the rows depend on.
    #[serde(flatten)]
    pub facts: EmbedFacts,
    /// Rows in this file.
    pub rows: usize,
    /// Images that could not be read, with the reason; their rows are zeros.
    pub failed: Vec<String>,
    /// BLAKE3 of the file of rows.
    pub blake3: String,
}

/// Where a stopped run stands.
#[derive(Debug, Serialize, Deserialize)]
struct Standing {
    facts: EmbedFacts,
    done: usize,
    failed: Vec<String>,
}

/// What is to be embedded, and where to.
pub struct EmbedRequest<'a> {
    /// The network.
    pub encoder: &'a dyn FaceEncoder,
    /// The faces.
    pub source: &'a dyn FaceSource,
    /// `.npy` or `.safetensors`.
    pub out: &'a Path,
    /// How an image and its mirror image are joined.
    pub flip: FlipFusion,
    /// Bring rows to unit norm.
    pub unit_norm: bool,
    /// Which part of the source.
    pub shard: Shard,
    /// Images per call of the network.
    pub batch: usize,
    /// Calls at the same time; with several, each computes on one thread.
    pub workers: usize,
    /// Replace what is there.
    pub overwrite: bool,
    /// Stops at the next batch; the same request goes on from there.
    pub stop: &'a AtomicBool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedSummary {
    /// Rows in the file, earlier ones included.
    pub rows: usize,
    /// Rows of the part.
    pub total: usize,
    /// Rows that an earlier run had left.
    pub resumed: usize,
    /// Images that could not be read, with the reason.
    pub failed: Vec<String>,
    /// Seconds of this run.
    pub seconds: f64,
    /// Whether every row is there; false where it was stopped.
    pub finished: bool,
}

/// Embeds a source, or goes on where a stopped run with the same settings ended.
///
/// Rows come in the source's order. Beside `FILE.npy` lie `FILE.names.txt` and `FILE.labels.txt`, a line a row, and
/// `FILE.json` with everything the rows depend on. While it works there are `.FILE.npy.part` and
/// `.FILE.npy.progress.json`; an ending process loses at most a few seconds of work. `progress(done, total)` is called as
/// rows are written.
///
/// # Errors
/// A file in the way, an unfinished run of other settings, a row that is zero or not finite, what the encoder reports.
pub fn embed_to_file(
    request: &EmbedRequest<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<EmbedSummary, TrainError> {
    let (source, encoder, out) = (request.source, request.encoder, request.out);
    let refuse = |message: String| TrainError::Embedding {
        path: out.to_path_buf(),
        message,
    };
    if request.shard.index >= request.shard.count {
        return Err(refuse(format!(
            "there is no part {} of {}; parts are counted from 0",
            request.shard.index, request.shard.count
        )));
    }
    if out.exists() && !request.overwrite {
        return Err(refuse(
            "exists already; give --overwrite to replace it".into(),
        ));
    }
    let facts = EmbedFacts {
        schema_version: EMBED_SCHEMA,
        ccface_version: env!("CARGO_PKG_VERSION").into(),
        model: encoder.name().into(),
        model_hash: encoder.hash().into(),
        input: encoder.input().clone(),
        licence: encoder.licence().into(),
        data_hash: source.hash()?,
        images: source.len(),
        dim: encoder.dim(),
        flip: request.flip,
        unit_norm: request.unit_norm,
        batch: request.batch.max(1),
        shard: request.shard,
    };
    let range = request.shard.range(source.len());
    let total = range.len();
    let mut standing = standing(request, &facts)?;
    let resumed = standing.done;
    let mut file = RowFile::open(&hidden(out, "part"), out, total, facts.dim, resumed)?;
    let started = Instant::now();
    let mut safe = Instant::now();
    let begin = range.start + resumed;
    let abort = AtomicBool::new(false);
    let next = AtomicUsize::new(0);
    let batch = facts.batch;
    let chunks = (range.end - begin).div_ceil(batch);
    let chunk = |i: usize| begin + i * batch..(begin + (i + 1) * batch).min(range.end);
    let workers = request.workers.clamp(1, chunks.max(1));
    let mut first_error = None;
    progress(resumed, total);
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::sync_channel(2 * workers);
        for _ in 0..workers {
            let (send, next, abort, chunk) = (send.clone(), &next, &abort, &chunk);
            scope.spawn(move || {
                let work = || {
                    while !request.stop.load(Ordering::Relaxed) && !abort.load(Ordering::Relaxed) {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        if i >= chunks || send.send((i, embed_chunk(request, chunk(i)))).is_err() {
                            break;
                        }
                    }
                };
                match alone(workers) {
                    Some(pool) => pool.install(work),
                    None => work(),
                }
            });
        }
        drop(send);
        let mut early = BTreeMap::new();
        let mut wanted = 0;
        for (i, result) in receive {
            early.insert(i, result);
            while let Some(result) = early.remove(&wanted) {
                let written = result.and_then(|rows| {
                    file.append(&rows.data)?;
                    standing.done += rows.data.len() / facts.dim;
                    standing.failed.extend(rows.failed);
                    if safe.elapsed() > SAFE_EVERY {
                        safe = Instant::now();
                        make_safe(&mut file, out, &standing)?;
                    }
                    Ok(())
                });
                if let Err(error) = written {
                    abort.store(true, Ordering::Relaxed);
                    first_error.get_or_insert(error);
                }
                wanted += 1;
                if first_error.is_none() {
                    progress(standing.done, total);
                }
            }
        }
    });
    make_safe(&mut file, out, &standing)?;
    if let Some(error) = first_error {
        return Err(error);
    }
    let summary = EmbedSummary {
        rows: standing.done,
        total,
        resumed,
        failed: standing.failed.clone(),
        seconds: started.elapsed().as_secs_f64(),
        finished: standing.done == total,
    };
    if summary.finished {
        drop(file);
        finish(request, facts, standing, range)?;
    }
    Ok(summary)
}

/// Rows of some images.
struct Rows {
    data: Vec<f32>,
    failed: Vec<String>,
}

fn embed_chunk(
    request: &EmbedRequest<'_>,
    range: std::ops::Range<usize>,
) -> Result<Rows, TrainError> {
    use rayon::prelude::*;

    let (encoder, dim) = (request.encoder, request.encoder.dim());
    let start = range.start;
    let pictures: Vec<Result<FaceImage, DataError>> = range
        .clone()
        .into_par_iter()
        .map(|i| Ok(FaceImage::from_rgb8(&request.source.image(i)?)))
        .collect();
    let mut data = vec![0.0; range.len() * dim];
    let (mut faces, mut places, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (place, picture) in pictures.into_iter().enumerate() {
        match picture {
            Ok(face) => {
                faces.push(face);
                places.push(place);
            }
            Err(error) => failed.push(error.to_string()),
        }
    }
    let rows = embed_faces(encoder, &faces, request.flip)?;
    for (row, place) in rows.chunks_exact(dim).zip(places) {
        let target = &mut data[place * dim..(place + 1) * dim];
        target.copy_from_slice(row);
        let usable = match request.unit_norm {
            true => crate::encoder::normalise(target),
            false => row.iter().all(|v| v.is_finite()).then_some(()),
        };
        usable.ok_or_else(|| {
            TrainError::Evaluation(format!(
                "{} gives an embedding that is zero or not finite for {}: check its colour order and scale",
                encoder.name(),
                request.source.name(start + place)
            ))
        })?;
    }
    Ok(Rows { data, failed })
}

/// A pool of one thread for a worker among several, so that they do not share each other's.
fn alone(workers: usize) -> Option<rayon::ThreadPool> {
    let pool = || rayon::ThreadPoolBuilder::new().num_threads(1).build().ok();
    (workers > 1).then(pool).flatten()
}

/// What an earlier run left, if it was of the same settings.
fn standing(request: &EmbedRequest<'_>, facts: &EmbedFacts) -> Result<Standing, TrainError> {
    let fresh = || Standing {
        facts: facts.clone(),
        done: 0,
        failed: Vec::new(),
    };
    let path = hidden(request.out, "progress.json");
    if request.overwrite && request.out.exists() || !path.exists() {
        return Ok(fresh());
    }
    let text = fs::read_to_string(&path).map_err(TrainError::io(&path, "read"))?;
    match serde_json::from_str::<Standing>(&text) {
        Ok(found) if found.facts == *facts => Ok(found),
        _ if request.overwrite => Ok(fresh()),
        found => Err(TrainError::Embedding {
            path: path.clone(),
            message: format!(
                "an unfinished run of {} lies here. Repeat that command, give another --out, or --overwrite to begin anew",
                match found {
                    Ok(found) => differences(&found.facts, facts),
                    Err(_) => "an unknown kind".into(),
                }
            ),
        }),
    }
}

/// The fields that two runs do not share.
fn differences(a: &EmbedFacts, b: &EmbedFacts) -> String {
    let (a, b) = (serde_json::to_value(a), serde_json::to_value(b));
    let (Ok(serde_json::Value::Object(a)), Ok(serde_json::Value::Object(b))) = (a, b) else {
        return "other settings".into();
    };
    let names: Vec<String> = a
        .iter()
        .filter(|(name, value)| b.get(*name) != Some(value))
        .map(|(name, value)| format!("another {name} ({value})"))
        .collect();
    names.join(", ")
}

fn make_safe(file: &mut RowFile, out: &Path, standing: &Standing) -> Result<(), TrainError> {
    file.sync()?;
    let path = hidden(out, "progress.json");
    let text = serde_json::to_string(standing).unwrap_or_default();
    write_atomically(&path, |file| {
        std::io::Write::write_all(file, text.as_bytes())
    })
}

/// Names and labels first, then the rows under their name, then the document.
fn finish(
    request: &EmbedRequest<'_>,
    facts: EmbedFacts,
    standing: Standing,
    range: std::ops::Range<usize>,
) -> Result<(), TrainError> {
    let (source, out) = (request.source, request.out);
    let lines = |text: &dyn Fn(usize) -> String| -> String {
        let one_line = |i| text(i).replace(['\n', '\r'], "?") + "\n";
        range.clone().map(one_line).collect()
    };
    let names = lines(&|i| source.name(i));
    let labels = lines(&|i| source.identities()[source.identity(i)].clone());
    let part = hidden(out, "part");
    let document = EmbedDocument {
        rows: standing.done,
        failed: standing.failed,
        blake3: file_hash(&part)?,
        facts,
    };
    write_companions(out, &names, &labels)?;
    fs::rename(&part, out).map_err(TrainError::io(out, "write"))?;
    write_document(out, &document)?;
    let left = hidden(out, "progress.json");
    fs::remove_file(&left).map_err(TrainError::io(&left, "remove"))
}

/// `FILE.names.txt` and `FILE.labels.txt`.
fn write_companions(out: &Path, names: &str, labels: &str) -> Result<(), TrainError> {
    for (ending, text) in [("names.txt", names), ("labels.txt", labels)] {
        write_atomically(&out.with_extension(ending), |file| {
            std::io::Write::write_all(file, text.as_bytes())
        })?;
    }
    Ok(())
}

/// `FILE.json`.
fn write_document(out: &Path, document: &EmbedDocument) -> Result<(), TrainError> {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    write_atomically(&out.with_extension("json"), |file| {
        std::io::Write::write_all(file, text.as_bytes())
    })
}

/// BLAKE3 of a file, hexadecimal.
fn file_hash(path: &Path) -> Result<String, TrainError> {
    let file = fs::File::open(path).map_err(TrainError::io(path, "read"))?;
    let mut hasher = blake3::Hasher::new();
    hasher
        .update_reader(file)
        .map_err(TrainError::io(path, "read"))?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// The file `.NAME.ending` beside `NAME`.
fn hidden(out: &Path, ending: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(out.file_name().unwrap_or_default());
    name.push(".");
    name.push(ending);
    out.with_file_name(name)
}

#[cfg(test)]
mod tests;
