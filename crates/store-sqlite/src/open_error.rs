//! Why a store cannot be opened.

use std::path::{Path, PathBuf};

use flexcore_ports::StoreError;
use thiserror::Error;

use crate::error::{is_corruption, reason};

/// Why a store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process writes it.
    #[error(
        "the store {} is in use by {}; wait for it or stop it", .folder.display(),
        holder(*.pid, .purpose)
    )]
    Held {
        /// The store's folder.
        folder: PathBuf,
        /// The process that holds it, if it could be told.
        pid: Option<u32>,
        /// What that process said it does; may be empty.
        purpose: String,
    },
    /// There is no store in that folder, and it was opened for reading.
    #[error("there is no store in {}", .folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The file was written by a newer release.
    #[error(
        "{} has format version {found}, this program knows up to {supported}; \
         use a release that is at least as new as the one that wrote it", .file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format version.
        found: i32,
        /// The newest that this program knows.
        supported: i32,
    },
    /// The file is a database of something else.
    #[error("{} is not a FlexCore {kind}; move it away or name another folder", .file.display())]
    NotAStore {
        /// The file.
        file: PathBuf,
        /// What was expected.
        kind: &'static str,
    },
    /// A read-only folder holds a log whose last events still lie in its write-ahead log.
    #[error(
        "{} cannot be written and its log was not closed cleanly, so that its last events cannot \
         be read in place; copy the folder to where it can be written and open the copy",
        .folder.display()
    )]
    NeedsCopy {
        /// The folder.
        folder: PathBuf,
    },
    /// A view has folded in more than the log has, or another history.
    #[error(
        "the log in {} does not hold what view `{projection}` has already folded in: {reason}; \
         run `flexcore events verify`, and restore the log from a backup if it was truncated",
        .folder.display()
    )]
    LogBehindViews {
        /// The folder.
        folder: PathBuf,
        /// The view's projection.
        projection: String,
        /// What does not fit.
        reason: String,
    },
    /// A file cannot be what was once written.
    #[error("{} is corrupt: {reason}; run `flexcore events verify`", .file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refused.
    #[error("cannot open {}: {reason}", .file.display())]
    Unavailable {
        /// The file or folder.
        file: PathBuf,
        /// What the system says.
        reason: String,
    },
}

impl OpenError {
    pub(crate) fn sqlite(file: &Path, error: &rusqlite::Error) -> Self {
        if is_corruption(error) {
            Self::Corrupt { file: file.to_owned(), reason: reason(error) }
        } else {
            Self::Unavailable { file: file.to_owned(), reason: reason(error) }
        }
    }

    pub(crate) fn io(file: &Path, error: impl std::fmt::Display) -> Self {
        Self::Unavailable { file: file.to_owned(), reason: error.to_string() }
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Corrupt { file, reason } => {
                Self::Corrupt { place: file.display().to_string(), reason }
            }
            other => Self::Unavailable(other.to_string()),
        }
    }
}

fn holder(pid: Option<u32>, purpose: &str) -> String {
    let process = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    if purpose.is_empty() { process } else { format!("{process} ({purpose})") }
}
