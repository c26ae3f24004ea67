//! `ccface evaluate embeddings`.

use ccface_eval::{evaluate_embeddings, read_embedding_set};

use super::evaluation_output::{settings, write};
use crate::{CliError, cli::EmbeddingsArgs};

pub(crate) fn run(args: &EmbeddingsArgs) -> Result<(), CliError> {
    let config = settings(&args.options)?;
    let probe = read_embedding_set(&args.probe, &args.probe_labels)?;
    let gallery = match (&args.gallery, &args.gallery_labels) {
        (Some(rows), Some(labels)) => Some(read_embedding_set(rows, labels)?),
        _ => None,
    };
    let mut document = evaluate_embeddings(probe, gallery, &config)?;
    document.protocol.alignment = Some("unknown: embeddings were given".into());
    write(&mut document, &args.options)
}
