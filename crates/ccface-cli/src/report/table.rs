//! The figures as tables.

use ccface_eval::{CollapseResult, PairingResult, Rate};

use super::{
    html::{Element, div, el, span},
    material::Material,
    numbers::{cell, cosine, count, target},
    page::scroll,
};

/// What one pairing gives at each size.
type Group<'a> = (String, &'static str, Vec<(usize, &'a PairingResult)>);

/// Every pairing at every size.
pub(crate) fn pairings(material: &Material<'_>) -> Element {
    let several = material.contenders.len() > 1;
    let mut groups: Vec<Group<'_>> = material
        .contenders
        .iter()
        .rev()
        .map(|c| {
            let name = if several {
                format!("{0} – {0}", c.name)
            } else {
                c.name.clone()
            };
            (
                name,
                "probe and gallery by the same encoder",
                at_sizes(material, |size| c.at(size)),
            )
        })
        .collect();
    let crossed = (
        "student – teacher".to_owned(),
        "student probe, teacher gallery: no re-enrolment",
        at_sizes(material, |s| material.crossed(s)),
    );
    groups.insert(1, crossed);
    groups.retain(|(_, _, results)| !results.is_empty());
    let head = [
        "face size",
        "EER",
        "TAR@FAR\u{a0}1\u{a0}%",
        "TAR@FAR\u{a0}0.1\u{a0}%",
        "rank\u{a0}1",
        "genuine",
        "impostor",
    ];
    let body = groups.iter().map(|(name, told, results)| {
        el("tbody")
            .push(heading(name, told, head.len()))
            .extend(results.iter().map(|(size, r)| {
                el("tr")
                    .push(
                        el("th")
                            .attr("scope", "row")
                            .text(format!("{size}\u{a0}px")),
                    )
                    .push(number(cell(r.eer)))
                    .push(rate(&r.tar_1e2))
                    .push(rate(&r.tar_1e3))
                    .push(rate(&r.rank1))
                    .push(number(count(r.genuine)))
                    .push(number(count(r.impostor)))
            }))
    });
    let table = el("table")
        .attr("class", "figures")
        .push(header(&head))
        .extend(body);
    div("").push(scroll("Results by pairing and size", table)).push(el("p").attr("class", "caption").text(
        "All rates in per cent. Small print: naive 95\u{a0}% intervals (Wilson), which take comparisons for independent; they share people, so the true uncertainty is larger. † fewer than 30 errors stand behind the figure: low confidence.",
    ))
}

/// LR against LR: what becomes of strangers.
pub(crate) fn collapse(material: &Material<'_>) -> Option<Element> {
    let groups = material.contenders.iter().rev().map(|c| {
        let results: Vec<(usize, &CollapseResult)> = material
            .sizes
            .iter()
            .filter_map(|s| Some((*s, c.collapse(*s)?)))
            .collect();
        (c.name.clone(), results)
    });
    let groups: Vec<_> = groups.filter(|(_, results)| !results.is_empty()).collect();
    if groups.is_empty() {
        return None;
    }
    let head = [
        "face size",
        "EER",
        "FMR at HR threshold",
        "FNMR at HR threshold",
        "mean impostor cosine",
        "HR threshold",
        "genuine",
        "impostor",
    ];
    let body = groups.iter().map(|(name, results)| {
        el("tbody")
            .push(heading(name, "both faces small", head.len()))
            .extend(results.iter().map(|(size, r)| {
                el("tr")
                    .push(
                        el("th")
                            .attr("scope", "row")
                            .text(format!("{size}\u{a0}px")),
                    )
                    .push(number(cell(r.eer)))
                    .push(number(cell(r.fmr_at_hr_threshold)))
                    .push(number(cell(r.fnmr_at_hr_threshold)))
                    .push(number(cosine(r.mean_impostor_cosine)))
                    .push(number(cosine(r.hr_threshold)))
                    .push(number(count(r.genuine)))
                    .push(number(count(r.impostor)))
            }))
    });
    let table = el("table")
        .attr("class", "figures")
        .push(header(&head))
        .extend(body);
    let wanted = target(material.result().protocol.hr_fmr);
    Some(div("").push(scroll("LR against LR", table)).push(el("p").attr("class", "caption").text(format!(
        "EER, FMR and FNMR in per cent. The threshold is fixed on full-resolution faces at FMR\u{a0}{wanted}; an FMR far above {wanted} here means that small faces of strangers gather in one place (collapse)."
    ))))
}

fn at_sizes<'a>(
    material: &Material<'_>,
    result: impl Fn(usize) -> Option<&'a PairingResult>,
) -> Vec<(usize, &'a PairingResult)> {
    material
        .sizes
        .iter()
        .filter_map(|size| Some((*size, result(*size)?)))
        .collect()
}

pub(super) fn header(titles: &[&str]) -> Element {
    let cells = titles
        .iter()
        .map(|title| el("th").attr("scope", "col").text(title));
    el("thead").push(el("tr").extend(cells))
}

fn heading(name: &str, told: &str, columns: usize) -> Element {
    let cell = el("th").attr("scope", "rowgroup").attr("colspan", columns);
    el("tr").attr("class", "group").push(
        cell.push(
            span("stay", "")
                .push(el("b").text(name))
                .push(span("note", told)),
        ),
    )
}

pub(super) fn number(text: String) -> Element {
    el("td").text(text)
}

pub(super) fn rate(rate: &Rate) -> Element {
    match rate {
        Rate::Measured {
            value,
            low,
            high,
            low_confidence,
            ..
        } => {
            let value = el("div").text(cell(*value));
            let value = if *low_confidence {
                value
                    .push(span("dagger", "†").attr("title", "low confidence: fewer than 30 errors"))
            } else {
                value
            };
            el("td").push(value).push(div("interval").text(format!(
                "{}–{}",
                cell(*low),
                cell(*high)
            )))
        }
        Rate::Insufficient { insufficient } => el("td")
            .attr("class", "insufficient")
            .push(el("div").text("insufficient:"))
            .push(el("div").text(insufficient)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::evaluation;

    #[test]
    fn a_rate_shows_its_interval_its_mark_or_its_reason() {
        let sure = rate(&Rate::from_counts(900, 1000, 0.95)).to_string();
        assert!(sure.contains("90.00") && sure.contains("interval") && !sure.contains('†'));
        assert!(
            rate(&Rate::from_counts(990, 1000, 0.95))
                .to_string()
                .contains('†')
        );
        let none = rate(&Rate::insufficient("only 10 < 100 impostors")).to_string();
        assert!(none.contains("insufficient:") && none.contains("only 10 &lt; 100 impostors"));
    }

    #[test]
    fn every_pairing_and_size_has_its_row() {
        let with = evaluation(&[8, 16, 32], true);
        assert_eq!(
            pairings(&Material::of_one(&with))
                .to_string()
                .matches("scope=\"row\"")
                .count(),
            9
        );
        let alone = evaluation(&[8, 16], false);
        let html = pairings(&Material::of_one(&alone)).to_string();
        assert_eq!(html.matches("scope=\"row\"").count(), 2);
        assert!(!html.contains("teacher"));
        assert_eq!(
            collapse(&Material::of_one(&with))
                .map(|t| t.to_string().matches("scope=\"row\"").count()),
            Some(6)
        );
    }
}
