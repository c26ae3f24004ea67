//! Do the intervals hold the true value as often as they say?
//!
//! Simulates a recognition system whose true error rates are known, many times over, and counts how often the 95 %
//! interval holds the truth:
//!
//! ```text
//! genuine score of s       = m + a_s + e,     a_s ~ N(0, share_g),  e ~ N(0, 1 − share_g)
//! impostor score of s, t   = b_s + b_t + e,   b ~ N(0, share_i / 2), e ~ N(0, 1 − share_i)
//! true EER = Φ(−m/2),   true TAR at FAR f = Φ(m − Φ⁻¹(1 − f))
//! ```
//!
//! `cargo run --release -p ccface-eval --example coverage [repetitions]`

use ccface_eval::{
    Bootstrap, Comparison, Comparisons, Stream, normal_cdf, normal_quantile, wilson,
};
use rayon::prelude::*;

struct Scenario {
    subjects: u32,
    per_subject: usize,
    per_pair: usize,
    mean: f64,
    share_genuine: f64,
    share_impostor: f64,
}

const FAR: f64 = 0.01;

fn simulate(s: &Scenario, seed: u64) -> Comparisons {
    let mut rng = Stream::new(seed, 1 << 40);
    let mut found = Comparisons::default();
    let goats: Vec<f64> = (0..s.subjects)
        .map(|_| s.share_genuine.sqrt() * rng.normal())
        .collect();
    let wolves: Vec<f64> = (0..s.subjects)
        .map(|_| (s.share_impostor / 2.0).sqrt() * rng.normal())
        .collect();
    for a in 0..s.subjects {
        for _ in 0..s.per_subject {
            found.genuine.push(Comparison {
                score: s.mean + goats[a as usize] + (1.0 - s.share_genuine).sqrt() * rng.normal(),
                probe: a,
                gallery: a,
            });
        }
        for b in 0..a {
            for _ in 0..s.per_pair {
                found.impostor.push(Comparison {
                    score: wolves[a as usize]
                        + wolves[b as usize]
                        + (1.0 - s.share_impostor).sqrt() * rng.normal(),
                    probe: a,
                    gallery: b,
                });
            }
        }
    }
    found
}

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let repetitions: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(400), |text| text.parse())?;
    let scenario =
        |subjects, per_subject, per_pair, mean, share_genuine, share_impostor| Scenario {
            subjects,
            per_subject,
            per_pair,
            mean,
            share_genuine,
            share_impostor,
        };
    let scenarios = [
        scenario(20, 45, 10, 3.0, 0.3, 0.2),
        scenario(40, 10, 4, 3.0, 0.3, 0.2),
        scenario(100, 10, 1, 3.0, 0.3, 0.2),
        scenario(100, 10, 1, 2.0, 0.5, 0.4),
        scenario(100, 10, 1, 4.0, 0.3, 0.1),
        scenario(100, 10, 1, 3.0, 0.0, 0.0),
        scenario(200, 6, 1, 3.0, 0.3, 0.2),
    ];
    println!("share of {repetitions} repetitions whose 95 % interval holds the true value");
    println!(
        "subjects  genuine  impostor  true EER |   EER   TAR@0.01  accept share | Wilson, accept share"
    );
    for s in &scenarios {
        let true_eer = normal_cdf(-s.mean / 2.0);
        let limit = normal_quantile(1.0 - FAR);
        let true_tar = normal_cdf(s.mean - limit);
        let held: Vec<[bool; 4]> = (0..repetitions)
            .into_par_iter()
            .filter_map(|r| {
                let comparisons = simulate(s, r);
                let boot = Bootstrap {
                    seed: r,
                    ..Bootstrap::default()
                };
                let found = boot.verification(&comparisons, &[FAR]).ok()?;
                let subjects: Vec<u32> = comparisons.genuine.iter().map(|c| c.probe).collect();
                let hits: Vec<bool> = comparisons
                    .genuine
                    .iter()
                    .map(|c| c.score >= limit)
                    .collect();
                let share = boot.share(&subjects, &hits).ok()?;
                let count = hits.iter().filter(|h| **h).count() as f64;
                let naive = wilson(count, hits.len() as f64, 0.95);
                let holds = |ends: (f64, f64), truth: f64| ends.0 <= truth && truth <= ends.1;
                Some([
                    holds(found.eer, true_eer),
                    holds(found.tar[0].conservative, true_tar),
                    holds(share, true_tar),
                    holds(naive, true_tar),
                ])
            })
            .collect();
        let share =
            |i: usize| 100.0 * held.iter().filter(|h| h[i]).count() as f64 / held.len() as f64;
        let pairs = (s.subjects * (s.subjects - 1) / 2) as usize * s.per_pair;
        println!(
            "{:8}  {:7}  {:8}  {:8.4} | {:5.1}  {:9.1}  {:12.1} | {:5.1}",
            s.subjects,
            s.subjects as usize * s.per_subject,
            pairs,
            true_eer,
            share(0),
            share(1),
            share(2),
            share(3)
        );
    }
    Ok(())
}
