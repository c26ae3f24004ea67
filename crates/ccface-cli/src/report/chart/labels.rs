//! Names inside a chart, moved apart where they would cover each other.

use super::frame::Frame;
use crate::report::html::{Element, el, tenth};

/// Height of a line of text.
const LINE: f64 = 15.0;
/// Mean width of a letter.
const LETTER: f64 = 6.8;
/// Distance between a point and its name.
const GAP: f64 = 9.0;
/// The same for a name above its point.
const CLOSE: f64 = 4.0;

/// On which side of its place a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// Above, beginning a little to the right.
    Above,
}

/// A name and the place that it names.
#[derive(Clone, Debug)]
pub(super) struct Label {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) anchor: Anchor,
    pub(super) text: String,
    pub(super) tone: &'static str,
}

impl Label {
    fn span(&self) -> (f64, f64) {
        let width = self.text.chars().count() as f64 * LETTER;
        match self.anchor {
            Anchor::Left => (self.x - GAP - width, self.x - GAP),
            Anchor::Right => (self.x + GAP, self.x + GAP + width),
            Anchor::Above => (self.x + CLOSE, self.x + CLOSE + width),
        }
    }

    /// Where the name would stand by itself.
    fn height(&self) -> f64 {
        match self.anchor {
            Anchor::Above => self.y - LINE * 0.6,
            _ => self.y,
        }
    }

    fn covers(&self, other: &Self) -> bool {
        let (a, b) = (self.span(), other.span());
        a.0 < b.1 && b.0 < a.1
    }
}

/// Heights at which the names do not cover each other, near their own and within `top..bottom`.
fn apart(labels: &[Label], top: f64, bottom: f64) -> Vec<f64> {
    let mut heights: Vec<f64> = labels
        .iter()
        .map(|l| l.height().clamp(top, bottom))
        .collect();
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|a, b| {
        labels[*a]
            .height()
            .total_cmp(&labels[*b].height())
            .then(a.cmp(b))
    });
    // Each pair that overlaps is pushed apart by equal shares; names near an edge push the others inwards.
    for _ in 0..60 {
        let mut moved = false;
        for (position, a) in order.iter().enumerate() {
            for b in &order[position + 1..] {
                let overlap = LINE - (heights[*b] - heights[*a]);
                if overlap > 1e-3 && labels[*a].covers(&labels[*b]) {
                    heights[*a] = (heights[*a] - overlap / 2.0).clamp(top, bottom);
                    heights[*b] = (heights[*b] + overlap / 2.0).clamp(top, bottom);
                    moved = true;
                }
            }
        }
        if !moved {
            break;
        }
    }
    heights
}

/// Draws the names, each with a hair line to its place where it had to move away.
pub(super) fn draw(labels: Vec<Label>, frame: &Frame<'_>) -> Element {
    let heights = apart(
        &labels,
        frame.top() + 7.0,
        frame.top() + frame.height() - 7.0,
    );
    let mut group = el("g").attr("class", "names");
    for (label, height) in labels.iter().zip(heights) {
        let (side, gap, anchor) = match label.anchor {
            Anchor::Left => (-1.0, GAP, "end"),
            Anchor::Right => (1.0, GAP, "start"),
            Anchor::Above => (1.0, CLOSE, "start"),
        };
        if (height - label.height()).abs() > LINE / 2.0 {
            let path = format!(
                "M{} {}L{} {}",
                tenth(label.x + side * gap.min(4.0)),
                tenth(label.y),
                tenth(label.x + side * (gap - 1.5)),
                tenth(height)
            );
            group = group.push(
                el("path")
                    .attr("class", format!("leader {}", label.tone))
                    .attr("d", path),
            );
        }
        group = group.push(
            el("text")
                .attr("class", label.tone)
                .at("x", label.x + side * gap)
                .at("y", height + 4.5)
                .attr("text-anchor", anchor)
                .text(&label.text),
        );
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(x: f64, y: f64) -> Label {
        Label {
            x,
            y,
            anchor: Anchor::Right,
            text: "teacher".into(),
            tone: "t0",
        }
    }

    #[test]
    fn names_at_one_place_are_moved_apart_and_stay_inside() {
        let labels: Vec<Label> = (0..4).map(|_| label(50.0, 199.0)).collect();
        let mut heights = apart(&labels, 0.0, 200.0);
        heights.sort_by(f64::total_cmp);
        assert!(
            heights.windows(2).all(|w| w[1] - w[0] > LINE - 0.5),
            "{heights:?}"
        );
        assert!(heights.iter().all(|h| (0.0..=200.0).contains(h)));
    }

    #[test]
    fn names_beside_each_other_keep_their_place() {
        let labels = [label(10.0, 50.0), label(200.0, 52.0)];
        assert_eq!(apart(&labels, 0.0, 200.0), [50.0, 52.0]);
    }
}
