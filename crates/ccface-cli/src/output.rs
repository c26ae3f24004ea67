//! Writing results and messages.

use std::{
    fs,
    io::{self, Cursor, Write},
    path::Path,
};

use image::{ImageFormat, RgbImage};
use serde::Serialize;

use crate::{CliError, log_lines::LogLines};

/// Starts logging to standard error: warnings, or everything from this project with `--verbose`.
pub(crate) fn start_logging(verbose: bool) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(log::LevelFilter::Error);
    let level = if verbose {
        log::LevelFilter::Debug
    } else {
        log::LevelFilter::Warn
    };
    for crate_name in [
        "ccface_cli",
        "ccface_train",
        "ccface_data",
        "ccface_model",
        "ccface_eval",
    ] {
        builder.filter_module(crate_name, level);
    }
    builder.target(env_logger::Target::Pipe(Box::new(LogLines)));
    // A second start in one process (tests) keeps the first.
    let _ = builder.format_timestamp(None).try_init();
}

/// One line on standard error.
pub(crate) fn error_line(text: &str) {
    let _ = writeln!(io::stderr(), "error: {}", printable(text));
}

/// One line of information on standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(text));
}

/// Text for a terminal: control characters out of files and names do nothing there.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// A result on standard output. A closed pipe is no error.
pub(crate) fn result(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes text to a file, or to standard output for `-`.
pub(crate) fn write_to(path: &Path, text: &str) -> Result<(), CliError> {
    if path.as_os_str() == "-" {
        result(text);
        return Ok(());
    }
    write_bytes(path, text.as_bytes())
}

/// Writes a file whole or not at all, with the folders above it.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(CliError::io(parent, "create"))?;
    }
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, bytes).map_err(CliError::io(&temporary, "write"))?;
    fs::rename(&temporary, path).map_err(CliError::io(path, "write"))
}

/// A picture as the bytes of a PNG file.
pub(crate) fn png(picture: &RgbImage) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    picture
        .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
        .map_err(|e| CliError::Usage(format!("the picture cannot be written as PNG: {e}")))?;
    Ok(bytes)
}

/// A result as JSON text with a line end.
pub(crate) fn json(value: &impl Serialize) -> Result<String, CliError> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|e| CliError::Usage(format!("the result cannot be written as JSON: {e}")))?;
    text.push('\n');
    Ok(text)
}

/// The first names of a list that may be long, and how many more there are.
pub(crate) fn first_names(names: &[String], separator: &str) -> String {
    const SHOWN: usize = 6;
    let mut text = names[..names.len().min(SHOWN)].join(separator);
    if names.len() > SHOWN {
        text += &format!("{separator}{} more", names.len() - SHOWN);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_in_names_are_defused() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\u{fffd}[31mb\n");
    }

    #[test]
    fn long_lists_of_names_are_cut() {
        let names: Vec<String> = (0..9).map(|i| i.to_string()).collect();
        assert_eq!(first_names(&names[..2], " = "), "0 = 1");
        assert_eq!(first_names(&names, ", "), "0, 1, 2, 3, 4, 5, 3 more");
        assert_eq!(first_names(&[], ", "), "");
    }
}
