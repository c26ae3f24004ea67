//! `ccface model`: what an architecture costs.

use std::{fmt::Write, path::Path, time::Instant};

use ccface_model::{
    BackboneConfig, IResNetConfig, InputSpec, MobileFaceNetConfig, ModelSummary, OnnxFile,
};
use ccface_train::{
    Device, DeviceSpec,
    encoder::{FaceEncoder, ModuleEncoder, is_onnx},
};

use crate::{CliError, cli::ModelArgs, output};

const DEPTHS: [usize; 5] = [18, 34, 50, 100, 200];

pub(crate) fn run(args: &ModelArgs) -> Result<(), CliError> {
    let architectures = match args.what.as_deref() {
        None => {
            let mut all = DEPTHS.map(|depth| format!("iresnet{depth}")).to_vec();
            all.push("mobilefacenet".into());
            all.iter()
                .map(|name| named(name, args))
                .collect::<Result<Vec<_>, _>>()?
        }
        Some(what) if Path::new(what).exists() => vec![of_file(Path::new(what))?],
        Some(what) => vec![named(what, args)?],
    };
    let mut text = format!(
        "{:<22} {:>5} {:>9} {:>12} {:>10}{}\n",
        "architecture",
        "input",
        "embedding",
        "parameters",
        "GMAC",
        if args.latency {
            "  median ms    90 % ms"
        } else {
            ""
        }
    );
    for architecture in architectures {
        let summary = architecture.summary();
        let _ = write!(
            text,
            "{:<22} {:>5} {:>9} {:>10.2} M {:>10.3}",
            summary.name,
            summary.input,
            summary.embedding,
            summary.parameters as f64 / 1e6,
            summary.macs as f64 / 1e9
        );
        if args.latency {
            let device: DeviceSpec = args.device.parse()?;
            let (median, late) = latency(&architecture, &device.resolve()?)?;
            let _ = write!(text, " {median:>10.1} {late:>10.1}");
        }
        text.push('\n');
        if args.stages {
            text += &stages(&summary);
        }
    }
    output::result(&text);
    Ok(())
}

/// Median and 90th percentile of the milliseconds for one image, of 20 after 3 that do not count.
fn latency(architecture: &BackboneConfig, device: &Device) -> Result<(f64, f64), CliError> {
    let side = architecture.input_size();
    let (input, dim) = (InputSpec::arcface(side), architecture.embedding());
    let encoder = ModuleEncoder::new(&architecture.init(device), input, dim, device);
    let mut times = Vec::with_capacity(20);
    for turn in 0..23 {
        let pixels = (0..3 * side * side)
            .map(|i| (i % 251) as f32 / 125.5 - 1.0)
            .collect();
        let started = Instant::now();
        encoder.embed_prepared(pixels, 1)?;
        if turn >= 3 {
            times.push(1e3 * started.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], times[9 * times.len() / 10]))
}

fn stages(summary: &ModelSummary) -> String {
    let mut text = String::new();
    for stage in &summary.stages {
        let _ = writeln!(
            text,
            "  {:<20} {:>5} {:>9} {:>10.3} M {:>10.4}",
            stage.name,
            stage.side,
            stage.channels,
            stage.parameters as f64 / 1e6,
            stage.macs as f64 / 1e9
        );
    }
    text
}

fn of_file(path: &Path) -> Result<BackboneConfig, CliError> {
    if is_onnx(path) {
        let file = OnnxFile::read(path)?;
        let device = DeviceSpec::default().resolve()?;
        return Ok(ccface_model::mobilefacenet_from_onnx(&file, &device)?.1);
    }
    let card = ccface_model::read_card(&ccface_train::run_dir::model_path(path))?;
    Ok(card.architecture)
}

fn named(name: &str, args: &ModelArgs) -> Result<BackboneConfig, CliError> {
    let lower = name.to_ascii_lowercase().replace(['-', '_'], "");
    let config = if lower == "mobilefacenet" {
        let mut config = MobileFaceNetConfig {
            input_size: args.input,
            embedding: args.embedding,
            ..Default::default()
        };
        if let Some(width) = args.width {
            config.width = width;
        }
        BackboneConfig::MobileFaceNet(config)
    } else if let Some(depth) = lower
        .strip_prefix("iresnet")
        .or_else(|| lower.strip_prefix('r'))
    {
        let mut config = match &args.blocks {
            Some(blocks) => {
                let blocks = <[usize; 4]>::try_from(blocks.as_slice()).map_err(|_| {
                    CliError::Usage("--blocks takes four numbers, as in 3,4,14,3".into())
                })?;
                IResNetConfig {
                    blocks,
                    ..Default::default()
                }
            }
            None => depth
                .parse()
                .ok()
                .and_then(IResNetConfig::preset)
                .ok_or_else(|| unknown(name))?,
        };
        (config.input_size, config.embedding) = (args.input, args.embedding);
        if let Some(width) = args.width {
            config.width = width;
        }
        BackboneConfig::IResNet(config)
    } else {
        return Err(unknown(name));
    };
    config
        .validate()
        .map_err(|mistakes| CliError::Usage(mistakes.join("; ")))?;
    Ok(config)
}

fn unknown(name: &str) -> CliError {
    let mut known: Vec<String> = DEPTHS.map(|depth| format!("iresnet{depth}")).to_vec();
    known.push("mobilefacenet".into());
    let near = ccface_train::config::nearest(name, known.iter().map(String::as_str))
        .map(|near| format!(" Did you mean `{near}`?"))
        .unwrap_or_default();
    CliError::Usage(format!(
        "`{name}` is neither a file nor a known architecture.{near} Known: {}, or iresnet with --blocks a,b,c,d",
        known.join(", ")
    ))
}
