//! What a check finds.

use std::fmt;
use std::path::{Path, PathBuf};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// A broken rule: the check fails.
    Error,
    /// Worth another look: printed, but the check passes.
    Warning,
}

/// One broken rule: where, what, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) severity: Severity,
    /// The file, relative to the repository's root.
    pub(crate) file: PathBuf,
    /// Counted from 1; `None` when the whole file is meant.
    pub(crate) line: Option<usize>,
    pub(crate) message: String,
}

impl Violation {
    pub(crate) fn error(file: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.as_ref().to_owned(),
            line: None,
            message: message.into(),
        }
    }

    pub(crate) fn warning(file: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(file, message) }
    }

    pub(crate) fn at(self, line: usize) -> Self {
        Self { line: Some(line), ..self }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(formatter, "{severity}: {}", self.file.display())?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        write!(formatter, ": {}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_reads_as_place_then_message() {
        let violation = Violation::error("crates/app/src/lib.rs", "too long").at(7);
        assert_eq!(violation.to_string(), "error: crates/app/src/lib.rs:7: too long");
        let warning = Violation::warning("crates/app", "large");
        assert_eq!(warning.to_string(), "warning: crates/app: large");
    }
}
