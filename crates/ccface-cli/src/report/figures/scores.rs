//! Histograms of genuine and impostor scores.

use ccface_eval::Histogram;

use super::{each, figure};
use crate::report::{
    chart::{Axis, Chart, Marker, Naming, Point, Scale, Series, Spread, Stroke},
    html::{Element, el},
    material::Material,
    numbers::{cosine, count, percent},
};

/// The score histograms at one size, a chart for each encoder on the same axes.
pub(crate) fn scores(material: &Material<'_>, size: usize) -> Vec<Element> {
    let results = || material.contenders.iter().filter_map(|c| c.at(size));
    let edges = || results().flat_map(|r| &r.histogram.edges).copied();
    let (low, high) = (
        edges().fold(f64::INFINITY, f64::min),
        edges().fold(f64::NEG_INFINITY, f64::max),
    );
    let x = Scale::new(Spread::Linear, low, high);
    let heights = results().flat_map(|r| {
        [
            density(&r.histogram, &r.histogram.genuine),
            density(&r.histogram, &r.histogram.impostor),
        ]
    });
    let top = heights.flatten().fold(0.0, f64::max);
    let y = Scale::new(Spread::Linear, 0.0, top * 1.12);
    each(material, |contender| {
        let Some(result) = contender.at(size) else {
            return el("figure");
        };
        let series = |name: &str, counts: &[usize], stroke: Stroke| {
            let heights = density(&result.histogram, counts);
            let peak = heights
                .iter()
                .enumerate()
                .max_by(|a, b| a.1.total_cmp(b.1))
                .map_or(0, |(i, _)| i);
            let middle = result.histogram.edges.get(peak).copied().unwrap_or(0.0);
            Series {
                name: format!("{name} ({})", count(counts.iter().sum())),
                short: name.into(),
                stroke,
                naming: Naming::At(middle, heights.get(peak).copied().unwrap_or(0.0)),
                points: steps(&result.histogram.edges, &heights),
                filled: true,
            }
        };
        let point = result.at_fmr_1e2;
        let chart = Chart {
            summary: format!(
                "Scores of genuine and impostor comparisons of the {} at {size} px.",
                contender.name
            ),
            x: Axis {
                title: "cosine".into(),
                scale: x,
                ticks: x.number_ticks(),
            },
            y: Axis {
                title: "density of comparisons".into(),
                scale: y,
                ticks: Vec::new(),
            },
            series: vec![
                series(
                    "impostor",
                    &result.histogram.impostor,
                    Stroke {
                        tone: "t1",
                        dash: "4 2",
                        marker: Marker::None,
                    },
                ),
                series(
                    "genuine",
                    &result.histogram.genuine,
                    Stroke {
                        tone: "t0",
                        dash: "",
                        marker: Marker::None,
                    },
                ),
            ],
            rules: vec![(
                point.threshold,
                format!("FMR 1\u{a0}%: {}", cosine(point.threshold)),
            )],
            doubtful: None,
            diagonal: false,
            gutter: 0.0,
        };
        let told = format!(
            "The threshold {} keeps false matches at {} and rejects {} of genuine comparisons.",
            cosine(point.threshold),
            percent(point.fmr),
            percent(point.fnmr)
        );
        figure(
            &format!("Scores at {size}\u{a0}px: {}", contender.name),
            &chart,
            &told,
        )
    })
}

/// Counts as a density over the scores.
pub(super) fn density(histogram: &Histogram, counts: &[usize]) -> Vec<f64> {
    let total: usize = counts.iter().sum();
    let width = |i: usize| (histogram.edges[i + 1] - histogram.edges[i]).max(1e-12);
    let bins = counts.len().min(histogram.edges.len().saturating_sub(1));
    (0..bins)
        .map(|i| counts[i] as f64 / total.max(1) as f64 / width(i))
        .collect()
}

pub(super) fn steps(edges: &[f64], heights: &[f64]) -> Vec<Point> {
    let point = |x, y| Point { x, y, tip: None };
    let mut points = Vec::new();
    for (ends, height) in edges.windows(2).zip(heights) {
        points.push(point(ends[0], *height));
        points.push(point(ends[1], *height));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_have_area_one() {
        let histogram = Histogram {
            edges: vec![0.0, 0.5, 1.0],
            genuine: vec![1, 3],
            impostor: vec![0, 0],
        };
        let area: f64 = density(&histogram, &histogram.genuine)
            .iter()
            .map(|d| d * 0.5)
            .sum();
        assert!((area - 1.0).abs() < 1e-12);
        assert_eq!(density(&histogram, &histogram.impostor), [0.0, 0.0]);
    }
}
