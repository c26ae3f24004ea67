//! The page around the sections: head, style, script, contents, boxes.

use super::html::{Element, Node, div, el};

/// The style of every page.
pub(crate) const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("tips.js");

/// A section: anchor, title in the contents, title on the page, content.
pub(crate) struct Section {
    anchor: &'static str,
    short: &'static str,
    title: String,
    content: Vec<Element>,
}

impl Section {
    pub(crate) fn new(
        anchor: &'static str,
        short: &'static str,
        title: impl Into<String>,
        content: Vec<Element>,
    ) -> Self {
        Self {
            anchor,
            short,
            title: title.into(),
            content,
        }
    }
}

/// The whole document; it needs nothing outside itself.
pub(crate) fn document(
    title: &str,
    kicker: &str,
    summary: Vec<Element>,
    sections: Vec<Section>,
    foot: &str,
) -> String {
    let meta = |name: &'static str, content: &'static str| {
        el("meta").attr("name", name).attr("content", content)
    };
    let head = el("head")
        .push(el("meta").attr("charset", "utf-8"))
        .push(meta("viewport", "width=device-width, initial-scale=1"))
        .push(meta("color-scheme", "light dark"))
        .push(meta("robots", "noindex"))
        .push(el("title").text(title))
        .push(el("style").push(Node::Raw(STYLE)));
    let links = sections
        .iter()
        .map(|s| el("a").attr("href", format!("#{}", s.anchor)).text(s.short));
    let top = el("header")
        .push(el("p").attr("class", "kicker").text(kicker))
        .push(el("h1").text(title))
        .extend(summary)
        .push(el("nav").attr("aria-label", "Contents").extend(links));
    let main = el("main").extend(sections.into_iter().map(|s| {
        el("section")
            .attr("class", "part")
            .attr("id", s.anchor)
            .push(el("h2").text(s.title))
            .extend(s.content)
    }));
    let body = el("body")
        .push(top)
        .push(main)
        .push(el("footer").text(foot))
        .push(el("script").push(Node::Raw(SCRIPT)));
    format!(
        "<!doctype html>\n{}\n",
        el("html").attr("lang", "en").push(head).push(body)
    )
}

/// A paragraph under a section's title.
pub(crate) fn lead(text: &str) -> Element {
    el("p").attr("class", "lead").text(text)
}

/// A box that scrolls sideways where its content is too wide, reachable by keyboard.
pub(crate) fn scroll(label: &str, content: Element) -> Element {
    div("scroll")
        .attr("tabindex", 0)
        .attr("role", "region")
        .attr("aria-label", label)
        .push(content)
}

/// Up to three views of one thing, switched without script; the first is shown.
pub(crate) fn switch(name: &'static str, panes: Vec<(&'static str, Element)>) -> Element {
    let mut switch = div("switch");
    for (i, (label, _)) in panes.iter().enumerate() {
        let id = format!("{name}-{i}");
        let input = el("input")
            .attr("type", "radio")
            .attr("name", name)
            .attr("id", &id);
        let input = if i == 0 {
            input.attr("checked", "")
        } else {
            input
        };
        switch = switch
            .push(input)
            .push(el("label").attr("for", &id).text(label));
    }
    switch.extend(
        panes
            .into_iter()
            .enumerate()
            .map(|(i, (_, content))| div(&format!("pane pane-{i}")).push(content)),
    )
}
