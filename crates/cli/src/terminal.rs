//! The standard streams, as values.

use std::{
    fmt,
    io::{self, IsTerminal as _, Read, Write},
};

/// The standard streams of the process, and whether people look at them.
pub struct Terminal {
    /// Standard input.
    pub input: Box<dyn Read + Send>,
    /// Standard output: results only.
    pub output: Box<dyn Write + Send>,
    /// Standard error: progress, notes and errors.
    pub errors: Box<dyn Write + Send>,
    /// Whether standard output is a terminal.
    pub output_is_terminal: bool,
    /// Whether standard error is a terminal. If so there is a person to ask, and progress is drawn.
    pub errors_is_terminal: bool,
}

impl Terminal {
    /// The streams of this process.
    pub fn of_process() -> Self {
        Self {
            input: Box::new(io::stdin()),
            output: Box::new(io::stdout()),
            errors: Box::new(io::stderr()),
            output_is_terminal: io::stdout().is_terminal(),
            errors_is_terminal: io::stderr().is_terminal(),
        }
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Terminal")
            .field("output_is_terminal", &self.output_is_terminal)
            .field("errors_is_terminal", &self.errors_is_terminal)
            .finish_non_exhaustive()
    }
}
