//! Why a tap on files could not go on, with the place.

use std::{io, path::PathBuf};

use flexcore_singer::JsonError;

/// The end of a tap.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TapError {
    #[error("no file matches '{pattern}'")]
    NoFile { pattern: String },
    #[error("'{pattern}' is no path pattern")]
    Pattern { pattern: String, source: glob::PatternError },
    #[error("cannot search for '{pattern}'")]
    Search { pattern: String, source: glob::GlobError },
    #[error("cannot open {}", .path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{}, line {line}", .path.display())]
    Record { path: PathBuf, line: u64, source: RecordError },
    #[error(
        "stream '{stream}' comes from two entries of files; use one entry with a wildcard, or name the streams"
    )]
    DuplicateStream { stream: String },
    #[error("stream '{stream}' has no '{column}', which its {role} names{hint}")]
    MissingColumn { stream: String, column: String, role: &'static str, hint: String },
    #[error(
        "the bookmark of stream '{stream}' is not usable: {problem}; reset it with `bookmark reset`"
    )]
    Bookmark { stream: String, problem: String },
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// Why one record cannot be read or sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("cannot read")]
    Read(#[from] io::Error),
    #[error("the row has {found} fields where the header has {expected}")]
    FieldCount { found: usize, expected: usize },
    #[error("the header names '{0}' twice")]
    DuplicateColumn(String),
    #[error("not UTF-8 (byte {offset} of the record); convert the file to UTF-8 first")]
    NotUtf8 { offset: usize },
    #[error("column '{column}': '{text}' is no {expected}, as `types` or the catalog says it is")]
    Misfit { column: String, text: String, expected: &'static str },
    #[error("key '{0}' has no value")]
    NullKey(String),
    #[error("not a JSON object")]
    Json(#[from] JsonError),
    #[error("a record longer than {} MiB; is a quote or a line end missing?", .0 >> 20)]
    TooLong(usize),
}
