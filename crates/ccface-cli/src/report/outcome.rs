//! The page of one result document, and that of several side by side.

use ccface_eval::{ComparisonTable, GroupTable, PairedRow, Rate, ResultDocument};

use super::{
    figures,
    html::{Element, div, el},
    numbers::{cell, cosine, count, percent, target},
    page::{self, Section, lead, scroll},
    protocol::{hash, list, text},
    table::{header, number, rate},
    worst::{WorstFaces, worst_errors},
};

/// The ranks that tables show and paired tests are kept of.
const HEADLINE_RANKS: [usize; 4] = [1, 5, 10, 20];

/// Whether a metric is one that a reader sees first: all but the ranks in between.
pub(crate) fn is_headline(metric: &str) -> bool {
    match metric.strip_prefix("rank").and_then(|r| r.parse().ok()) {
        Some(rank) => HEADLINE_RANKS.contains(&rank),
        None => true,
    }
}

/// The metrics that a reader sees first, numbers in their names in numerical order.
pub(crate) fn headline_metrics(document: &ResultDocument) -> Vec<(&str, &Rate)> {
    let mut metrics: Vec<(&str, &Rate)> = document
        .metrics
        .iter()
        .map(|(name, rate)| (name.as_str(), rate))
        .filter(|(name, _)| is_headline(name))
        .collect();
    metrics.sort_by_key(|(name, _)| natural(name));
    metrics
}

/// `rank10` after `rank5`.
fn natural(name: &str) -> (String, usize) {
    match name.strip_prefix("rank").and_then(|r| r.parse().ok()) {
        Some(rank) => ("rank".into(), rank),
        None => (name.into(), 0),
    }
}

/// The result of an evaluation of scores, embeddings or a named protocol, as one HTML page without external assets;
/// `faces` are the pictures of its worst errors, as far as there are any.
pub fn outcome_report(document: &ResultDocument, faces: &WorstFaces) -> String {
    let mut sections = vec![Section::new(
        "figures",
        "Figures",
        "The figures",
        vec![metrics(document)],
    )];
    let charts = figures::outcome::charts(document);
    if !charts.is_empty() {
        sections.push(Section::new(
            "charts",
            "Charts",
            "Every threshold",
            vec![figures::grid(charts)],
        ));
    }
    if !document.sizes.is_empty() {
        sections.push(Section::new(
            "sizes",
            "By size",
            "Errors by face size",
            vec![sizes(document)],
        ));
    }
    if let Some(groups) = &document.groups {
        sections.push(Section::new(
            "groups",
            "By group",
            "Errors by group",
            vec![groups_table(groups)],
        ));
    }
    if !document.open_set.is_empty() {
        sections.push(Section::new(
            "open-set",
            "Open set",
            "Search for people who may not be there",
            vec![open_set(document)],
        ));
    }
    if let Some(worst) = &document.worst {
        sections.push(Section::new(
            "worst",
            "Worst errors",
            "What went most wrong",
            worst_errors(worst, faces),
        ));
    }
    if !document.thresholds.is_empty() {
        sections.push(Section::new(
            "thresholds",
            "Thresholds",
            "Thresholds and their errors",
            vec![thresholds(document)],
        ));
    }
    sections.push(Section::new(
        "protocol",
        "Protocol",
        "What this rests on",
        vec![caution(document), protocol(document)],
    ));
    let title = format!("Evaluation: {}", document.protocol.name);
    page::document(
        &title,
        "CCFace evaluation",
        summary(document),
        sections,
        &foot(),
    )
}

