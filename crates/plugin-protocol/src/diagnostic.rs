//! What is wrong with a manifest or a grants file, shown the way a compiler would: code, place,
//! line, caret and hint.

mod render;

use std::fmt;

/// The kind of mistake. Its code is stable and never reused; each has a page in `docs/errors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mistake {
    /// The text is not TOML.
    Malformed,
    /// A key that the file does not have.
    UnknownKey,
    /// A value of another type than the key takes.
    WrongType,
    /// A key that must be there is not.
    MissingKey,
    /// A value of the right type that is not legal.
    IllegalValue,
    /// A file for a newer version.
    NewerVersion,
}

impl Mistake {
    /// Its stable text.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "FC0601",
            Self::UnknownKey => "FC0602",
            Self::WrongType => "FC0603",
            Self::MissingKey => "FC0604",
            Self::IllegalValue => "FC0605",
            Self::NewerVersion => "FC0606",
        }
    }
}

/// A place in a text: lines and columns count characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// How many characters of that line are meant, at least 1.
    pub length: u32,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of mistake it is.
    pub mistake: Mistake,
    /// The file's name as messages show it.
    pub file: String,
    /// The place in the file.
    pub position: Position,
    /// What is wrong.
    pub message: String,
    /// What to do about it, if that is known.
    pub hint: Option<String>,
    /// The line of `position`, for the caret; none where it may hold a password.
    pub(crate) source_line: Option<String>,
}

impl Diagnostic {
    /// The same with a hint.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with a hint, if there is one.
    pub(crate) fn maybe_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
}

/// Everything that is wrong with a file, in the order of its text; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Sorted by place; the same message at the same place is shown once.
    pub(crate) fn new(mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by(|a, b| (a.position, &a.message).cmp(&(b.position, &b.message)));
        diagnostics.dedup();
        Self(diagnostics)
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    /// All of them, each with its source line and caret, a blank line between two.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n\n")?;
            }
            write!(formatter, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
