//! `ccface data rebuild-index`.

use std::path::Path;

use ccface_data::source::rebuild_index;

use crate::{CliError, output};

pub(crate) fn run(file: &Path) -> Result<(), CliError> {
    if !file
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("rec"))
    {
        return Err(CliError::Usage(format!(
            "{}: not a .rec file; name the record file whose index is to be written",
            file.display()
        )));
    }
    let (index, records) = rebuild_index(file)?;
    output::result(&output::printable(&format!(
        "{}: {records} records\n",
        index.display()
    )));
    Ok(())
}