/// Several results of one protocol side by side, as one HTML page without external assets.
pub fn comparison_page(table: &ComparisonTable) -> String {
    let mut head = vec!["metric".to_owned()];
    head.extend((1..=table.names.len()).map(|i| format!("[{i}]")));
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let rows = table.metrics.iter().map(|row| {
        el("tr").push(row_head(&row.metric)).extend(
            row.rates
                .iter()
                .map(|found| found.as_ref().map_or_else(|| number("–".into()), rate)),
        )
    });
    let side = el("table")
        .attr("class", "figures")
        .push(header(&head))
        .push(el("tbody").extend(rows));
    let names = el("ul").attr("class", "points").extend(
        table
            .names
            .iter()
            .enumerate()
            .map(|(i, name)| el("li").text(format!("[{}] {name}", i + 1))),
    );
    let tests = table.paired.iter().map(|row| {
        el("tr")
            .push(row_head(&format!(
                "{}: [{}] − [{}]",
                row.metric,
                row.b + 1,
                row.a + 1
            )))
            .push(number(signed(row.outcome.difference)))
            .push(number(format!(
                "{} to {}",
                signed(row.outcome.low),
                signed(row.outcome.high)
            )))
            .push(number(count(row.outcome.n)))
            .push(number(count(row.outcome.only_a)))
            .push(number(count(row.outcome.only_b)))
            .push(number(p_value(row.outcome.mcnemar_p)))
            .push(number(p_value(row.holm_p)))
    });
    let paired = el("table")
        .attr("class", "figures")
        .push(header(&[
            "difference",
            "points",
            "interval",
            "trials",
            "first only",
            "second only",
            "McNemar",
            "p, Holm",
        ]))
        .push(el("tbody").extend(tests));
    let mut sections = vec![Section::new(
        "figures",
        "Figures",
        "Side by side",
        vec![
            lead(
                "All rates in per cent, with their intervals. † fewer than 30 errors stand behind the figure.",
            ),
            scroll("Metrics side by side", side),
        ],
    )];
    let margins: Vec<String> = table
        .paired
        .iter()
        .filter_map(|row| Some(format!("{}: {}", row.metric, non_inferiority(row)?)))
        .collect();
    if !table.paired.is_empty() {
        sections.push(Section::new(
            "paired",
            "Paired tests",
            "The same trials by two models",
            vec![
                lead("Differences in points of a per cent on the very same trials, with a subject-level bootstrap interval; p-values are adjusted by Holm over all rows. McNemar’s test takes trials as independent. First only, second only: trials that one of the two alone got right."),
                scroll("Paired tests", paired),
                notes(&margins),
            ],
        ));
    }
    if !table.warnings.is_empty() {
        sections.push(Section::new(
            "notes",
            "Notes",
            "What limits the comparison",
            vec![notes(&table.warnings)],
        ));
    }
    let title = format!("Comparison: {}", table.protocol);
    page::document(&title, "CCFace comparison", vec![names], sections, &foot())
}

/// `[2] is at most 1 points worse than [1]: shown (…)`, where a margin was asked for.
pub(crate) fn non_inferiority(row: &PairedRow) -> Option<String> {
    let found = row.non_inferiority?;
    Some(format!(
        "[{}] is at most {} points worse than [{}]: {} (one-sided bound {})",
        row.b + 1,
        100.0 * found.margin,
        row.a + 1,
        if found.shown { "shown" } else { "not shown" },
        signed(found.lower_bound)
    ))
}

/// A p-value; none is ever zero.
pub(crate) fn p_value(p: f64) -> String {
    if p < 1e-4 {
        "< 0.0001".into()
    } else {
        format!("{p:.4}")
    }
}

fn signed(share: f64) -> String {
    format!("{:+.2}", 100.0 * share).replace('-', "−")
}

fn foot() -> String {
    format!(
        "Made by ccface {}. This page needs nothing outside itself.",
        env!("CARGO_PKG_VERSION")
    )
}

fn row_head(text: &str) -> Element {
    el("th").attr("scope", "row").text(text)
}

fn notes(warnings: &[String]) -> Element {
    el("ul")
        .attr("class", "points")
        .extend(warnings.iter().map(|w| el("li").text(w)))
}

