//! The program's own log, as far as it can be changed while the program runs.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// How much the program's own log says. Each level says what the ones before it say, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// What went wrong and has to be looked at.
    Error,
    /// What is not as it should be, and was coped with.
    Warn,
    /// What happened.
    Info,
    /// What an operator wants to know who looks for a fault.
    Debug,
    /// Everything.
    Trace,
}

/// A word that is no level.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a level of the log: error, warn, info, debug or trace")]
pub struct UnknownLogLevel(pub String);

impl LogLevel {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl FromStr for LogLevel {
    type Err = UnknownLogLevel;

    fn from_str(word: &str) -> Result<Self, UnknownLogLevel> {
        let found = Self::ALL.into_iter().find(|level| level.as_str() == word);
        found.ok_or_else(|| UnknownLogLevel(word.to_owned()))
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The program's own log.
pub trait LogControl: Send + Sync + fmt::Debug {
    /// How much it says now.
    fn level(&self) -> LogLevel;

    /// Has it say so much from now on.
    fn set_level(&self, level: LogLevel);
}
