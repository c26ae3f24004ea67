//! `ccface evaluate embeddings`.

use std::path::Path;

use ccface_eval::{EmbeddingSet, evaluate_embeddings, read_embedding_set};

use super::{
    evaluation_output::{settings, write},
    image_embeddings::finite,
};
use crate::{CliError, cli::EmbeddingsArgs, report::WorstFaces};

pub(crate) fn run(args: &EmbeddingsArgs) -> Result<(), CliError> {
    let config = settings(&args.options)?;
    let probe = read(&args.probe, &args.probe_labels)?;
    let gallery = match (&args.gallery, &args.gallery_labels) {
        (Some(rows), Some(labels)) => Some(read(rows, labels)?),
        _ => None,
    };
    let mut document = evaluate_embeddings(probe, gallery, &config)?;
    document.protocol.alignment = Some("unknown: embeddings were given".into());
    write(&mut document, &args.options, &|_| WorstFaces::default())
}

fn read(embeddings: &Path, labels: &Path) -> Result<EmbeddingSet, CliError> {
    let set = read_embedding_set(embeddings, labels)?;
    finite(embeddings, &set.data, set.dim)?;
    Ok(set)
}
