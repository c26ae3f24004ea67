//! `ccface devices`.

use ccface_train::{Backend, DeviceSpec};

use crate::output;

pub(crate) fn run() {
    let mut text = String::from("device    compiled in  usable here\n");
    for backend in Backend::ALL {
        let (compiled, usable) = if backend.compiled_in() {
            let spec = DeviceSpec {
                backend,
                index: None,
            };
            (
                "yes",
                match spec.resolve() {
                    Ok(_) => "yes".to_string(),
                    Err(error) => format!("no: {error}"),
                },
            )
        } else {
            ("no", format!("build with --features {}", backend.name()))
        };
        text += &format!("{:<9} {compiled:<12} {usable}\n", backend.name());
    }
    output::result(&text);
}
