//! What can go wrong with a folder.

use thiserror::Error;

/// A file or folder that could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot {operation} {path}: {reason}")]
pub struct StorageError {
    /// What was tried, for example `write`.
    pub operation: &'static str,
    /// The path.
    pub path: String,
    /// What the system says.
    pub reason: String,
}
