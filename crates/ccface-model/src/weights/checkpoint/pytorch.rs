//! PyTorch's own files, through a reader that interprets pickle and executes nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use pytorch_reader::{DType, PickleError, PickleValue, PytorchError, PytorchReader};

use super::{Float, Place, Stored};
use crate::ModelError;

/// Modules whose functions a weight file has no business to call.
const FORBIDDEN_MODULES: [&str; 22] = [
    "os",
    "posix",
    "nt",
    "subprocess",
    "sys",
    "shutil",
    "socket",
    "importlib",
    "runpy",
    "pty",
    "ctypes",
    "marshal",
    "webbrowser",
    "commands",
    "popen2",
    "code",
    "timeit",
    "pdb",
    "multiprocessing",
    "urllib",
    "requests",
    "http",
];

/// Built-in functions of the same kind.
const FORBIDDEN_BUILTINS: [&str; 10] = [
    "eval",
    "exec",
    "execfile",
    "compile",
    "open",
    "getattr",
    "setattr",
    "__import__",
    "globals",
    "breakpoint",
];

/// The tensors of a PyTorch file by their dotted path through its dictionaries.
pub(super) fn tensors(path: &Path) -> Result<BTreeMap<String, Stored>, ModelError> {
    let refuse = |error: PytorchError| in_words(path, &error);
    let value = PytorchReader::read_pickle_data(path, None).map_err(refuse)?;
    if let Some(call) = forbidden(&value) {
        return Err(ModelError::weight_file(
            path,
            format!(
                "asks Python to call {call} when it is opened, which no weights need; it is refused and nothing was \
                 run: do not trust this file"
            ),
        ));
    }
    if let PickleValue::Unsupported(kind) = &value {
        let mend = match kind.as_str() {
            "torch.Tensor" => "save it by name, as in torch.save({\"weight\": tensor}, path)",
            _ => "save its state_dict() instead",
        };
        return Err(ModelError::weight_file(
            path,
            format!("holds a {kind} instead of named tensors: {mend}"),
        ));
    }
    drop(value);
    let reader = PytorchReader::new(path).map_err(refuse)?;
    Ok(reader
        .into_tensors()
        .into_iter()
        .map(|(name, tensor)| {
            let float = match tensor.dtype() {
                DType::F64 => Some(Float::F64),
                DType::F32 => Some(Float::F32),
                DType::F16 => Some(Float::F16),
                DType::BF16 => Some(Float::Bf16),
                _ => None,
            };
            let stored = Stored {
                shape: tensor.shape().to_vec(),
                float,
                place: Place::PyTorch(tensor),
            };
            (name, stored)
        })
        .collect())
}

/// The first function in the file that would do something when Python opened it.
fn forbidden(value: &PickleValue) -> Option<String> {
    match value {
        PickleValue::Unsupported(name) => {
            let (module, function) = name.rsplit_once('.').unwrap_or(("", name));
            let root = module.split('.').next().unwrap_or("");
            let builtin = matches!(root, "builtins" | "__builtin__")
                && FORBIDDEN_BUILTINS.contains(&function);
            (builtin || FORBIDDEN_MODULES.contains(&root)).then(|| name.clone())
        }
        PickleValue::List(items) => items.iter().find_map(forbidden),
        PickleValue::Dict(items) => items.values().find_map(forbidden),
        _ => None,
    }
}

fn in_words(path: &Path, error: &PytorchError) -> ModelError {
    let reason = match error {
        PytorchError::Io(e) | PytorchError::Tar(e) | PytorchError::Pickle(PickleError::Io(e))
            if e.kind() == io::ErrorKind::UnexpectedEof =>
        {
            format!("ends in the middle ({e}): download or copy it again")
        }
        PytorchError::Zip(e) => {
            format!("is a truncated or damaged PyTorch archive ({e}): download or copy it again")
        }
        PytorchError::Pickle(e) => format!("holds a pickle that is not read: {e}"),
        PytorchError::InvalidFormat(reason) => format!(
            "is no weight file that is read here ({reason}); give a PyTorch .pt, .pth or .ckpt, or a .safetensors file"
        ),
        other => format!("cannot be read: {other}"),
    };
    ModelError::weight_file(path, reason)
}
