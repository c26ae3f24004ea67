//! How many synthetic faces one core draws in a second.
//!
//! ```text
//! cargo run --release -p ccface-data --example synth_speed
//! ```
#![allow(clippy::print_stdout)]

use std::time::Instant;

use ccface_data::synthetic::{SyntheticConfig, render};

fn main() {
    for size in [64, 112, 150] {
        let config = SyntheticConfig {
            size,
            ..SyntheticConfig::default()
        };
        let mut rates: Vec<f64> = (0..5)
            .map(|round| {
                let start = Instant::now();
                for i in 0..60 {
                    std::hint::black_box(render(&config, 1, round * 60 + i, i % 7));
                }
                60.0 / start.elapsed().as_secs_f64()
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        println!(
            "{size:4} px: {:6.1} faces/s on one core (median of 5 rounds; best {:.1})",
            rates[2], rates[4]
        );
    }
}
