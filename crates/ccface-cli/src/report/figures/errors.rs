//! EER against face size.

use super::figure;
use crate::report::{
    chart::{Axis, Chart, Marker, Naming, Point, Scale, Series, Spread, Stroke, Tick},
    html::Element,
    material::Material,
    numbers::percent,
};

const ONE: Stroke = Stroke {
    tone: "t0",
    dash: "",
    marker: Marker::Disc,
};
const BASE: Stroke = Stroke {
    tone: "t1",
    dash: "8 4",
    marker: Marker::Square,
};
const CROSSED: Stroke = Stroke {
    tone: "t2",
    dash: "10 3 2 3",
    marker: Marker::Diamond,
};
const SMALL: Stroke = Stroke {
    tone: "t3",
    dash: "2 3",
    marker: Marker::Triangle,
};

/// EER against face size, evenly and logarithmically.
pub(crate) fn error_by_size(material: &Material<'_>) -> Vec<Element> {
    let curves = curves(material);
    let even = figure(
        "Even scale",
        &error_chart(material, &curves, Spread::Linear),
        "",
    );
    let zero = curves
        .iter()
        .flat_map(|c| &c.points)
        .any(|(_, eer)| *eer <= 0.0);
    let note = if zero {
        "An EER of 0 is drawn at the foot of the axis."
    } else {
        ""
    };
    let log = figure(
        "Logarithmic scale",
        &error_chart(material, &curves, Spread::Log),
        note,
    );
    vec![even, log]
}

/// A named row of EERs.
struct Curve {
    name: String,
    short: String,
    stroke: Stroke,
    points: Vec<(usize, f64)>,
}

fn curves(material: &Material<'_>) -> Vec<Curve> {
    let several = material.contenders.len() > 1;
    let points = |eer: &dyn Fn(usize) -> Option<f64>| -> Vec<(usize, f64)> {
        material
            .sizes
            .iter()
            .filter_map(|size| Some((*size, eer(*size)?)))
            .collect()
    };
    let mut curves: Vec<Curve> = Vec::new();
    let last = material.contenders.len() - 1;
    for (i, contender) in material.contenders.iter().enumerate().rev() {
        let stroke = match (i == last, i) {
            (true, _) => ONE,
            (false, 0) => BASE,
            (false, 1) => CROSSED,
            (false, _) => SMALL,
        };
        curves.push(Curve {
            name: if several {
                format!("{0} – {0}", contender.name)
            } else {
                format!("{} (small – full size)", contender.name)
            },
            short: contender.name.clone(),
            stroke: Stroke {
                tone: contender.tone,
                ..stroke
            },
            points: points(&|size| contender.at(size).map(|r| r.eer)),
        });
    }
    // Beside three or more encoders further lines would only tangle.
    if material.contenders.len() <= 2 {
        let (eer, small) = (
            |s| material.crossed(s).map(|r| r.eer),
            |s| material.subject().collapse(s).map(|r| r.eer),
        );
        let mut add = |name: &str, short: &str, stroke, points| {
            curves.push(Curve {
                name: name.into(),
                short: short.into(),
                stroke,
                points,
            });
        };
        add(
            "student probe – teacher gallery",
            "student–teacher",
            CROSSED,
            points(&eer),
        );
        add(
            &format!("LR – LR ({})", material.subject().name),
            "LR–LR",
            SMALL,
            points(&small),
        );
    }
    curves.retain(|c| !c.points.is_empty());
    curves
}

fn error_chart(material: &Material<'_>, curves: &[Curve], spread: Spread) -> Chart {
    let values = || curves.iter().flat_map(|c| &c.points).map(|(_, eer)| *eer);
    let highest = values().fold(0.01, f64::max);
    let lowest = values().filter(|v| *v > 0.0).fold(0.01, f64::min);
    let y = match spread {
        Spread::Linear => Scale::new(spread, 0.0, highest * 1.06),
        _ => Scale::new(spread, lowest / 1.5, highest * 1.3),
    };
    let (first, last) = (
        material.sizes.first().copied().unwrap_or(1),
        material.sizes.last().copied().unwrap_or(2),
    );
    let x = Scale::new(Spread::Log, first as f64, last as f64);
    let ticks = material
        .sizes
        .iter()
        .map(|size| Tick {
            value: *size as f64,
            label: size.to_string(),
        })
        .collect();
    let series = curves.iter().map(|curve| Series {
        name: curve.name.clone(),
        short: curve.short.clone(),
        stroke: curve.stroke,
        points: curve
            .points
            .iter()
            .map(|(size, eer)| Point {
                x: *size as f64,
                y: if spread == Spread::Log {
                    eer.max(y.low())
                } else {
                    *eer
                },
                tip: Some(format!("{}, {size} px: EER {}", curve.name, percent(*eer))),
            })
            .collect(),
        filled: false,
        naming: Naming::Start,
    });
    Chart {
        summary: "Equal error rate against face size; the figures stand in the table below.".into(),
        x: Axis {
            title: "face size in pixels (logarithmic)".into(),
            scale: x,
            ticks,
        },
        y: Axis {
            title: "equal error rate".into(),
            scale: y,
            ticks: y.share_ticks(),
        },
        series: series.collect(),
        rules: Vec::new(),
        doubtful: None,
        diagonal: false,
        gutter: 126.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::evaluation;

    #[test]
    fn the_error_chart_has_the_four_lines_and_every_size() {
        let evaluation = evaluation(&[8, 16, 32], true);
        let material = Material::of_one(&evaluation);
        let curves = curves(&material);
        let names: Vec<&str> = curves.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "student – student",
                "teacher – teacher",
                "student probe – teacher gallery",
                "LR – LR (student)"
            ]
        );
        let chart = error_chart(&material, &curves, Spread::Log);
        assert!(chart.series.iter().all(|s| s.points.len() == 3));
        let mut dashes: Vec<&str> = chart.series.iter().map(|s| s.stroke.dash).collect();
        dashes.sort_unstable();
        dashes.dedup();
        assert_eq!(dashes.len(), 4, "lines must be told apart without colour");
    }
}
