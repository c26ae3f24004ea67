//! A checkpoint's tensors against those that a network needs.

use std::collections::{BTreeMap, BTreeSet};

use super::super::safetensors::shortened;
use super::{Names, Origin, Plan, head};
use crate::ModelError;

/// How alike two names must be to be called near.
const NEAR: f64 = 0.6;

/// Compares, and counts the tensors that belong to something else.
pub(super) fn check(names: &Names<'_>, plan: &Plan) -> Result<BTreeMap<String, usize>, ModelError> {
    let mut problems = plan.problems.clone();
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    let mut missing: Vec<(String, &[usize])> = Vec::new();
    let mut misshapen = Vec::new();
    for (_, _, origin) in &plan.origins {
        let (name, shape, optional) = match origin {
            Origin::Tensor { name, shape } => (name, shape, false),
            Origin::Optional { name, shape, .. } => (name, shape, true),
            Origin::Constant(_) | Origin::Identity => continue,
        };
        let full = names.full(name);
        match names.checkpoint.shape(&full) {
            None if !optional => missing.push((full.clone(), shape)),
            None => {}
            Some(found) if found != shape.as_slice() => {
                misshapen.push(format!("{full}: found {found:?}, expected {shape:?}"));
            }
            Some(_) if !names.checkpoint.is_float(&full) => {
                misshapen.push(format!("{full}: holds no floating-point numbers"));
            }
            Some(_) => {}
        }
        wanted.insert(full);
    }
    let mut unknown: Vec<(&str, &[usize])> = Vec::new();
    let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
    for (name, shape) in names.checkpoint.tensors() {
        if wanted.contains(name) || name.ends_with(".num_batches_tracked") {
            continue;
        }
        let inside = name
            .strip_prefix(names.prefix)
            .filter(|rest| !head::is_named_head(rest));
        match inside {
            Some(_) => unknown.push((name, shape)),
            None => {
                let group = name.split('.').next().unwrap_or(name).to_string();
                *left_out.entry(group).or_default() += 1;
            }
        }
    }
    // With an empty prefix everything is inside; a file of whole dictionaries then lists its others as unknown too.
    problems.extend(missing.iter().map(|(name, shape)| {
        let near = nearest(name, unknown.iter().map(|(n, s)| (*n, *s)), shape);
        format!("{name}: missing, expected {shape:?}{near}")
    }));
    problems.extend(unknown.iter().map(|(name, shape)| {
        let open = missing.iter().map(|(n, s)| (n.as_str(), *s));
        format!(
            "{name}: unknown, found {shape:?}{}",
            nearest(name, open, shape)
        )
    }));
    problems.extend(misshapen);
    if problems.is_empty() {
        return Ok(left_out);
    }
    Err(ModelError::WeightMismatch {
        path: names.checkpoint.path().to_path_buf(),
        architecture: plan.architecture.describe(),
        problems: shortened(problems),
    })
}

/// The most similar name, in words; one of the same shape is preferred.
fn nearest<'a>(
    name: &str,
    others: impl Iterator<Item = (&'a str, &'a [usize])>,
    shape: &[usize],
) -> String {
    let best = others
        .map(|(other, its)| {
            let bonus = if its == shape { 0.1 } else { 0.0 };
            (strsim::normalized_levenshtein(name, other) + bonus, other)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((likeness, other)) if likeness >= NEAR => format!("; nearest: {other}"),
        _ => String::new(),
    }
}
