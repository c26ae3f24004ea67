//! Charts of a result document: DET, ROC, CMC, scores, error against the share rejected.

use ccface_eval::{OperatingPoint, ResultDocument};

use super::{
    figure,
    scores::{density, steps},
};
use crate::report::{
    chart::{Axis, Chart, Marker, Naming, Point, Scale, Series, Spread, Stroke},
    html::Element,
    numbers::{cosine, count, percent, target},
};

/// Errors below this number leave a rate uncertain (rule of 30).
const ENOUGH: f64 = 30.0;
/// The most points of one curve that carry a tip.
const TIPS: usize = 24;
/// Dashes that tell curves apart.
const DASHES: [&str; 5] = ["", "8 3", "2 3", "10 3 2 3", "5 3"];
/// Colours of curves.
const TONES: [&str; 5] = ["t0", "t1", "t2", "t3", "t4"];

/// All charts that the document has data for.
pub(crate) fn charts(document: &ResultDocument) -> Vec<Element> {
    [
        det(document),
        roc(document),
        cmc(document),
        histogram(document),
        reject(document),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn comparisons(document: &ResultDocument) -> (f64, f64) {
    let of = |what: &str| {
        let n = document.protocol.counts.get(what).copied().unwrap_or(1);
        n.max(1) as f64
    };
    (of("genuine_comparisons"), of("impostor_comparisons"))
}

fn line(name: impl Into<String>, points: Vec<Point>) -> Series {
    let name = name.into();
    Series {
        short: name.clone(),
        name,
        stroke: Stroke {
            tone: TONES[0],
            dash: DASHES[0],
            marker: Marker::None,
        },
        points,
        filled: false,
        naming: Naming::Legend,
    }
}

/// Curve points with tips on some of them.
fn curve(
    det: &[OperatingPoint],
    place: impl Fn(&OperatingPoint) -> Option<(f64, f64)>,
) -> Vec<Point> {
    let placed: Vec<_> = det.iter().filter_map(|p| Some((p, place(p)?))).collect();
    let stride = placed.len().div_ceil(TIPS).max(1);
    let tip = |p: &OperatingPoint| {
        format!(
            "threshold {}: FMR {}, FNMR {}",
            cosine(p.threshold),
            percent(p.fmr),
            percent(p.fnmr)
        )
    };
    placed
        .iter()
        .enumerate()
        .map(|(i, (p, (x, y)))| Point {
            x: *x,
            y: *y,
            tip: (i % stride == stride / 2).then(|| tip(p)),
        })
        .collect()
}

fn shares(title: &str, scale: Scale) -> Axis {
    Axis {
        title: title.into(),
        ticks: scale.share_ticks(),
        scale,
    }
}

fn det(document: &ResultDocument) -> Option<Element> {
    if document.curves.det.is_empty() {
        return None;
    }
    let (genuine, impostor) = comparisons(document);
    let points = curve(&document.curves.det, |p| {
        (p.fmr > 0.0 && p.fnmr > 0.0).then_some((p.fmr, p.fnmr))
    });
    let caption = if points.len() < 2 {
        "No curve: hardly any threshold has errors of both kinds."
    } else {
        "Down and to the left is better; the dotted line marks equal errors. Shaded: fewer than 30 errors."
    };
    let chart = Chart {
        summary: "DET curve: false non-match rate against false match rate.".into(),
        x: shares(
            "false match rate",
            Scale::new(Spread::Deviate, 0.7 / impostor, 0.6),
        ),
        y: shares(
            "false non-match rate",
            Scale::new(Spread::Deviate, 0.7 / genuine, 0.99),
        ),
        series: vec![line("DET", points)],
        rules: Vec::new(),
        doubtful: Some((ENOUGH / impostor, ENOUGH / genuine)),
        diagonal: true,
        gutter: 0.0,
    };
    Some(figure("DET", &chart, caption))
}

fn roc(document: &ResultDocument) -> Option<Element> {
    if document.curves.det.is_empty() {
        return None;
    }
    let (_, impostor) = comparisons(document);
    let points = curve(&document.curves.det, |p| {
        (p.fmr > 0.0).then_some((p.fmr, 1.0 - p.fnmr))
    });
    let area = document.curves.auc.map_or_else(String::new, |auc| {
        format!("Area under the curve: {auc:.5}.")
    });
    let chart = Chart {
        summary: "ROC curve: true accept rate against false accept rate.".into(),
        x: shares(
            "false accept rate (logarithmic)",
            Scale::new(Spread::Log, 0.9 / impostor, 1.0),
        ),
        y: shares("true accept rate", Scale::new(Spread::Linear, 0.0, 1.0)),
        series: vec![line("ROC", points)],
        rules: Vec::new(),
        doubtful: Some((ENOUGH / impostor, -1.0)),
        diagonal: false,
        gutter: 0.0,
    };
    Some(figure("ROC", &chart, &area))
}

fn cmc(document: &ResultDocument) -> Option<Element> {
    let cmc = &document.curves.cmc;
    if cmc.len() < 2 {
        return None;
    }
    let points = cmc.iter().enumerate().map(|(i, share)| Point {
        x: i as f64 + 1.0,
        y: *share,
        tip: Some(format!("rank {}: {}", i + 1, percent(*share))),
    });
    let x = Scale::new(Spread::Linear, 1.0, cmc.len() as f64);
    let lowest = cmc.first().copied().unwrap_or(0.0);
    let bottom = (lowest * 10.0).floor() / 10.0;
    let chart = Chart {
        summary: "CMC curve: share of mated probes with a mate among the first candidates.".into(),
        x: Axis {
            title: "rank".into(),
            ticks: x.number_ticks(),
            scale: x,
        },
        y: shares(
            "mated probes found",
            Scale::new(Spread::Linear, bottom.min(0.9), 1.0),
        ),
        series: vec![line("CMC", points.collect())],
        rules: Vec::new(),
        doubtful: None,
        diagonal: false,
        gutter: 0.0,
    };
    Some(figure("CMC (closed set)", &chart, ""))
}

fn histogram(document: &ResultDocument) -> Option<Element> {
    let histogram = document.curves.histogram.as_ref()?;
    let genuine = density(histogram, &histogram.genuine);
    let impostor = density(histogram, &histogram.impostor);
    let top = genuine.iter().chain(&impostor).copied().fold(0.0, f64::max);
    let x = Scale::new(
        Spread::Linear,
        histogram.edges.first().copied()?,
        histogram.edges.last().copied()?,
    );
    let series = |i: usize, name: &str, counts: &[usize], heights: &[f64]| {
        let peak = (0..heights.len()).max_by(|a, b| heights[*a].total_cmp(&heights[*b]));
        let peak = peak.unwrap_or(0);
        let (across, up) = (
            histogram.edges.get(peak).copied().unwrap_or(0.0),
            heights.get(peak).copied().unwrap_or(0.0),
        );
        Series {
            name: format!("{name} ({})", count(counts.iter().sum())),
            short: name.into(),
            stroke: Stroke {
                tone: TONES[i],
                dash: if i == 0 { "" } else { "4 2" },
                marker: Marker::None,
            },
            naming: Naming::At(across, up),
            points: steps(&histogram.edges, heights),
            filled: true,
        }
    };
    let rules = ["eer", "far=0.01"].iter().filter_map(|name| {
        let point = document.thresholds.get(*name)?;
        let told = if *name == "eer" {
            "EER"
        } else {
            "FAR\u{a0}1\u{a0}%"
        };
        Some((
            point.threshold,
            format!("{told}: {}", cosine(point.threshold)),
        ))
    });
    let chart = Chart {
        summary: "Histogram of genuine and impostor scores.".into(),
        x: Axis {
            title: "score".into(),
            ticks: x.number_ticks(),
            scale: x,
        },
        y: Axis {
            title: "density of comparisons".into(),
            scale: Scale::new(Spread::Linear, 0.0, top * 1.12),
            ticks: Vec::new(),
        },
        series: vec![
            series(1, "impostor", &histogram.impostor, &impostor),
            series(0, "genuine", &histogram.genuine, &genuine),
        ],
        rules: rules.collect(),
        doubtful: None,
        diagonal: false,
        gutter: 0.0,
    };
    Some(figure(
        "Scores",
        &chart,
        "The less the two overlap, the better.",
    ))
}

fn reject(document: &ResultDocument) -> Option<Element> {
    let points = || document.reject.iter().flat_map(|curve| &curve.points);
    points().next()?;
    let top = points().map(|p| p.1).fold(0.0, f64::max).max(1e-3);
    let series = document.reject.iter().enumerate().map(|(i, curve)| {
        let stride = curve.points.len().div_ceil(TIPS).max(1);
        let points = curve.points.iter().enumerate().map(|(n, (x, y))| Point {
            x: *x,
            y: *y,
            tip: (n % stride == stride / 2).then(|| {
                format!(
                    "{}: {} rejected, error {}",
                    curve.source,
                    percent(*x),
                    percent(*y)
                )
            }),
        });
        let mut series = line(
            format!("{}, area {:.4}", curve.source, curve.area),
            points.collect(),
        );
        series.stroke.tone = TONES[i % TONES.len()];
        series.stroke.dash = DASHES[i % DASHES.len()];
        series
    });
    let chart = Chart {
        summary:
            "False non-match rate against the share of comparisons rejected for low confidence."
                .into(),
        x: shares("share rejected", Scale::new(Spread::Linear, 0.0, 1.0)),
        y: shares(
            "false non-match rate",
            Scale::new(Spread::Linear, 0.0, top * 1.1),
        ),
        series: series.collect(),
        rules: Vec::new(),
        doubtful: None,
        diagonal: false,
        gutter: 0.0,
    };
    let far = document.thresholds.get("far=0.01").map_or(0.01, |p| p.fmr);
    let told = format!(
        "Genuine comparisons of the lowest confidence are rejected first; a useful confidence makes the curve fall. Threshold of FMR {}.",
        target(far)
    );
    Some(figure("Error against the share rejected", &chart, &told))
}
