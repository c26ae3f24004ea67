//! DET and ROC curves by face size.

use ccface_eval::{OperatingPoint, PairingResult};

use super::{each, figure};
use crate::report::{
    chart::{Axis, Chart, Marker, Naming, Point, Scale, Series, Spread, Stroke},
    html::Element,
    material::{Contender, Material},
    numbers::{cosine, percent},
};

/// Errors below this number leave a rate uncertain (rule of 30).
const ENOUGH: f64 = 30.0;
/// The most points of one curve that carry a tip.
const TIPS: usize = 24;
/// Dashes that tell sizes apart.
const DASHES: [&str; 6] = ["", "8 3", "2 3", "10 3 2 3", "5 3", "1 4"];
/// Colours of sizes, small to large.
const RAMP: [&str; 6] = ["z0", "z1", "z2", "z3", "z4", "z5"];

/// The DET curves by size, a chart for each encoder on the same axes.
pub(crate) fn det(material: &Material<'_>) -> Vec<Element> {
    let (genuine, impostor) = comparisons(material);
    let x = Scale::new(Spread::Deviate, 0.7 / impostor, 0.6);
    let y = Scale::new(Spread::Deviate, 0.7 / genuine, 0.99);
    each(material, |contender| {
        let series = by_size(
            material,
            contender,
            |p| (p.fmr > 0.0 && p.fnmr > 0.0).then_some((p.fmr, p.fnmr)),
            |result| {
                let eer = result.eer.max(x.low().max(y.low()) * 1.3);
                Naming::At(eer, eer)
            },
        );
        let chart = Chart {
            summary: format!("DET curves of the {} by face size.", contender.name),
            x: Axis {
                title: "false match rate".into(),
                scale: x,
                ticks: x.share_ticks(),
            },
            y: Axis {
                title: "false non-match rate".into(),
                scale: y,
                ticks: y.share_ticks(),
            },
            series,
            rules: Vec::new(),
            doubtful: Some((ENOUGH / impostor, ENOUGH / genuine)),
            diagonal: true,
            gutter: 0.0,
        };
        figure(
            &format!("DET: {}", contender.name),
            &chart,
            &undrawn(&chart),
        )
    })
}

/// The ROC curves by size, a chart for each encoder on the same axes.
pub(crate) fn roc(material: &Material<'_>) -> Vec<Element> {
    let (_, impostor) = comparisons(material);
    let x = Scale::new(Spread::Log, 0.9 / impostor, 1.0);
    let y = Scale::new(Spread::Linear, 0.0, 1.0);
    each(material, |contender| {
        let series = by_size(
            material,
            contender,
            |p| (p.fmr > 0.0).then_some((p.fmr, 1.0 - p.fnmr)),
            |_| Naming::Start,
        );
        let chart = Chart {
            summary: format!("ROC curves of the {} by face size.", contender.name),
            x: Axis {
                title: "false accept rate (logarithmic)".into(),
                scale: x,
                ticks: x.share_ticks(),
            },
            y: Axis {
                title: "true accept rate".into(),
                scale: y,
                ticks: y.share_ticks(),
            },
            series,
            rules: Vec::new(),
            doubtful: Some((ENOUGH / impostor, -1.0)),
            diagonal: false,
            gutter: 52.0,
        };
        figure(&format!("ROC: {}", contender.name), &chart, "")
    })
}

/// The largest numbers of genuine and impostor comparisons.
fn comparisons(material: &Material<'_>) -> (f64, f64) {
    let results = material
        .contenders
        .iter()
        .flat_map(|c| material.sizes.iter().filter_map(|size| c.at(*size)));
    results.fold((1.0, 1.0), |(g, i), r| {
        (
            f64::max(g, r.genuine as f64),
            f64::max(i, r.impostor as f64),
        )
    })
}

fn by_size(
    material: &Material<'_>,
    contender: &Contender<'_>,
    place: impl Fn(&OperatingPoint) -> Option<(f64, f64)>,
    naming: impl Fn(&PairingResult) -> Naming,
) -> Vec<Series> {
    let last = material.sizes.len().saturating_sub(1).max(1);
    let results = material
        .sizes
        .iter()
        .enumerate()
        .filter_map(|(i, size)| Some((i, *size, contender.at(*size)?)));
    results
        .map(|(i, size, result)| {
            let tone = RAMP[i * (RAMP.len() - 1) / last];
            let placed: Vec<_> = result
                .det
                .iter()
                .filter_map(|p| Some((p, place(p)?)))
                .collect();
            let stride = placed.len().div_ceil(TIPS).max(1);
            let points = placed.iter().enumerate().map(|(n, (point, (x, y)))| Point {
                x: *x,
                y: *y,
                tip: (n % stride == stride / 2).then(|| {
                    format!(
                        "{size} px, threshold {}: FMR {}, FNMR {}",
                        cosine(point.threshold),
                        percent(point.fmr),
                        percent(point.fnmr)
                    )
                }),
            });
            let points: Vec<Point> = points.collect();
            Series {
                name: format!("{size} px, EER {}", percent(result.eer)),
                short: format!("{size} px"),
                stroke: Stroke {
                    tone,
                    dash: DASHES[i % DASHES.len()],
                    marker: Marker::None,
                },
                naming: if points.len() > 1 {
                    naming(result)
                } else {
                    Naming::Legend
                },
                points,
                filled: false,
            }
        })
        .collect()
}

/// Says which sizes have no curve, and why.
fn undrawn(chart: &Chart) -> String {
    let names: Vec<&str> = chart
        .series
        .iter()
        .filter(|s| s.points.len() < 2)
        .map(|s| s.short.as_str())
        .collect();
    if names.is_empty() {
        return String::new();
    }
    format!(
        "No curve at {}: hardly any threshold has errors of both kinds.",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{figures::grid, testing::evaluation};

    #[test]
    fn a_perfect_encoder_has_no_curve_and_the_figure_says_so() {
        let mut evaluation = evaluation(&[16], false);
        if let Some(ccface_train::faces::SizeResult::Pairing(result)) = evaluation
            .result
            .pairings
            .get_mut("student-student")
            .and_then(|sizes| sizes.get_mut("16"))
        {
            result.det = vec![OperatingPoint {
                threshold: 0.5,
                fmr: 0.0,
                fnmr: 0.0,
            }];
            result.eer = 0.0;
        }
        let html = grid(det(&Material::of_one(&evaluation))).to_string();
        assert!(html.contains("No curve at 16 px"), "{html}");
    }
}
