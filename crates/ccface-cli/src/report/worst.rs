//! The comparisons that went most wrong, as pictures side by side.

use ccface_data::FaceImage;
use ccface_eval::{WorstError, WorstErrors};

use super::{
    html::{Element, div, el, span},
    numbers::cosine,
    page::lead,
    picture::picture,
};

/// The faces of the worst errors, in the order of [`WorstErrors`]; `None` where a picture cannot be had.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorstFaces {
    /// Both faces of every false match.
    pub false_matches: Vec<[Option<FaceImage>; 2]>,
    /// Both faces of every false non-match.
    pub false_non_matches: Vec<[Option<FaceImage>; 2]>,
}

/// Both kinds of errors; pictures where there are some, names and rows otherwise.
pub(crate) fn worst_errors(worst: &WorstErrors, faces: &WorstFaces) -> Vec<Element> {
    let place = match worst.at.strip_prefix("far=").map(str::parse::<f64>) {
        Some(Ok(far)) => format!("FMR {}\u{a0}%", 100.0 * far),
        _ => "the equal error rate".into(),
    };
    let told = format!(
        "At the threshold {} of {place}, of each probe at most one pair. Look for wrong labels first: a mistake in the data set shows here before anywhere else.",
        cosine(worst.threshold)
    );
    vec![
        lead(&told),
        list(
            "Two people taken for one",
            "No false match at this threshold.",
            &worst.false_matches,
            &faces.false_matches,
        ),
        list(
            "One person taken for two",
            "No false non-match at this threshold.",
            &worst.false_non_matches,
            &faces.false_non_matches,
        ),
    ]
}

fn list(
    title: &str,
    none: &str,
    errors: &[WorstError],
    faces: &[[Option<FaceImage>; 2]],
) -> Element {
    let section = el("section")
        .attr("class", "worst")
        .push(el("h3").text(title));
    if errors.is_empty() {
        return section.push(el("p").attr("class", "caption").text(none));
    }
    let pairs = errors.iter().enumerate().map(|(i, error)| {
        let names = error.names.clone().unwrap_or_else(|| {
            (
                format!("probe row {}", error.probe),
                format!("gallery row {}", error.gallery),
            )
        });
        let shown = faces.get(i).map(|pair| {
            let both = [(&pair[0], &names.0), (&pair[1], &names.1)];
            div("pair").extend(
                both.into_iter()
                    .filter_map(|(face, name)| Some(picture(face.as_ref()?, name))),
            )
        });
        el("li")
            .extend(shown)
            .push(el("b").text(cosine(error.score)))
            .push(span("name", &names.0))
            .push(span("name", &names.1))
    });
    section.push(el("ol").extend(pairs))
}
