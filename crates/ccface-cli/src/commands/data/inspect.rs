//! `ccface data inspect`.

use std::{collections::BTreeMap, fmt::Write};

use ccface_data::{
    FaceImage, FaceSource, Selection, SizeDistribution,
    inspect::{Inspection, Overlap, inspect, overlap},
    source::by_identity,
};
use serde::Serialize;

use crate::{CliError, cli::InspectArgs, output, report};

/// Most sizes, names or groups that the table lists.
const LISTED: usize = 12;

/// The result, and what it shares with another source.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    found: &'a Inspection,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared: Option<&'a Overlap>,
}

pub(crate) fn run(args: &InspectArgs) -> Result<(), CliError> {
    let source = super::open_source(&args.source)?;
    output::note(&format!("reading {} images", source.len()));
    let found = inspect(source.as_ref())?;
    let shared = match &args.against {
        Some(path) => {
            let other = super::open_at(path, args.against_split.clone(), Selection::All)?;
            Some(overlap(source.as_ref(), other.as_ref())?)
        }
        None => None,
    };
    if let Some(path) = &args.html {
        let name = args.source.source.display().to_string();
        let faces = faces(source.as_ref(), args.people);
        output::write_to(path, &report::inspection_report(&name, &found, &faces))?;
        output::note(&format!("page: {}", path.display()));
    }
    if let Some(path) = &args.json {
        let document = Document {
            found: &found,
            shared: shared.as_ref(),
        };
        output::write_to(path, &output::json(&document)?)?;
        if path.as_os_str() == "-" {
            return Ok(());
        }
    }
    output::result(&table(&found, shared.as_ref()));
    Ok(())
}

/// The first picture that can be read of each of `people` identities, spread evenly.
fn faces(source: &dyn FaceSource, people: usize) -> Vec<(String, FaceImage)> {
    let members = by_identity(source);
    super::preview::spread(members.len(), people)
        .filter_map(|label| {
            let picture = members[label].iter().find_map(|i| source.image(*i).ok())?;
            Some((
                source.identities()[label].clone(),
                FaceImage::from_rgb8(&picture),
            ))
        })
        .collect()
}

fn table(found: &Inspection, shared: Option<&Overlap>) -> String {
    let mut text = String::new();
    for (what, value) in summary(found) {
        let _ = writeln!(text, "{what:<32}{value}");
    }
    counted(&mut text, "size", &found.sizes);
    counted(&mut text, "group", &found.groups);
    for set in found.duplicate_groups.iter().take(LISTED) {
        let _ = writeln!(text, "equal: {}", output::first_names(set, " = "));
    }
    let bad = found.unreadable.iter().map(|b| (&b.name, &b.reason));
    let rejected = found.rejected.iter().map(|r| (&r.name, &r.reason));
    for (name, reason) in bad.chain(rejected).take(LISTED) {
        let _ = writeln!(text, "unusable: {name}: {reason}");
    }
    if let Some(shared) = shared {
        let _ = writeln!(
            text,
            "shared identities               {}",
            shared.identities.len()
        );
        let _ = writeln!(
            text,
            "shared images                   {}",
            shared.images.len()
        );
        for name in shared.identities.iter().take(LISTED) {
            let _ = writeln!(text, "shared identity: {name}");
        }
        for (here, there) in shared.images.iter().take(LISTED) {
            let _ = writeln!(text, "shared image: {here} = {there}");
        }
    }
    output::printable(&text)
}

/// The counts in words.
fn summary(found: &Inspection) -> Vec<(&'static str, String)> {
    let each = found.images_per_identity;
    let mut rows = vec![
        ("images", found.images.to_string()),
        ("identities", found.identities.to_string()),
        (
            "images per identity",
            format!(
                "{} to {}, median {}, mean {:.2}",
                each.min, each.max, each.median, each.mean
            ),
        ),
        (
            "identities with one image",
            found.single_image_identities.to_string(),
        ),
    ];
    if let SizeDistribution::Histogram { sizes, .. } = &found.face_sizes
        && let (Some(min), Some(max)) = (sizes.iter().min(), sizes.iter().max())
    {
        rows.push(("shorter side in pixels", format!("{min} to {max}")));
    }
    rows.extend([
        ("duplicates", found.duplicates.to_string()),
        (
            "  under another identity",
            found.duplicates_across_identities.to_string(),
        ),
        ("unreadable", found.unreadable.len().to_string()),
        ("left out on opening", found.rejected.len().to_string()),
        ("hash", found.hash.clone()),
    ]);
    rows
}

/// The most frequent entries.
fn counted(text: &mut String, what: &str, counts: &BTreeMap<String, usize>) {
    let mut rows: Vec<_> = counts.iter().collect();
    rows.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    for (name, count) in rows.iter().take(LISTED) {
        let _ = writeln!(text, "{:<32}{count}", format!("{what} {name}"));
    }
    if rows.len() > LISTED {
        let _ = writeln!(text, "and {} more", rows.len() - LISTED);
    }
}
