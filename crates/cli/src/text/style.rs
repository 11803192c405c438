//! Colours.

use std::fmt;

/// Whether text has colours, and what they mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    colored: bool,
}

impl Style {
    pub(crate) const PLAIN: Self = Self { colored: false };
    pub(crate) const COLORED: Self = Self { colored: true };

    pub(crate) fn bold(self, text: impl fmt::Display) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: impl fmt::Display) -> String {
        self.paint("2", text)
    }

    pub(crate) fn red(self, text: impl fmt::Display) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn green(self, text: impl fmt::Display) -> String {
        self.paint("32", text)
    }

    pub(crate) fn yellow(self, text: impl fmt::Display) -> String {
        self.paint("33", text)
    }

    pub(crate) fn cyan(self, text: impl fmt::Display) -> String {
        self.paint("36", text)
    }

    /// A status word of an execution, a step or a pipeline in its colour. `text` may be padded.
    pub(crate) fn status(self, text: &str) -> String {
        match text.split_whitespace().next().unwrap_or_default() {
            "completed" | "active" | "intact" | "yes" => self.green(text),
            "failed" => self.red(text),
            "cancelled" | "waiting" | "interrupted" => self.yellow(text),
            "running" => self.cyan(text),
            "skipped" | "pending" | "queued" | "draft" | "no" => self.dim(text),
            _ => text.to_owned(),
        }
    }

    fn paint(self, code: &str, text: impl fmt::Display) -> String {
        if self.colored { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        assert_eq!(Style::PLAIN.red("x"), "x");
        assert_eq!(Style::PLAIN.status("failed  "), "failed  ");
    }

    #[test]
    fn a_padded_status_is_coloured_as_a_whole() {
        assert_eq!(Style::COLORED.status("running "), "\u{1b}[36mrunning \u{1b}[0m");
        assert_eq!(Style::COLORED.status("odd"), "odd");
    }
}
