//! Reports as self-contained HTML pages.
//!
//! A page is put together from parts that each read the same `material`: words, contact sheet, search, charts, tables and
//! protocol. Nothing in it comes from outside the file, and it can be read without script.

mod chart;
mod figures;
mod html;
mod inspection;
mod material;
mod numbers;
mod outcome;
mod page;
mod picture;
mod protocol;
mod search;
mod sheet;
mod table;
#[cfg(test)]
mod testing;
mod words;
mod worst;

use ccface_train::faces::FacesEvaluation;

pub(crate) use inspection::inspection_report;
pub use outcome::{comparison_page, outcome_report};
pub(crate) use outcome::{headline_metrics, is_headline, non_inferiority, p_value};
pub(crate) use page::STYLE;
pub use worst::WorstFaces;

use html::{Element, div, el};
use material::Material;
use page::{Section, lead};

/// How a report is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportOptions {
    /// Title of the page; a plain one by default.
    pub title: Option<String>,
    /// Face size of the headline and the histograms in pixels, or the nearest evaluated; 16 by default.
    pub headline_size: usize,
    /// Face size of the probe that is searched, or the next larger one evaluated; 12 by default.
    pub probe_size: usize,
    /// How many people the contact sheet shows; 6 by default.
    pub people: usize,
    /// How many of a probe's best matches are shown; 5 by default.
    pub candidates: usize,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            title: None,
            headline_size: 16,
            probe_size: 12,
            people: 6,
            candidates: 5,
        }
    }
}

/// What a report of several models says in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainWords {
    /// Title of the page.
    pub title: String,
    /// The one sentence on top; `None` states the false rejects of the first model and of the last.
    pub headline: Option<String>,
    /// Paragraphs below it, for readers who are new to the matter.
    pub paragraphs: Vec<String>,
    /// Findings in a list, before those that the report draws itself.
    pub findings: Vec<String>,
}

/// The report of an evaluation by face size, as one HTML page without external assets.
///
/// Where the evaluation has a teacher, the page sets the network (then called student) beside it.
pub fn faces_report(evaluation: &FacesEvaluation, options: &ReportOptions) -> String {
    let words = PlainWords {
        title: options
            .title
            .clone()
            .unwrap_or_else(|| "Face recognition by face size".into()),
        ..PlainWords::default()
    };
    report(&Material::of_one(evaluation), &words, options)
}

/// The report of several models evaluated on the same faces, as one HTML page; `None` without a model.
///
/// The first model is the baseline and the last the one that the page is about, for example teacher, control, student. Each is
/// judged as the evaluated network of its own evaluation.
pub fn comparison_report(
    models: &[(&str, &FacesEvaluation)],
    words: &PlainWords,
    options: &ReportOptions,
) -> Option<String> {
    Some(report(&Material::of_many(models)?, words, options))
}

fn report(material: &Material<'_>, words: &PlainWords, options: &ReportOptions) -> String {
    let size = material
        .nearest_size(options.headline_size)
        .unwrap_or(options.headline_size);
    let probe_size = material
        .size_from(options.probe_size)
        .unwrap_or(options.probe_size);
    let headline = words
        .headline
        .clone()
        .unwrap_or_else(|| words::headline(material, size));
    let findings = words
        .findings
        .iter()
        .cloned()
        .chain(words::points(material, size));
    let mut summary = vec![el("p").attr("class", "headline").text(headline)];
    summary.extend(
        words
            .paragraphs
            .iter()
            .map(|p| el("p").attr("class", "words").text(p)),
    );
    summary.push(
        el("ul")
            .attr("class", "points")
            .extend(findings.map(|f| el("li").text(f))),
    );

    let mut sections = vec![Section::new(
        "pictures",
        "Pictures",
        "What the network gets to see",
        vec![
            lead(
                "The same faces at full resolution and at each probe size: averaged down to so many pixels, then enlarged again to the network’s input. The same step makes every probe below.",
            ),
            sheet::sheet(material, options.people),
        ],
    )];
    if let Some(search) = search::search(material, probe_size, options.candidates) {
        sections.push(Section::new(
            "search",
            "One search",
            format!("One face of {probe_size} pixels, searched in the gallery"),
            vec![search],
        ));
    }
    sections.push(Section::new(
        "charts",
        "Charts",
        "Errors against face size",
        charts(material, size),
    ));
    sections.push(Section::new(
        "figures",
        "Figures",
        "The figures",
        tables(material),
    ));
    sections.push(Section::new(
        "protocol",
        "Protocol",
        "What this rests on",
        vec![protocol::caution(material), protocol::protocol(material)],
    ));
    let foot = format!(
        "Made by ccface {}. This page needs nothing outside itself.",
        material.result().ccface_version
    );
    page::document(&words.title, "CCFace report", summary, sections, &foot)
}

