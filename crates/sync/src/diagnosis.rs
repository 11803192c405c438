//! What a plugin wrote to stderr: into the attempt's log, and what of it explains a failure.

use std::os::fd::OwnedFd;

use flexcore_ports::AttemptLog;
use flexcore_sandbox::{LastLines, read_lines};

use crate::{plugin::Role, text::cut};

/// Longer lines are cut in the log.
const MAX_LOG_LINE: usize = 64 * 1024;

/// How many of the lines that announce the end belong together.
const FATAL_LINES: usize = 5;

/// Copies a plugin's stderr into the log until it ends.
pub(crate) async fn follow(stderr: OwnedFd, role: Role, log: &dyn AttemptLog) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    let read = read_lines(stderr, MAX_LOG_LINE, |line| {
        log.line(role.log_source(), line);
        diagnosis.note(line);
    });
    if let Err(error) = read.await {
        log.line(role.log_source(), &format!("its stderr cannot be read on: {error}"));
    }
    diagnosis
}

/// What the lines of a plugin's stderr say about its end.
#[derive(Debug, Default)]
pub(crate) struct Diagnosis {
    tail: LastLines,
    last: Option<String>,
    /// The last lines in a row that announce the end.
    fatal: Vec<String>,
    last_was_fatal: bool,
    /// The last line of the last Python traceback: the exception.
    exception: Option<String>,
    in_traceback: bool,
}

impl Diagnosis {
    fn note(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        self.tail.push(line);
        self.last = Some(shown(line));
        self.note_fatal(line);
        self.note_traceback(line);
    }

    fn note_fatal(&mut self, line: &str) {
        let is_fatal = is_fatal(line);
        if is_fatal && !self.last_was_fatal {
            self.fatal.clear();
        }
        if is_fatal && self.fatal.len() < FATAL_LINES {
            let words = line.trim();
            self.fatal.push(shown(words.strip_prefix("CRITICAL ").unwrap_or(words)));
        }
        self.last_was_fatal = is_fatal;
    }

    fn note_traceback(&mut self, line: &str) {
        if line.starts_with("Traceback (most recent call last)") {
            self.in_traceback = true;
        } else if self.in_traceback && !line.starts_with(char::is_whitespace) {
            self.in_traceback = false;
            self.exception = Some(shown(line));
        }
    }

    /// Why the plugin ended, in its own words: what it called fatal, else the exception of its last
    /// traceback, else its last line.
    pub(crate) fn cause(&self) -> Option<String> {
        if self.fatal.is_empty() {
            return self.exception.clone().or_else(|| self.last.clone());
        }
        Some(self.fatal.join("\n"))
    }

    /// The last lines.
    pub(crate) fn tail(&self) -> Vec<String> {
        self.tail.clone().into_lines()
    }
}

/// As much of a line as an error shows: errors are events, which are small.
fn shown(line: &str) -> String {
    cut(line, LastLines::MAX_LINE).into_owned()
}

/// Whether a log line has the level CRITICAL or FATAL, as a word of its own. Metrics may carry the
/// words as data.
fn is_fatal(line: &str) -> bool {
    !line.contains("METRIC")
        && line
            .split(|character: char| !character.is_alphanumeric())
            .any(|word| matches!(word, "CRITICAL" | "FATAL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(lines: &[&str]) -> Diagnosis {
        let mut diagnosis = Diagnosis::default();
        for line in lines {
            diagnosis.note(line);
        }
        diagnosis
    }

    fn cause(lines: &[&str]) -> Option<String> {
        diagnosis(lines).cause()
    }

    #[test]
    fn fatal_lines_explain_best() {
        let lines = [
            "INFO starting",
            "CRITICAL an older problem",
            "INFO going on",
            "CRITICAL cannot log in",
            "CRITICAL wrong password",
            "Traceback (most recent call last):",
            "  File \"tap.py\", line 1, in <module>",
            "ValueError: boom",
        ];
        assert_eq!(cause(&lines).unwrap(), "cannot log in\nwrong password");
    }

    #[test]
    fn the_last_traceback_explains_next() {
        let lines = [
            "Traceback (most recent call last):",
            "  File \"tap.py\", line 1",
            "KeyError: 'a'",
            "During handling of the above exception, another exception occurred:",
            "Traceback (most recent call last):",
            "  File \"tap.py\", line 2",
            "ValueError: boom",
            "INFO closing",
        ];
        assert_eq!(cause(&lines).unwrap(), "ValueError: boom");
    }

    #[test]
    fn the_last_line_explains_when_nothing_else_does() {
        assert_eq!(cause(&["a", "no such file", " "]).unwrap(), "no such file");
        assert_eq!(cause(&[]), None);
        let metric = r#"INFO METRIC: {"type":"counter","tags":{"stream":"FATAL"}}"#;
        assert_eq!(cause(&[metric, "FATALITIES loaded", "done"]).unwrap(), "done");
    }
}
