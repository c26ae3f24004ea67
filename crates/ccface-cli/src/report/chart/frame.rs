//! The drawing of a chart: its grid, lines and points.

use super::{Axis, Marker, Point, Series};
use crate::report::html::{Element, el, tenth};

/// Width of a chart in its own pixels; pages scale it.
pub(super) const WIDTH: f64 = 480.0;
/// Height of a chart in its own pixels.
pub(super) const HEIGHT: f64 = 340.0;

const LEFT: f64 = 68.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 48.0;
/// Width of a character in the labels of the horizontal axis, and the room between two of them.
const DIGIT: f64 = 7.5;
const APART: f64 = 8.0;
/// How far lines may reach over the edge, so that one along the edge keeps its width.
const BLEED: f64 = 2.0;

/// Where values stand in the drawing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) x: &'a Axis,
    pub(super) y: &'a Axis,
    pub(super) gutter: f64,
}

impl Frame<'_> {
    pub(super) fn left(&self) -> f64 {
        LEFT
    }

    pub(super) fn top(&self) -> f64 {
        TOP
    }

    pub(super) fn width(&self) -> f64 {
        WIDTH - LEFT - RIGHT
    }

    pub(super) fn height(&self) -> f64 {
        HEIGHT - TOP - BOTTOM
    }

    /// Horizontal place of a value.
    pub(super) fn across(&self, x: f64) -> f64 {
        LEFT + self.gutter + self.x.scale.place(x) * (self.width() - self.gutter)
    }

    /// Vertical place of a value.
    pub(super) fn down(&self, y: f64) -> f64 {
        TOP + (1.0 - self.y.scale.place(y)) * self.height()
    }

    /// Whether a point lies in the drawing.
    pub(super) fn shows(&self, point: &Point) -> bool {
        let within = |place: f64| (-1e-9..=1.0 + 1e-9).contains(&place);
        within(self.x.scale.place(point.x)) && within(self.y.scale.place(point.y))
    }

    /// Grid lines, marks and titles of both axes.
    pub(super) fn grid(&self) -> Element {
        let mut grid = el("g").attr("class", "axis");
        let (right, bottom) = (LEFT + self.width(), TOP + self.height());
        for tick in &self.y.ticks {
            let y = self.down(tick.value);
            let class = if tick.label.is_empty() {
                "minor"
            } else {
                "major"
            };
            grid = grid.push(el("path").attr("class", class).attr(
                "d",
                format!("M{} {}H{}", tenth(LEFT), tenth(y), tenth(right)),
            ));
            if !tick.label.is_empty() {
                grid = grid.push(words(LEFT - 7.0, y + 4.0, "end", &tick.label));
            }
        }
        let mut last = f64::NEG_INFINITY;
        let mut ticks: Vec<_> = self
            .x
            .ticks
            .iter()
            .map(|t| (self.across(t.value), t))
            .collect();
        ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (x, tick) in ticks {
            let class = if tick.label.is_empty() {
                "minor"
            } else {
                "major"
            };
            grid = grid.push(el("path").attr("class", class).attr(
                "d",
                format!("M{} {}V{}", tenth(x), tenth(TOP), tenth(bottom)),
            ));
            let half = tick.label.chars().count() as f64 * DIGIT / 2.0;
            if !tick.label.is_empty() && x - half >= last + APART {
                grid = grid.push(words(x, bottom + 17.0, "middle", &tick.label));
                last = x + half;
            }
        }
        grid.push(el("path").attr("class", "base").attr(
            "d",
            format!("M{} {}H{}", tenth(LEFT), tenth(bottom), tenth(right)),
        ))
        .push(
            words(
                LEFT + self.width() / 2.0,
                HEIGHT - 8.0,
                "middle",
                &self.x.title,
            )
            .attr("class", "title"),
        )
        .push(
            words(0.0, 0.0, "middle", &self.y.title)
                .attr("class", "title")
                .attr(
                    "transform",
                    format!(
                        "translate(12 {}) rotate(-90)",
                        tenth(TOP + self.height() / 2.0)
                    ),
                ),
        )
    }

    /// The inside, which cuts off what lies beyond the axes.
    pub(super) fn inside(&self) -> Element {
        let [x, y] = [LEFT - BLEED, TOP - BLEED].map(tenth);
        let [width, height] = [self.width() + 2.0 * BLEED, self.height() + 2.0 * BLEED].map(tenth);
        let view = format!("{x} {y} {width} {height}");
        el("svg")
            .attr("x", x)
            .attr("y", y)
            .attr("width", width)
            .attr("height", height)
            .attr("viewBox", view)
    }

    /// The regions below these values.
    pub(super) fn doubtful(&self, x: f64, y: f64) -> Vec<Element> {
        let (right, bottom) = (self.across(x).max(LEFT), TOP + self.height());
        let top = self.down(y).min(bottom);
        let region = |x0: f64, y0: f64, x1: f64, y1: f64| {
            el("rect")
                .attr("class", "doubtful")
                .at("x", x0)
                .at("y", y0)
                .at("width", x1 - x0)
                .at("height", y1 - y0)
        };
        vec![
            region(LEFT, TOP, right, bottom),
            region(right, top, LEFT + self.width(), bottom),
        ]
    }

    /// The line on which both axes show the same value.
    pub(super) fn diagonal(&self) -> Element {
        let low = self.x.scale.low().max(self.y.scale.low());
        let high = self.x.scale.high().min(self.y.scale.high());
        let ends =
            [low, high].map(|v| format!("{} {}", tenth(self.across(v)), tenth(self.down(v))));
        el("path")
            .attr("class", "diagonal")
            .attr("d", format!("M{}L{}", ends[0], ends[1]))
    }

    /// A vertical line.
    pub(super) fn rule(&self, x: f64) -> Element {
        let path = format!(
            "M{} {}V{}",
            tenth(self.across(x)),
            tenth(TOP),
            tenth(TOP + self.height())
        );
        el("path").attr("class", "rule").attr("d", path)
    }

    /// The series' line.
    pub(super) fn line(&self, series: &Series) -> Element {
        el("path")
            .attr("class", format!("stroke {}", series.stroke.tone))
            .attr("d", self.path(series))
            .attr("stroke-dasharray", series.stroke.dash)
    }

    /// The space below the series.
    pub(super) fn area(&self, series: &Series) -> Element {
        let bottom = tenth(TOP + self.height());
        let (first, last) = (series.points.first(), series.points.last());
        let x = |point: Option<&Point>| tenth(point.map_or(LEFT, |p| self.across(p.x)));
        el("path")
            .attr("class", format!("fill {}", series.stroke.tone))
            .attr(
                "d",
                format!(
                    "{}L{} {bottom}L{} {bottom}Z",
                    self.path(series),
                    x(last),
                    x(first)
                ),
            )
    }

    fn path(&self, series: &Series) -> String {
        let mut path = String::new();
        for point in &series.points {
            path.push(if path.is_empty() { 'M' } else { 'L' });
            path += &format!(
                "{} {}",
                tenth(self.across(point.x)),
                tenth(self.down(point.y))
            );
        }
        path
    }

    /// The points that have a tip or a marker.
    pub(super) fn points(&self, series: &Series) -> Vec<Element> {
        let visible = series.points.iter().filter(|p| self.shows(p));
        visible
            .filter_map(|point| {
                let (x, y) = (self.across(point.x), self.down(point.y));
                let marker = shape(series.stroke.marker, x, y);
                if marker.is_none() && point.tip.is_none() {
                    return None;
                }
                let group = el("g")
                    .attr("class", format!("point {}", series.stroke.tone))
                    .extend(marker);
                let Some(tip) = &point.tip else {
                    return Some(group);
                };
                let reach = el("circle")
                    .attr("class", "reach")
                    .at("cx", x)
                    .at("cy", y)
                    .attr("r", 9);
                Some(group.push(reach).push(el("title").text(tip)))
            })
            .collect()
    }
}

/// A marker at this place.
pub(super) fn shape(marker: Marker, x: f64, y: f64) -> Option<Element> {
    let closed = |corners: &[(f64, f64)]| {
        let path: Vec<String> = corners
            .iter()
            .map(|(dx, dy)| format!("{} {}", tenth(x + dx), tenth(y + dy)))
            .collect();
        el("path")
            .attr("class", "mark")
            .attr("d", format!("M{}Z", path.join("L")))
    };
    match marker {
        Marker::None => None,
        Marker::Disc => Some(
            el("circle")
                .attr("class", "mark")
                .at("cx", x)
                .at("cy", y)
                .attr("r", 4),
        ),
        Marker::Square => Some(closed(&[
            (-3.5, -3.5),
            (3.5, -3.5),
            (3.5, 3.5),
            (-3.5, 3.5),
        ])),
        Marker::Diamond => Some(closed(&[(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)])),
        Marker::Triangle => Some(closed(&[(0.0, -5.0), (4.8, 3.6), (-4.8, 3.6)])),
    }
}

fn words(x: f64, y: f64, anchor: &str, text: &str) -> Element {
    el("text")
        .at("x", x)
        .at("y", y)
        .attr("text-anchor", anchor)
        .text(text)
}