fn charts(material: &Material<'_>, size: usize) -> Vec<Element> {
    let title = |text: &str, told: &str| {
        div("sub")
            .push(el("h3").text(text))
            .push(el("p").attr("class", "caption").text(told))
    };
    let mut told = String::from(
        "Equal error rate: where as many strangers are accepted as genuine faces are rejected. Lower is better. Small probe against full-size gallery",
    );
    told += if material.contenders.len() > 2 {
        "."
    } else {
        "; LR–LR: both small."
    };
    let mut parts = vec![lead(&told), figures::grid(figures::error_by_size(material))];
    parts.push(title("Every threshold", "False non-matches against false matches, both axes spread like a normal distribution (DET). Down and to the left is better; the dotted line marks equal errors. Shaded: fewer than 30 errors, so little certainty."));
    let roc = figures::roc(material);
    let mut det = figures::det(material);
    if material.contenders.len() == 1 {
        det.extend(roc);
        parts.push(figures::grid(det));
    } else {
        parts.push(figures::grid(det));
        parts.push(title(
            "The same as ROC",
            "True accepts against false accepts. Up and to the left is better.",
        ));
        parts.push(figures::grid(roc));
    }
    parts.push(title("Scores", "How alike two images of one person (genuine) and of two people (impostor) look to the encoder. The less they overlap, the better."));
    parts.push(figures::grid(figures::scores(material, size)));
    parts
}