fn summary(document: &ResultDocument) -> Vec<Element> {
    let sentence = |name: &str, words: &str| {
        let found = document.metrics.get(name)?;
        Some(match found {
            Rate::Measured {
                value, low, high, ..
            } => {
                format!(
                    "{words}: {} ({} to {})",
                    percent(*value),
                    percent(*low),
                    percent(*high)
                )
            }
            Rate::Insufficient { insufficient } => format!("{words}: not known, {insufficient}"),
        })
    };
    let told: Vec<String> = [
        sentence("rank1", "Rank 1"),
        sentence("accuracy", "Ten-fold accuracy"),
        sentence("eer", "equal error rate"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut headline = told.join("; ");
    if let Some(first) = headline.get(..1).map(str::to_uppercase) {
        headline.replace_range(..1, &first);
    }
    let mut parts = vec![el("p").attr("class", "headline").text(headline + ".")];
    if !document.warnings.is_empty() {
        parts.push(notes(&document.warnings));
    }
    parts
}

fn metrics(document: &ResultDocument) -> Element {
    let rows = headline_metrics(document).into_iter().map(|(name, found)| {
        let n = match found {
            Rate::Measured { n, .. } => count(*n),
            Rate::Insufficient { .. } => "–".into(),
        };
        el("tr")
            .push(row_head(name))
            .push(rate(found))
            .push(number(n))
    });
    let table = el("table")
        .attr("class", "figures")
        .push(header(&["metric", "value", "of"]))
        .push(el("tbody").extend(rows));
    div("").push(scroll("Metrics", table)).push(
        el("p").attr("class", "caption").text(format!(
            "All rates in per cent. Small print: {}\u{a0}% intervals, {}. † fewer than 30 errors stand behind the figure: low confidence. Threshold rule: {}.",
            100.0 * document.statistics.level,
            document.statistics.interval,
            document.protocol.threshold_rule,
        )),
    )
}

/// A cell whose ground grows warmer with the error.
fn heat(found: &Rate, highest: f64) -> Element {
    let cell = rate(found);
    match found.value() {
        Some(value) if highest > 0.0 => {
            let share = (60.0 * value / highest).round();
            cell.attr(
                "style",
                format!("background: color-mix(in srgb, var(--t1) {share}%, transparent)"),
            )
        }
        _ => cell,
    }
}

fn sizes(document: &ResultDocument) -> Element {
    let highest = |pick: &dyn Fn(usize) -> Option<f64>| {
        (0..document.sizes.len())
            .filter_map(pick)
            .fold(0.0, f64::max)
    };
    let fmr = highest(&|i| document.sizes[i].fmr.value());
    let fnmr = highest(&|i| document.sizes[i].fnmr.value());
    let rows = document.sizes.iter().map(|row| {
        let name = if row.from == row.to {
            format!("{}\u{a0}px", row.from)
        } else {
            format!("{}–{}\u{a0}px", row.from, row.to)
        };
        el("tr")
            .push(row_head(&name))
            .push(number(row.eer.map_or_else(|| "–".into(), cell)))
            .push(heat(&row.fnmr, fnmr))
            .push(heat(&row.fmr, fmr))
    });
    let table = el("table")
        .attr("class", "figures")
        .push(header(&["face size of the probe", "EER", "FNMR", "FMR"]))
        .push(el("tbody").extend(rows));
    div("").push(scroll("Errors by face size", table)).push(
        el("p").attr("class", "caption").text(
            "In per cent, FMR and FNMR at one threshold for all sizes: that of FMR 1\u{a0}% over all comparisons. The warmer the ground, the more errors.",
        ),
    )
}

fn groups_table(groups: &GroupTable) -> Element {
    let rows = groups.rows.iter().map(|row| {
        el("tr")
            .push(row_head(&row.group))
            .push(rate(&row.fmr))
            .push(rate(&row.fnmr))
    });
    let table = el("table")
        .attr("class", "figures")
        .push(header(&["group", "FMR", "FNMR"]))
        .push(el("tbody").extend(rows));
    let ratio = |found: Option<f64>| found.map_or_else(|| "unknown".into(), |r| format!("{r:.2}"));
    div("")
        .push(scroll("Errors by group", table))
        .push(el("p").attr("class", "caption").text(format!(
            "In per cent, at the common threshold {}. Highest over lowest: FMR {}, FNMR {}.",
            cosine(groups.threshold),
            ratio(groups.fmr_ratio),
            ratio(groups.fnmr_ratio)
        )))
}

fn open_set(document: &ResultDocument) -> Element {
    let rows = document.open_set.iter().map(|found| {
        el("tr")
            .push(row_head(&found.fpir.map_or_else(|| "–".into(), target)))
            .push(rate(&found.tpir))
            .push(number(count(found.gallery_size)))
            .push(number(found.rank.to_string()))
            .push(number(found.threshold.map_or_else(|| "–".into(), cosine)))
            .push(number(count(found.mated)))
            .push(number(count(found.nonmated)))
    });
    let table = el("table")
        .attr("class", "figures")
        .push(header(&[
            "FPIR reached",
            "TPIR",
            "N, gallery",
            "R, rank",
            "T, threshold",
            "mated probes",
            "non-mated probes",
        ]))
        .push(el("tbody").extend(rows));
    div("").push(scroll("Open-set search", table)).push(
        el("p").attr("class", "caption").text(
            "TPIR(N, R, T) in per cent: mated probes whose mate stands at rank R or before with a score of at least T. FPIR grows with N.",
        ),
    )
}

fn thresholds(document: &ResultDocument) -> Element {
    let rows = document.thresholds.iter().map(|(name, point)| {
        el("tr")
            .push(row_head(name))
            .push(number(format!("{:.6}", point.threshold)))
            .push(number(format!("{:.4}", 100.0 * point.fmr)))
            .push(number(format!("{:.4}", 100.0 * point.fnmr)))
    });
    let table = el("table")
        .attr("class", "figures")
        .push(header(&["threshold of", "score", "FMR", "FNMR"]))
        .push(el("tbody").extend(rows));
    div("").push(scroll("Thresholds", table)).push(
        el("p").attr("class", "caption").text(
            "FMR and FNMR in per cent. Thresholds are chosen on the very comparisons they are reported on, except those called calibrated.",
        ),
    )
}

fn caution(document: &ResultDocument) -> Element {
    let people = document.statistics.subjects.map_or_else(
        || "people whose number is not known".into(),
        |n| format!("{} people", count(n)),
    );
    div("caution").push(el("p").push(el("b").text("Read with care. ")).text(format!(
        "These are research figures on one set of {people}; other cameras, people and crops give other figures. A match is a candidate for review by a person, never an identification by itself.",
    )))
}

fn protocol(document: &ResultDocument) -> Element {
    let facts = &document.protocol;
    let unknown = |fact: &Option<String>| text(fact.as_deref().unwrap_or("not stated"));
    let hashed = |fact: &Option<String>| fact.as_deref().map_or_else(|| text("not stated"), hash);
    let data = list(
        "Protocol",
        vec![
            ("protocol", text(&facts.name)),
            ("threshold rule", text(&facts.threshold_rule)),
            ("alignment", unknown(&facts.alignment)),
            ("colour order", unknown(&facts.colour_order)),
            ("flip and fusion", unknown(&facts.fusion)),
            ("model hash", hashed(&facts.model_hash)),
            ("data hash", hashed(&facts.data_hash)),
        ],
    );
    let counts = facts.counts.iter().map(|(what, n)| {
        el("tr")
            .push(row_head(&what.replace('_', " ")))
            .push(number(count(*n)))
    });
    let counted = el("section").push(el("h3").text("Counts")).push(
        el("table")
            .attr("class", "figures")
            .push(el("tbody").extend(counts)),
    );
    let statistics = &document.statistics;
    let subjects = statistics
        .subjects
        .map_or_else(|| "not known".into(), count);
    let intervals = list(
        "Intervals and program",
        vec![
            ("intervals", text(&statistics.interval)),
            ("level", text(target(statistics.level))),
            ("replicates", text(statistics.replicates)),
            ("seed", text(statistics.seed)),
            ("people drawn", text(subjects)),
            ("ccface", text(env!("CARGO_PKG_VERSION"))),
            ("schema", text(&document.schema)),
        ],
    );
    div("facts").push(data).push(counted).push(intervals)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ccface_eval::{Bootstrap, EvaluationConfig, ScoreRow, compare, evaluate_scores};

    fn document(shift: f64) -> ResultDocument {
        let rows: Vec<ScoreRow> = (0..4000)
            .map(|i| {
                let mated = i % 4 == 0;
                let noise = f64::from(i * 7919 % 1009) / 1009.0;
                let person = format!("p<{}>", i / 40);
                ScoreRow {
                    score: Some(if mated { noise + shift } else { noise }),
                    mated,
                    gallery_subject: Some(if mated {
                        person.clone()
                    } else {
                        format!("{person}x")
                    }),
                    probe_subject: Some(person),
                    group: Some(["a", "b<i>"][i as usize / 8 % 2].into()),
                    size: Some([8.0, 16.0, 32.0][i as usize / 4 % 3]),
                    confidence: [("confidence_norm".to_owned(), noise)].into(),
                }
            })
            .collect();
        evaluate_scores(&rows, &EvaluationConfig::default()).unwrap()
    }

    #[test]
    fn the_page_has_every_part_and_no_foreign_markup() {
        let html = outcome_report(&document(0.4), &WorstFaces::default());
        for part in [
            "figures",
            "charts",
            "sizes",
            "groups",
            "thresholds",
            "protocol",
        ] {
            assert!(
                html.contains(&format!("id=\"{part}\"")),
                "{part} is missing"
            );
        }
        for title in ["DET", "ROC", "Scores", "Error against the share rejected"] {
            assert!(
                html.contains(&format!("<h3>{title}</h3>")),
                "{title} is missing"
            );
        }
        assert!(html.contains("b&lt;i&gt;") && !html.contains("b<i>"));
        assert!(html.contains("insufficient:"));
        assert!(!html.contains("http://") && !html.contains("https://"));
    }

    #[test]
    fn a_comparison_names_its_files_and_shows_the_test() {
        let documents = [
            ("a<b>.json".to_owned(), document(0.2)),
            ("c.json".to_owned(), document(0.4)),
        ];
        let table = compare(&documents, &Bootstrap::default(), None).unwrap();
        let html = comparison_page(&table);
        assert!(html.contains("a&lt;b&gt;.json") && html.contains("tar@far=0.01: [2] − [1]"));
    }
}
