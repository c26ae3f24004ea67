//! What the figures rest on.

use ccface_model::{Alignment, Colour};
use ccface_train::faces::NetworkFacts;

use super::{
    html::{Element, div, el, span},
    material::Material,
    numbers::{count, counted, target},
};

/// The most identity names that a page lists.
const NAMES: usize = 1000;
/// Fewer people than this are called a small set.
const SMALL_SET: usize = 1000;

/// Every fact about data, protocol, networks and program.
pub(crate) fn protocol(material: &Material<'_>) -> Element {
    let facts = &material.result().protocol;
    let identities = el("div")
        .text(count(facts.identities))
        .push(names(&facts.identity_names));
    let data = list(
        "Data and protocol",
        vec![
            ("protocol", text(&facts.name)),
            ("data", text(&facts.data)),
            ("data hash", hash(&facts.data_hash)),
            ("identities", identities),
            ("images", text(count(facts.images))),
            ("degradation", text(&facts.degradation)),
            ("alignment", text(&facts.alignment)),
            ("flip and fusion", text(&facts.fusion)),
            ("threshold rule", text(&facts.threshold_rule)),
            ("FMR of the HR threshold", text(target(facts.hr_fmr))),
            (
                "sizes",
                text(
                    material
                        .sizes
                        .iter()
                        .map(|s| format!("{s}\u{a0}px"))
                        .collect::<Vec<_>>()
                        .join(", "),
                ),
            ),
        ],
    );
    let networks = material.contenders.iter().rev().map(|c| {
        let several = material.contenders.len() > 1;
        let title = if several {
            format!("Network: {}", c.name)
        } else {
            "Network".into()
        };
        network(&title, c.facts())
    });
    let result = material.result();
    let program = list(
        "Program",
        vec![
            ("ccface", text(&result.ccface_version)),
            ("schema of the figures", text(result.schema_version)),
        ],
    );
    div("facts").push(data).extend(networks).push(program)
}

/// What a reader has to know before using the figures.
pub(crate) fn caution(material: &Material<'_>) -> Element {
    let facts = &material.result().protocol;
    div("caution").push(el("p").push(el("b").text("Read with care. ")).text(format!(
        "These are research figures on {}set ({} of {}); other cameras, people and crops give other figures. A match is a candidate for review by a person, never an identification by itself. Faces must come aligned as the network expects; these figures say nothing of unaligned crops.",
        if facts.identities < SMALL_SET { "a small " } else { "one " },
        counted(facts.images, "image", "images"),
        counted(facts.identities, "person", "people"),
    )))
}

fn network(title: &str, facts: &NetworkFacts) -> Element {
    let input = &facts.input;
    let colour = match input.colour {
        Colour::Rgb => "RGB",
        Colour::Bgr => "BGR",
    };
    let alignment = match input.alignment {
        Alignment::Arcface112 => "ArcFace’s five points, scaled from 112×112",
        Alignment::None => "none",
    };
    let scale = format!("(x − {}) / {}", three(&input.mean), three(&input.std));
    list(
        title,
        vec![
            ("file", text(&facts.path)),
            ("hash", hash(&facts.hash)),
            ("input", text(format!("{0}×{0}, {colour}", input.size))),
            ("scale", text(scale)),
            ("alignment", text(alignment)),
            (
                "embedding",
                text(counted(facts.embedding, "value", "values")),
            ),
            ("licence", text(&facts.licence)),
        ],
    )
}

fn three(values: &[f32; 3]) -> String {
    let [a, b, c] = values;
    if a == b && b == c {
        a.to_string()
    } else {
        format!("({a}, {b}, {c})")
    }
}

pub(super) fn list(title: &str, facts: Vec<(&'static str, Element)>) -> Element {
    let rows = facts
        .into_iter()
        .flat_map(|(name, value)| [el("dt").text(name), el("dd").push(value)]);
    el("section")
        .push(el("h3").text(title))
        .push(el("dl").extend(rows))
}

pub(super) fn text(value: impl std::fmt::Display) -> Element {
    el("span").text(value)
}

/// The start of a hash, with the whole of it to copy.
pub(super) fn hash(value: &str) -> Element {
    let short: String = value.chars().take(12).collect();
    if short.len() == value.len() {
        return el("code").text(value);
    }
    el("code").attr("title", value).text(format!("{short}…"))
}

fn names(all: &[String]) -> Element {
    let mut text = all
        .iter()
        .take(NAMES)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if all.len() > NAMES {
        text += &format!(" and {} more", count(all.len() - NAMES));
    }
    el("details")
        .push(el("summary").text("their names"))
        .push(span("", text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::evaluation;

    #[test]
    fn every_fact_stands_in_the_box() {
        let evaluation = evaluation(&[16], true);
        let html = protocol(&Material::of_one(&evaluation)).to_string();
        let (facts, result) = (&evaluation.result.protocol, &evaluation.result);
        for fact in [
            &facts.name,
            &facts.data,
            &facts.data_hash,
            &facts.degradation,
            &facts.alignment,
            &facts.fusion,
            &facts.threshold_rule,
        ] {
            assert!(
                html.contains(&format!(">{fact}<")) || html.contains(&format!("\"{fact}\"")),
                "{fact} is missing"
            );
        }
        for network in [Some(&result.model), result.teacher.as_ref()]
            .into_iter()
            .flatten()
        {
            assert!(
                html.contains(&network.hash)
                    && html.contains(&network.licence)
                    && html.contains(&network.path)
            );
        }
        assert!(
            html.contains("127.5") && html.contains("RGB") && html.contains(&result.ccface_version)
        );
    }

    #[test]
    fn long_lists_of_names_are_cut() {
        let all: Vec<String> = (0..1200).map(|i| format!("p{i}")).collect();
        let html = names(&all).to_string();
        assert!(html.contains("p999") && !html.contains("p1000") && html.contains("and 200 more"));
    }
}