fn tables(material: &Material<'_>) -> Vec<Element> {
    let mut tables = vec![
        lead("Probe at the given size against gallery at full size."),
        table::pairings(material),
    ];
    if let Some(collapse) = table::collapse(material) {
        tables.push(div("sub").push(el("h3").text("LR against LR")));
        tables.push(collapse);
    }
    tables
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{testing::evaluation, *};

    fn page(evaluation: &FacesEvaluation) -> String {
        faces_report(evaluation, &ReportOptions::default())
    }

    /// Panics where a tag is closed that is not the innermost open one, or one stays open.
    fn assert_nested(page: &str) {
        let mut open: Vec<&str> = Vec::new();
        let mut rest = page.strip_prefix("<!doctype html>\n").unwrap();
        while let Some(start) = rest.find('<') {
            rest = &rest[start + 1..];
            let end = rest.find('>').unwrap();
            let (tag, after) = (&rest[..end], &rest[end + 1..]);
            rest = after;
            let name = tag.split([' ', '\n']).next().unwrap();
            if let Some(closed) = name.strip_prefix('/') {
                assert_eq!(
                    open.pop(),
                    Some(closed),
                    "before: {}",
                    &rest[..rest.len().min(80)]
                );
            } else if !["br", "hr", "img", "input", "meta"].contains(&name) {
                open.push(name);
            }
            // Raw text ends at its own end tag alone.
            if name == "style" || name == "script" {
                rest = &rest[rest.find(&format!("</{name}>")).unwrap()..];
            }
        }
        assert!(open.is_empty(), "left open: {open:?}");
    }

    fn assert_self_contained(page: &str) {
        for outside in [
            "http://", "https://", "src=\"/", "src=\"//", "url(", "@import", "<link", "href=\"/",
        ] {
            assert!(!page.contains(outside), "{outside} in the page");
        }
        assert!(
            page.split("src=\"")
                .skip(1)
                .all(|s| s.starts_with("data:image/png;base64,"))
        );
    }

    #[test]
    fn the_page_is_whole_nested_and_self_contained_with_and_without_teacher_and_size_16() {
        for (sizes, teacher) in [
            (&[8, 12, 16, 32][..], true),
            (&[8, 12, 16, 32], false),
            (&[24], true),
            (&[6, 10, 20], false),
        ] {
            let evaluation = evaluation(sizes, teacher);
            let page = page(&evaluation);
            assert_nested(&page);
            assert_self_contained(&page);
            for anchor in ["pictures", "search", "charts", "figures", "protocol"] {
                assert!(
                    page.contains(&format!("id=\"{anchor}\"")),
                    "{anchor} is missing for {sizes:?}"
                );
            }
            assert!(
                !page.contains("NaN") && !page.contains("inf "),
                "a number is missing for {sizes:?}"
            );
            if !teacher {
                assert!(!page.contains("teacher"), "a teacher out of nowhere");
            }
        }
    }

    #[test]
    fn the_nearest_size_stands_in_for_16_and_the_next_larger_for_12() {
        let page = page(&evaluation(&[8, 14, 24], true)).replace('\u{a0}', " ");
        assert!(page.contains("false rejects at 14 px") && page.contains("One face of 14 pixels"));
    }

    #[test]
    fn names_from_files_cannot_become_markup() {
        let mut evaluation = evaluation(&[8, 16], true);
        let evil = "<script>alert(1)</script>\"'>";
        evaluation
            .names
            .iter_mut()
            .for_each(|name| *name = evil.into());
        let protocol = &mut evaluation.result.protocol;
        protocol
            .identity_names
            .iter_mut()
            .for_each(|name| *name = evil.into());
        for text in [
            &mut protocol.data,
            &mut protocol.name,
            &mut protocol.alignment,
            &mut evaluation.result.model.path,
            &mut evaluation.result.model.licence,
        ] {
            *text = evil.into();
        }
        let page = page(&evaluation);
        assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert(1)"));
        assert_eq!(page.matches("<script>").count(), 1);
        assert_nested(&page);
    }

    #[test]
    fn a_comparison_shows_every_model_and_the_caller_s_words() {
        let (teacher, control, student) = (
            evaluation(&[8, 16], false),
            evaluation(&[8, 16, 24], false),
            evaluation(&[8, 16], false),
        );
        let words = PlainWords {
            title: "Quick & plain".into(),
            paragraphs: vec!["Small faces are hard.".into()],
            findings: vec![
                "The student is ahead of the control by 0.4 points (−0.3 to 1.1).".into(),
            ],
            ..PlainWords::default()
        };
        let models = [
            ("teacher", &teacher),
            ("control", &control),
            ("student", &student),
        ];
        let page = comparison_report(&models, &words, &ReportOptions::default()).unwrap();
        assert_nested(&page);
        assert_self_contained(&page);
        for part in [
            "Quick &amp; plain",
            "Small faces are hard.",
            "−0.3 to 1.1",
            "DET: control",
            "Network: control",
            "The control’s",
        ] {
            assert!(page.contains(part), "{part} is missing");
        }
        assert!(comparison_report(&[], &words, &ReportOptions::default()).is_none());
    }

    #[test]
    fn two_hundred_images_stay_far_below_three_megabytes() {
        let evaluation = testing::large();
        assert_eq!(evaluation.faces.len(), 200);
        let length = page(&evaluation).len();
        assert!(length < 2_500_000, "{length} bytes");
    }

    #[test]
    fn the_same_evaluation_gives_the_same_page() {
        assert_eq!(
            page(&evaluation(&[8, 16], true)),
            page(&evaluation(&[8, 16], true))
        );
    }
}
