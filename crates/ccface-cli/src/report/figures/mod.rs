//! Which charts a page has.

mod curves;
mod errors;
pub(crate) mod outcome;
mod scores;

use super::{
    chart::Chart,
    html::{Element, div, el},
    material::{Contender, Material},
};

pub(crate) use curves::{det, roc};
pub(crate) use errors::error_by_size;
pub(crate) use scores::scores;

/// A chart with its title, legend and caption.
fn figure(title: &str, chart: &Chart, caption: &str) -> Element {
    let figure = el("figure")
        .push(el("h3").text(title))
        .push(chart.svg())
        .push(chart.legend());
    if caption.is_empty() {
        figure
    } else {
        figure.push(el("figcaption").text(caption))
    }
}

/// One figure for each encoder.
fn each(material: &Material<'_>, draw: impl Fn(&Contender<'_>) -> Element) -> Vec<Element> {
    material.contenders.iter().map(draw).collect()
}

/// Figures beside each other where there is room.
pub(crate) fn grid(figures: Vec<Element>) -> Element {
    div("charts").extend(figures)
}
