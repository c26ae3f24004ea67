//! How long TinyFace takes with random embeddings: the exact search of 157,871 faces, and the whole evaluation.
//!
//! `cargo run --release -p ccface-eval --example search_speed [probes matches distractors dim]`

use std::time::Instant;

use ccface_eval::{
    DISTRACTOR, EmbeddingSet, Embeddings, EvaluationConfig, Stream, TopK, evaluate_embeddings,
};
use rayon::prelude::*;

fn random(seed: u64, rows: usize, dim: usize) -> Vec<f32> {
    let mut data = vec![0.0_f32; rows * dim];
    data.par_chunks_mut(dim).enumerate().for_each(|(r, row)| {
        let mut rng = Stream::new(seed, r as u64);
        row.fill_with(|| rng.normal() as f32);
    });
    data
}

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut sizes = [3728, 4443, 153_428, 512];
    for (size, text) in sizes.iter_mut().zip(std::env::args().skip(1)) {
        *size = text.parse()?;
    }
    let [probes, matches, distractors, dim] = sizes;
    let rows = matches + distractors;
    let people = probes.min(matches) * 2 / 3;
    println!("embeddings: {} MiB", (probes + rows) * dim / 262_144);
    {
        let probe = Embeddings::new(random(1, probes, dim), dim)?;
        let gallery = Embeddings::new(random(2, rows, dim), dim)?;
        let start = Instant::now();
        let found = TopK::search(&probe, &gallery, 20)?;
        println!(
            "top 20 of {probes} x {rows} x {dim}: {:.2} s on {} threads (first: {:?})",
            start.elapsed().as_secs_f64(),
            rayon::current_num_threads(),
            found[0][0]
        );
        print_memory();
    }
    let label = |i: usize| format!("{}", i % people);
    let probe = EmbeddingSet {
        data: random(1, probes, dim),
        dim,
        labels: (0..probes).map(label).collect(),
    };
    let gallery = EmbeddingSet {
        data: random(2, rows, dim),
        dim,
        labels: (0..matches)
            .map(label)
            .chain((0..distractors).map(|_| DISTRACTOR.to_owned()))
            .collect(),
    };
    let start = Instant::now();
    let document = evaluate_embeddings(probe, Some(gallery), &EvaluationConfig::default())?;
    println!(
        "whole evaluation: {:.2} s; rank20 {:?}",
        start.elapsed().as_secs_f64(),
        document.metrics["rank20"]
    );
    print_memory();
    Ok(())
}

#[allow(clippy::print_stdout)]
fn print_memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines().filter(|l| l.starts_with("VmHWM")) {
        println!("peak memory so far, {line}");
    }
}
