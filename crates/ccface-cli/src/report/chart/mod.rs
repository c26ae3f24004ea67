//! Small charts as inline SVG: axes, lines or steps, direct labels and tips.

mod frame;
mod labels;
mod scale;

pub(crate) use scale::{Scale, Spread, Tick};

use super::html::{Element, div, el, span, tenth};
use frame::{Frame, HEIGHT, WIDTH};
use labels::{Anchor, Label};

/// An axis: what it shows and how.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// Its title.
    pub(crate) title: String,
    /// Its range.
    pub(crate) scale: Scale,
    /// Its marks.
    pub(crate) ticks: Vec<Tick>,
}

/// How a series is drawn; colour comes from the class, and the dash tells it apart without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stroke {
    /// Class that sets the colour.
    pub(crate) tone: &'static str,
    /// Lengths of dashes and gaps; empty for a solid line.
    pub(crate) dash: &'static str,
    /// Shape of its points.
    pub(crate) marker: Marker,
}

/// Shape of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// Nothing to see, only the tip.
    None,
    /// ●
    Disc,
    /// ■
    Square,
    /// ◆
    Diamond,
    /// ▲
    Triangle,
}

/// A point of a series.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// Along the horizontal axis.
    pub(crate) x: f64,
    /// Along the vertical axis.
    pub(crate) y: f64,
    /// What the reader is told who points at it.
    pub(crate) tip: Option<String>,
}

/// Where a series carries its name inside the chart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Naming {
    /// Left of its leftmost point.
    Start,
    /// Above this place, to its right.
    At(f64, f64),
    /// In the legend only.
    Legend,
}

/// A line or an area.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// Its name in the legend.
    pub(crate) name: String,
    /// Its name beside the line.
    pub(crate) short: String,
    /// How it is drawn.
    pub(crate) stroke: Stroke,
    /// Its points, from left to right or along the curve.
    pub(crate) points: Vec<Point>,
    /// Whether the space below it is filled.
    pub(crate) filled: bool,
    /// Where its name stands.
    pub(crate) naming: Naming,
}

/// A chart.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// What it shows, for those who cannot see it.
    pub(crate) summary: String,
    /// Horizontal axis.
    pub(crate) x: Axis,
    /// Vertical axis.
    pub(crate) y: Axis,
    /// What is drawn.
    pub(crate) series: Vec<Series>,
    /// Named vertical lines.
    pub(crate) rules: Vec<(f64, String)>,
    /// Below these values of x and of y little can be said; shaded.
    pub(crate) doubtful: Option<(f64, f64)>,
    /// Whether the line of equal errors is drawn.
    pub(crate) diagonal: bool,
    /// Room for names at the left of the drawing, in pixels.
    pub(crate) gutter: f64,
}

impl Chart {
    /// The drawing.
    pub(crate) fn svg(&self) -> Element {
        let frame = Frame {
            x: &self.x,
            y: &self.y,
            gutter: self.gutter,
        };
        let mut inside = frame.inside();
        if let Some((x, y)) = self.doubtful {
            inside = inside.extend(frame.doubtful(x, y));
        }
        if self.diagonal {
            inside = inside.push(frame.diagonal());
        }
        inside = inside.extend(
            self.series
                .iter()
                .filter(|s| s.filled)
                .map(|s| frame.area(s)),
        );
        inside = inside.extend(
            self.series
                .iter()
                .filter(|s| s.points.len() > 1)
                .map(|s| frame.line(s)),
        );
        inside = inside.extend(self.rules.iter().map(|(x, _)| frame.rule(*x)));
        el("svg")
            .attr("viewBox", format!("0 0 {} {}", tenth(WIDTH), tenth(HEIGHT)))
            .attr("role", "img")
            .attr("aria-label", &self.summary)
            .push(frame.grid())
            .push(inside)
            .extend(self.series.iter().flat_map(|s| frame.points(s)))
            .push(labels::draw(self.labels(&frame), &frame))
    }

