//! `ccface embed`.

use std::{process::ExitCode, time::Instant};

use ccface_train::{
    DeviceSpec,
    embed::{EmbedRequest, Shard, embed_to_file, merge},
    encoder::{is_onnx, open_fast_encoder},
};

use super::{
    data::{open_at, within_budget},
    evaluate_faces::assumptions,
    interrupt::Signals,
};
use crate::{CliError, cli::EmbedArgs, output, progress::Progress};

/// Images per call of a network on a CPU, where each worker computes on one thread.
const CPU_BATCH: usize = 4;
/// Images per call elsewhere.
const GPU_BATCH: usize = 64;

pub(crate) fn run(args: &EmbedArgs) -> Result<ExitCode, CliError> {
    if !args.merge.is_empty() {
        let done = merge(&args.merge, &args.out, args.overwrite)?;
        output::result(&output::printable(&format!(
            "{}: {} × {} from {} parts\n",
            args.out.display(),
            done.rows,
            done.dim,
            args.merge.len()
        )));
        return Ok(ExitCode::SUCCESS);
    }
    let (Some(model), Some(data)) = (&args.model, &args.source.data) else {
        return Err(CliError::Usage(
            "give a model and --data SOURCE, or --merge PART…".into(),
        ));
    };
    within_budget(0, 0, args.budget)?;
    let device: DeviceSpec = args.device.parse()?;
    let encoder = open_fast_encoder(model, &assumptions(&args.onnx)?, &device.resolve()?)?;
    let source = open_at(
        data,
        args.source.split.clone(),
        args.source.identities.parse()?,
    )?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let on_cpu = device.backend.is_cpu() || is_onnx(model);
    let (batch, workers) = if on_cpu {
        (CPU_BATCH, threads)
    } else {
        (GPU_BATCH, 1)
    };
    let shard = args.shard.as_deref().map_or(Ok(Shard::WHOLE), shard)?;
    let signals = Signals::listen();
    let request = EmbedRequest {
        encoder: encoder.as_ref(),
        source: source.as_ref(),
        out: &args.out,
        flip: args.flip.into(),
        unit_norm: args.unit_norm,
        shard,
        batch: args.batch.unwrap_or(batch).max(1),
        workers: args.workers.unwrap_or(workers).max(1),
        overwrite: args.overwrite,
        stop: &signals.run.stop,
    };
    output::note(&format!(
        "embedding {} of {} images: batches of {}, {} workers",
        shard.range(source.len()).len(),
        source.len(),
        request.batch,
        request.workers
    ));
    let mut progress = Progress::new();
    let started = Instant::now();
    let mut begin = None;
    let summary = embed_to_file(&request, &mut |done, total| {
        let first = *begin.get_or_insert(done);
        let speed = (done - first) as f64 / started.elapsed().as_secs_f64().max(1e-9);
        progress.update(&format!("{speed:.0} images/s"), done, total);
    })?;
    drop(progress);
    let here = summary.rows - summary.resumed;
    let speed = here as f64 / summary.seconds.max(1e-9);
    if !summary.finished {
        output::note(&format!(
            "stopped at {} of {} rows; the same command goes on from there",
            summary.rows, summary.total
        ));
        return Ok(signals.exit_code());
    }
    for reason in summary.failed.iter().take(5) {
        output::note(&format!("a row of zeros for {reason}"));
    }
    output::result(&output::printable(&format!(
        "{}: {} × {}, {} images in {:.2} s, {speed:.1} images/s{}\n",
        args.out.display(),
        summary.rows,
        encoder.dim(),
        here,
        summary.seconds,
        match summary.resumed {
            0 => String::new(),
            earlier => format!(" ({earlier} rows were there)"),
        }
    )));
    within_budget(summary.failed.len(), summary.rows, args.budget)?;
    Ok(ExitCode::SUCCESS)
}

/// `2/8` as the third of eight parts.
fn shard(text: &str) -> Result<Shard, CliError> {
    let parsed = text.split_once('/').and_then(|(index, count)| {
        Some(Shard {
            index: index.parse().ok()?,
            count: count.parse().ok()?,
        })
    });
    parsed.filter(|s| s.index < s.count).ok_or_else(|| {
        CliError::Usage(format!(
            "--shard {text}: write i/n with i from 0 to n−1, as in 0/4, 1/4, 2/4, 3/4"
        ))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn shards_are_counted_from_zero() {
        assert_eq!(shard("2/8").unwrap(), Shard { index: 2, count: 8 });
        for wrong in ["8/8", "1", "a/2", "-1/2", "0/0"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }
}
