//! From the end of a process to the outcome of an attempt.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use flexcore_domain::ErrorClass;
use flexcore_ports::attempt::{AttemptError, AttemptOutcome, CommandSettings};
use flexcore_sandbox::{ExitStatus, JailExit, out_of_memory_text};
use serde_json::{Value, json};

use crate::invocation::program_name;

/// The largest output of a step; what is larger belongs in a file that the step writes.
const MAX_OUTPUT: u64 = 64 * 1024 * 1024;

/// Why what a command left as its output cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error("cannot read the command's output {file}")]
    Unreadable { file: PathBuf, source: io::Error },
    #[error(
        "the command's output {file} is not a plain file; write JSON to the path in FLEXCORE_OUTPUT"
    )]
    NotAFile { file: PathBuf },
    #[error(
        "the command's output {file} has {size} bytes, more than the {MAX_OUTPUT} that an output may have; write it to a file of its own and output that file's name"
    )]
    TooLarge { file: PathBuf, size: u64 },
    #[error("the command's output {file} is not JSON")]
    NotJson { file: PathBuf, source: serde_json::Error },
}

/// Reads the output file; `None` if the command wrote nothing.
pub(crate) fn read_output(file: &Path) -> Result<Option<Value>, OutputError> {
    let named = || file.to_owned();
    let metadata = match fs::symlink_metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OutputError::Unreadable { file: named(), source }),
    };
    // A pipe would block, a link could lead anywhere.
    if !metadata.is_file() {
        return Err(OutputError::NotAFile { file: named() });
    }
    if metadata.len() == 0 {
        return Ok(None);
    }
    if metadata.len() > MAX_OUTPUT {
        return Err(OutputError::TooLarge { file: named(), size: metadata.len() });
    }
    let open =
        File::open(file).map_err(|source| OutputError::Unreadable { file: named(), source })?;
    serde_json::from_reader(BufReader::new(open))
        .map(Some)
        .map_err(|source| OutputError::NotJson { file: named(), source })
}

/// The outcome of a command that ended by itself.
pub(crate) fn outcome(
    settings: &CommandSettings,
    exit: &JailExit,
    memory_bytes: u64,
    output: Result<Option<Value>, OutputError>,
    stderr_tail: Vec<String>,
) -> AttemptOutcome {
    let name = program_name(&settings.program);
    let status = exit.status;
    let (class, exit_code, message) = match status {
        ExitStatus::Code(code) if settings.ok_exit_codes.contains(&code) => match output {
            Ok(output) => {
                let output = output.unwrap_or_else(|| json!({ "exit_code": code }));
                return AttemptOutcome::Completed { output };
            }
            Err(error) => (ErrorClass::Any, Some(code), with_causes(&error)),
        },
        status if exit.out_of_memory => {
            let code = match status {
                ExitStatus::Code(code) => Some(code),
                ExitStatus::Signal(_) => None,
            };
            let ending = out_of_memory_text(memory_bytes);
            (ErrorClass::Oom, code, format!("{name} {ending} ({status})"))
        }
        ExitStatus::Code(code) => {
            (ErrorClass::ExitCode, Some(code), format!("{name} ended with {status}"))
        }
        ExitStatus::Signal(_) => {
            (ErrorClass::Signal, None, format!("{name} was ended from outside by {status}"))
        }
    };
    AttemptOutcome::Failed(AttemptError { class, message, exit_code, stderr_tail })
}

/// The outcome of a command that could not be started.
pub(crate) fn refused(error: &dyn Error) -> AttemptOutcome {
    AttemptOutcome::Failed(AttemptError {
        class: ErrorClass::Refused,
        message: with_causes(error),
        exit_code: None,
        stderr_tail: Vec::new(),
    })
}

/// An error and what caused it, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
