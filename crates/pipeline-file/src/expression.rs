//! Templates and expressions: what they read, whether they are legal, and what they evaluate to.
//!
//! The language is MiniJinja's expression language. Only `{{ … }}` is template syntax; statements
//! (`{% … %}`) are refused. Nothing in here reads a clock, an environment or a random number, so
//! the same scope gives the same value.

pub(crate) mod engine;
pub(crate) mod names;
pub(crate) mod reads;
pub(crate) mod template;
mod time;

/// Why an expression is not legal, or has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What kind of problem it is.
    pub(crate) code: crate::diagnostic::Code,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// The part of the text that is meant.
    pub(crate) part: String,
}
