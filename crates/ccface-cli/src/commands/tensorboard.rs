//! `ccface tensorboard`.

use crate::{CliError, cli::TensorboardArgs, output};

pub(crate) fn run(args: TensorboardArgs) -> Result<(), CliError> {
    let out = args.out.unwrap_or_else(|| args.run.join("tensorboard"));
    let file = ccface_train::tensorboard::convert(&args.run, &out)?;
    output::note(&format!(
        "written: {}; next: tensorboard --logdir {}",
        file.display(),
        out.display()
    ));
    Ok(())
}
