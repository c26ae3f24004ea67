//! What a source holds, as a page with a contact sheet.

use ccface_data::{FaceImage, Inspection};

use super::{
    html::{Element, div, el, span},
    page::{Section, document, lead, scroll},
    picture::picture,
};
use crate::output::first_names;

/// Faces in a row of the contact sheet.
const ACROSS: usize = 6;
/// Most rows of one list.
const LISTED: usize = 200;

/// The page of an inspection; `faces` are identities with one picture of each.
pub(crate) fn inspection_report(
    source: &str,
    found: &Inspection,
    faces: &[(String, FaceImage)],
) -> String {
    let counts = [
        ("images", found.images),
        ("identities", found.identities),
        ("identities with one image", found.single_image_identities),
        ("duplicates", found.duplicates),
        (
            "duplicates under another identity",
            found.duplicates_across_identities,
        ),
        ("unreadable", found.unreadable.len()),
        ("left out on opening", found.rejected.len()),
    ];
    let each = found.images_per_identity;
    let counts = counts
        .into_iter()
        .map(|(what, n)| (what.to_string(), n.to_string()))
        .chain([(
            "images per identity".to_string(),
            format!(
                "{} to {}, median {}, mean {:.2}",
                each.min, each.max, each.median, each.mean
            ),
        )]);
    let frequent = |counts: &std::collections::BTreeMap<String, usize>| {
        let mut rows: Vec<_> = counts.iter().map(|(name, n)| (name.clone(), *n)).collect();
        rows.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        rows.into_iter()
            .take(LISTED)
            .map(|(name, n)| (name, n.to_string()))
            .collect::<Vec<_>>()
    };
    let bad = found
        .unreadable
        .iter()
        .map(|b| (b.name.clone(), b.reason.to_string()));
    let rejected = found
        .rejected
        .iter()
        .map(|r| (r.name.clone(), r.reason.to_string()));
    let bad: Vec<_> = bad.chain(rejected).take(LISTED).collect();
    let equal: Vec<_> = found
        .duplicate_groups
        .iter()
        .take(LISTED)
        .filter_map(|set| Some((set.first()?.clone(), first_names(&set[1..], ", "))))
        .collect();
    let mut sections = vec![
        Section::new(
            "faces",
            "Faces",
            "Faces",
            vec![
                lead("One picture of each person, people spread evenly over the source."),
                sheet(faces),
            ],
        ),
        Section::new("counts", "Counts", "Counts", vec![list("Counts", counts)]),
        Section::new(
            "sizes",
            "Sizes",
            "Width × height",
            vec![list("Sizes", frequent(&found.sizes))],
        ),
    ];
    if !found.groups.is_empty() {
        sections.push(Section::new(
            "groups",
            "Groups",
            "Images of each group",
            vec![list("Groups", frequent(&found.groups))],
        ));
    }
    if !equal.is_empty() {
        sections.push(Section::new(
            "duplicates",
            "Duplicates",
            "Equal byte for byte",
            vec![list("Duplicates", equal)],
        ));
    }
    if !bad.is_empty() {
        sections.push(Section::new(
            "unusable",
            "Unusable",
            "What cannot be used",
            vec![
                lead("Only headers were read; `ccface data verify` decodes everything."),
                list("Unusable", bad),
            ],
        ));
    }
    let summary = vec![el("p").attr("class", "headline").text(format!(
        "{} images of {} identities",
        found.images, found.identities
    ))];
    document(
        source,
        "Inspection of a source of faces",
        summary,
        sections,
        &format!("Hash of the source: {}", found.hash),
    )
}

/// Two columns.
fn list(title: &str, rows: impl IntoIterator<Item = (String, String)>) -> Element {
    let rows = rows
        .into_iter()
        .flat_map(|(what, value)| [el("dt").text(what), el("dd").text(value)]);
    div("facts").push(
        el("section")
            .attr("aria-label", title)
            .push(el("dl").extend(rows)),
    )
}

fn sheet(faces: &[(String, FaceImage)]) -> Element {
    let rows = faces.chunks(ACROSS).map(|row| {
        el("tr").extend(row.iter().map(|(name, face)| {
            el("td")
                .push(picture(face, name))
                .push(span("who", name).attr("title", name))
        }))
    });
    let table = el("table")
        .attr("class", "sheet smooth")
        .push(el("tbody").extend(rows));
    div("sheet-box").push(scroll("Contact sheet", table))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ccface_data::{inspect, source::MemorySource};

    #[test]
    fn the_page_counts_shows_faces_and_escapes_names() {
        let mut source = MemorySource::default();
        source.push("<b>ann</b>", "1", image::RgbImage::new(9, 9));
        source.push("ben", "1", image::RgbImage::new(9, 9));
        let found = inspect(&source).unwrap();
        let face = FaceImage::filled(9, 9, 40.0);
        let page = inspection_report("set <1>", &found, &[("<b>ann</b>".into(), face)]);
        assert!(page.contains("2 images of 2 identities") && page.contains("9x9"));
        assert!(page.contains("Equal byte for byte"));
        assert_eq!(page.matches("<img ").count(), 1);
        assert!(!page.contains("<b>ann") && !page.contains("set <1>"));
    }
}
