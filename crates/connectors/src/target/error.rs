//! Why a target could not go on, with the place.

use std::{io, path::PathBuf};

use flexcore_singer::{JsonError, MessageError};

/// The end of a target.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("cannot read standard input")]
    Input(#[source] io::Error),
    #[error("line {line} of the input is longer than {} MiB", .limit >> 20)]
    LineTooLong { line: u64, limit: usize },
    #[error("line {line} of the input is no Singer message")]
    Message { line: u64, source: MessageError },
    #[error("the input ends within line {line}")]
    TornLine { line: u64, source: MessageError },
    #[error("line {line} of the input, stream '{stream}'")]
    Record { line: u64, stream: String, source: SinkError },
    #[error("cannot make the output durable")]
    Checkpoint(#[source] SinkError),
    #[error("cannot prepare the output")]
    Open(#[source] SinkError),
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// Why a target cannot take a message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SinkError {
    #[error("a record before the SCHEMA of its stream")]
    NoSchema,
    #[error("the schema is not usable: {0}")]
    Schema(String),
    #[error("the record is not sound")]
    Json(#[from] JsonError),
    #[error("key property '{0}' is missing or null")]
    NullKey(String),
    #[error(
        "property '{0}' is not in the SCHEMA; set `extra_properties: ignore` to leave such ones out"
    )]
    ExtraProperty(String),
    #[error("property '{property}': {found} does not fit its type {expected}")]
    Misfit { property: String, found: String, expected: &'static str },
    #[error(
        "property '{property}': {text} has more than 15 significant digits, which a REAL would not keep; set `decimals: text`"
    )]
    Decimal { property: String, text: String },
    #[error("cannot {action} {}{}", .path.display(), no_space(.source))]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is being written by another process; one output has one writer", .0.display())]
    Locked(PathBuf),
    #[error("{} is shorter than its mark ({length} < {marked} bytes): it was changed since; give up the position with `bookmark reset`", .path.display())]
    Shorter { path: PathBuf, length: u64, marked: u64 },
    #[error("{} has no mark of the committed position {state}, so the output cannot be taken back to it; give up the position with `bookmark reset`", .place.display())]
    NoMark { place: PathBuf, state: String },
    #[error("{} was written by another sync since this one was interrupted; give up the position with `bookmark reset`", .0.display())]
    Overwritten(PathBuf),
    #[error("the marks in {} are not readable (line {line}); give up the position with `bookmark reset`", .path.display())]
    BadMarks { path: PathBuf, line: usize },
    #[error("{} begins with other columns: {found} instead of {expected}; write to another path, or remove the file", .path.display())]
    Columns { path: PathBuf, found: String, expected: String },
    #[error(
        "the file has no column '{0}', which the SCHEMA now has; a CSV file cannot grow columns: write to another path, or deselect it"
    )]
    NewColumn(String),
    #[error("BATCH {0}")]
    Batch(String),
    #[error("{}", .path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
    #[error("{0}")]
    Table(String),
}

fn no_space(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ": the disk is full",
        io::ErrorKind::ReadOnlyFilesystem => ": the folder is read-only",
        _ => "",
    }
}

impl SinkError {
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
