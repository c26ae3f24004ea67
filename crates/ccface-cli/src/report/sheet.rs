//! The contact sheet: a few people at full resolution and at each probe size.

use ccface_data::{
    FaceImage,
    degrade::{Kernel, lr_view, resize},
};

use super::{
    html::{Element, div, el, span},
    material::Material,
    page::{scroll, switch},
    picture::picture,
};

/// The most sizes that a sheet shows.
const COLUMNS: usize = 8;

/// `people` persons, a row each.
pub(crate) fn sheet(material: &Material<'_>, people: usize) -> Element {
    let images = spread(&first_images(material), people);
    let sizes: Vec<usize> = material
        .sizes
        .iter()
        .rev()
        .copied()
        .filter(|size| !material.is_full_size(*size))
        .collect();
    let sizes = spread(&sizes, COLUMNS);
    let side = material.subject().facts().input.size;
    let network = table(material, &images, &sizes, "smooth", &|face, size| {
        lr_view(face, size, side)
    });
    let camera = table(material, &images, &sizes, "pixels", &|face, size| {
        resize(
            face,
            size.min(face.width),
            size.min(face.height),
            Kernel::Area,
        )
    });
    switch(
        "sheet",
        vec![
            ("What the network sees", network),
            ("The pixels alone", camera),
        ],
    )
}

/// Of each person the first image.
fn first_images(material: &Material<'_>) -> Vec<usize> {
    let labels = &material.evaluation().labels;
    let mut seen = std::collections::HashSet::new();
    (0..labels.len())
        .filter(|image| seen.insert(labels[*image]))
        .collect()
}

/// At most `most` of the items, spread evenly, both ends among them.
fn spread(items: &[usize], most: usize) -> Vec<usize> {
    if items.len() <= most {
        return items.to_vec();
    }
    let last = most.saturating_sub(1).max(1);
    (0..most)
        .map(|i| items[i * (items.len() - 1) / last])
        .collect()
}

fn table(
    material: &Material<'_>,
    images: &[usize],
    sizes: &[usize],
    class: &str,
    view: &dyn Fn(&FaceImage, usize) -> FaceImage,
) -> Element {
    let faces = material.faces();
    let head = el("tr")
        .push(el("th").attr("scope", "col").text("person"))
        .push(el("th").attr("scope", "col").text("full"))
        .extend(sizes.iter().map(|size| {
            el("th")
                .attr("scope", "col")
                .text(format!("{size}\u{a0}px"))
        }));
    let row = |image: &usize| {
        let (face, person) = (&faces[*image], material.person(*image));
        let cell = |picture: Element| el("td").push(picture);
        el("tr")
            .push(
                el("th")
                    .attr("scope", "row")
                    .push(span("who", person).attr("title", &material.evaluation().names[*image])),
            )
            .push(cell(picture(face, &format!("{person}, full resolution"))))
            .extend(
                sizes
                    .iter()
                    .map(|size| cell(picture(&view(face, *size), &format!("{person}, {size} px")))),
            )
    };
    let table = el("table")
        .attr(
            "class",
            format!("sheet {class}{}", if sizes.len() < 6 { " few" } else { "" }),
        )
        .push(el("thead").push(head))
        .push(el("tbody").extend(images.iter().map(row)));
    div("sheet-box").push(scroll("Contact sheet", table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::evaluation;

    #[test]
    fn a_spread_keeps_both_ends_and_the_number() {
        assert_eq!(spread(&[1, 2, 3], 5), [1, 2, 3]);
        assert_eq!(
            spread(&(0..20).collect::<Vec<_>>(), 6),
            [0, 3, 7, 11, 15, 19]
        );
        assert_eq!(spread(&[4, 5], 1), [4]);
    }

    #[test]
    fn the_sheet_has_a_row_a_person_and_a_column_a_size_below_full() {
        let evaluation = evaluation(&[8, 12, 32], true);
        let sheet = sheet(&Material::of_one(&evaluation), 3).to_string();
        // Three people, full resolution and 8 and 12 px, in two versions; 32 px is the faces' own size.
        assert_eq!(sheet.matches("<img ").count(), 3 * 3 * 2);
        assert!(sheet.contains("12\u{a0}px") && !sheet.contains(">32\u{a0}px<"));
    }
}
