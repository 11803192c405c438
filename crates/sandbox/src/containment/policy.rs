//! What the operator wants of jails.

use crate::ControlName;

/// How much a machine must enforce for a program to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SandboxMode {
    /// Nothing runs where a required control is not enforced.
    Strict,
    /// What the machine can enforce is enforced, and the rest is in the report.
    #[default]
    BestEffort,
    /// No jail at all. It is recorded that there was none.
    Off,
}

impl SandboxMode {
    /// The mode that a setting names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Strict, Self::BestEffort, Self::Off].into_iter().find(|mode| mode.as_str() == word)
    }

    /// Its word in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::BestEffort => "best_effort",
            Self::Off => "off",
        }
    }
}

/// What the operator wants of jails.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SandboxPolicy {
    /// How much must be enforced.
    pub mode: SandboxMode,
    /// Controls that are required beside those that every jail requires.
    pub require: Vec<ControlName>,
}