    fn labels(&self, frame: &Frame<'_>) -> Vec<Label> {
        let mut labels = Vec::new();
        for series in &self.series {
            let (at, anchor) = match series.naming {
                Naming::Legend => continue,
                Naming::At(x, y) => ((x, y), Anchor::Above),
                Naming::Start => {
                    let visible = series.points.iter().filter(|p| frame.shows(p));
                    let Some(first) = visible.min_by(|a, b| a.x.total_cmp(&b.x)) else {
                        continue;
                    };
                    ((first.x, first.y), Anchor::Left)
                }
            };
            labels.push(Label {
                x: frame.across(at.0),
                y: frame.down(at.1),
                anchor,
                text: series.short.clone(),
                tone: series.stroke.tone,
            });
        }
        for (x, text) in &self.rules {
            // Beside the line, on the side that has more room.
            let x = frame.across(*x);
            let anchor = if x > frame.left() + frame.width() / 2.0 {
                Anchor::Left
            } else {
                Anchor::Right
            };
            labels.push(Label {
                x,
                y: frame.top() + 9.0,
                anchor,
                text: text.clone(),
                tone: "rule",
            });
        }
        labels
    }

    /// The names with a sample of each line.
    pub(crate) fn legend(&self) -> Element {
        div("legend").extend(self.series.iter().map(|series| {
            let sample = el("svg")
                .attr("viewBox", "0 0 34 12")
                .attr("width", 34)
                .attr("height", 12);
            let sample = sample
                .attr("aria-hidden", "true")
                .attr("class", series.stroke.tone);
            let sample = if series.filled {
                sample.push(
                    el("rect")
                        .attr("class", "fill")
                        .attr("x", 1)
                        .attr("y", 1)
                        .attr("width", 32)
                        .attr("height", 10),
                )
            } else {
                sample
            };
            let line = el("path")
                .attr("class", "stroke")
                .attr("d", "M1 6H33")
                .attr("stroke-dasharray", series.stroke.dash);
            let sample = sample
                .push(line)
                .extend(frame::shape(series.stroke.marker, 17.0, 6.0));
            span("entry", "")
                .push(sample)
                .push(el("span").text(&series.name))
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub(super) fn chart() -> Chart {
        let axis = |title: &str| {
            let scale = Scale::new(Spread::Linear, 0.0, 1.0);
            Axis {
                title: title.into(),
                ticks: scale.number_ticks(),
                scale,
            }
        };
        let stroke = Stroke {
            tone: "t0",
            dash: "4 2",
            marker: Marker::Square,
        };
        let point = |x, y| Point {
            x,
            y,
            tip: Some(format!("<{x}>")),
        };
        Chart {
            summary: "a & b".into(),
            x: axis("across"),
            y: axis("up"),
            series: vec![Series {
                name: "the line".into(),
                short: "line".into(),
                stroke,
                points: vec![point(0.0, 0.0), point(0.5, 1.0), point(1.0, 0.25)],
                filled: false,
                naming: Naming::Start,
            }],
            rules: vec![(0.25, "limit".into())],
            doubtful: Some((0.1, 0.1)),
            diagonal: true,
            gutter: 0.0,
        }
    }

    #[test]
    fn a_chart_has_axes_line_points_tips_and_names() {
        let svg = chart().svg().to_string();
        for part in [
            "aria-label=\"a &amp; b\"",
            ">across<",
            ">up<",
            "stroke-dasharray=\"4 2\"",
            ">line<",
            ">limit<",
            "<title>&lt;0.5&gt;</title>",
        ] {
            assert!(svg.contains(part), "{part} is missing in {svg}");
        }
        assert_eq!(svg.matches("<title>").count(), 3);
    }

    #[test]
    fn a_line_starts_at_the_corner_and_reaches_the_top() {
        let chart = chart();
        let frame = Frame {
            x: &chart.x,
            y: &chart.y,
            gutter: 0.0,
        };
        assert_eq!(
            (frame.across(0.0), frame.down(0.0)),
            (frame.left(), frame.top() + frame.height())
        );
        assert_eq!(
            (frame.across(1.0), frame.down(1.0)),
            (frame.left() + frame.width(), frame.top())
        );
    }

    #[test]
    fn the_legend_names_every_series_with_its_dash() {
        let legend = chart().legend().to_string();
        assert!(legend.contains("the line") && legend.contains("stroke-dasharray=\"4 2\""));
    }
}
