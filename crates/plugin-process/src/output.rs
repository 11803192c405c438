//! What a plugin prints, and where it goes: into the logs of the calls that it is carrying out.

use std::{
    fmt::Write as _,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use flexcore_ports::{AttemptLog, LogSource};
use flexcore_sandbox::LastLines;
use serde_json::Value;
use tokio::{io::AsyncReadExt as _, net::unix::pipe, time::Instant};

/// The longest line that is kept.
const MAX_LINE: usize = 64 * 1024;
/// What is read of one output in one turn. A plugin that prints more waits: reading it faster would
/// cost the host more than it costs the plugin.
const BYTES_A_TURN: usize = 1 << 20;
const TURN: Duration = Duration::from_millis(250);
/// How much is read at once.
const CHUNK: usize = 16 * 1024;
/// How many lines are kept for the next call when there is none.
const MAX_EARLY_LINES: usize = 100;

/// What one process prints. Calls of one process at the same time share its output, so each of them
/// gets all of it.
#[derive(Debug, Default)]
pub(crate) struct Output(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    tail: LastLines,
    early: Vec<(LogSource, String)>,
    logs: Vec<Arc<dyn AttemptLog>>,
}

impl Output {
    /// Takes one line.
    pub(crate) fn line(&self, source: LogSource, line: &str) {
        let line = readable(line);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if source == LogSource::Stderr {
            state.tail.push(&line);
        }
        for log in &state.logs {
            log.line(source, &line);
        }
        if state.logs.is_empty() && state.early.len() < MAX_EARLY_LINES {
            state.early.push((source, line));
        }
    }

    /// Has lines go into `log` until the answer is dropped, first those that nobody got.
    pub(crate) fn follow(self: &Arc<Self>, log: &Arc<dyn AttemptLog>) -> Following {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (source, line) in state.early.drain(..) {
            log.line(source, &line);
        }
        state.logs.push(Arc::clone(log));
        Following { output: Arc::clone(self), log: Arc::clone(log) }
    }

    /// The last lines of stderr.
    pub(crate) fn tail(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).tail.clone().into_lines()
    }
}

/// Reads an output to its end, line by line; `begin` was read of it before.
pub(crate) async fn read((begin, output): (Vec<u8>, OwnedFd), source: LogSource, to: Arc<Output>) {
    // A pipe that cannot be read any more has no more lines.
    let Ok(mut receiver) = pipe::Receiver::from_owned_fd(output) else { return };
    let (mut lines, mut pace) = (Lines::default(), Pace::default());
    lines.feed(&begin, |line| to.line(source, line));
    let mut chunk = vec![0; CHUNK];
    while let Ok(length) = receiver.read(&mut chunk).await
        && length > 0
    {
        lines.feed(&chunk[..length], |line| to.line(source, line));
        pace.keep(length).await;
    }
    if !lines.is_empty() {
        lines.finish(|line| to.line(source, line));
    }
}

/// Holds a reader back from reading more than its share.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    turn: Option<Instant>,
    read: usize,
}

impl Pace {
    /// So much was read; waits until more may be.
    pub(crate) async fn keep(&mut self, length: usize) {
        self.read += length;
        let turn = *self.turn.get_or_insert_with(Instant::now);
        if self.read >= BYTES_A_TURN {
            tokio::time::sleep_until(turn + TURN).await;
            *self = Self::default();
        }
    }
}

/// While this lives, a log gets what a process prints.
#[derive(Debug)]
pub(crate) struct Following {
    output: Arc<Output>,
    log: Arc<dyn AttemptLog>,
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut state = self.output.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = state.logs.iter().position(|log| Arc::ptr_eq(log, &self.log)) {
            state.logs.swap_remove(place);
        }
    }
}

/// A line of Go plugins' usual logger as people read it; every other line as it is.
fn readable(line: &str) -> String {
    let entry = line.trim_start().starts_with("{\"@").then(|| serde_json::from_str::<Value>(line));
    let Some(Ok(Value::Object(mut entry))) = entry else { return line.to_owned() };
    let mut take = |key: &str| match entry.remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let Some(message) = take("@message") else { return line.to_owned() };
    let level = take("@level").unwrap_or_else(|| "info".to_owned());
    let module = take("@module").map(|module| format!("{module}: ")).unwrap_or_default();
    take("@timestamp");
    take("@caller");
    let mut text = format!("{level}: {module}{message}");
    for (key, value) in &entry {
        // Writing into memory does not fail.
        let _ = write!(text, " {key}={value}");
    }
    text
}

/// Cuts what comes in pieces into lines of bounded length.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<u8>);

impl Lines {
    /// Takes a piece and hands over each line that it completes.
    pub(crate) fn feed(&mut self, piece: &[u8], mut on_line: impl FnMut(&str)) {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            let (content, ends) = match part.split_last() {
                Some((b'\n', content)) => (content, true),
                _ => (part, false),
            };
            let room = MAX_LINE.saturating_sub(self.0.len()).min(content.len());
            self.0.extend_from_slice(&content[..room]);
            if ends {
                self.finish(&mut on_line);
            }
        }
    }

    /// Hands over what is left.
    pub(crate) fn finish(&mut self, mut on_line: impl FnMut(&str)) {
        on_line(String::from_utf8_lossy(&self.0).trim_end_matches('\r'));
        self.0.clear();
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<String>>);

    impl AttemptLog for Kept {
        fn line(&self, source: LogSource, text: &str) {
            self.0.lock().unwrap().push(format!("{} {text}", source.as_str()));
        }
    }

    #[test]
    fn lines_go_to_the_calls_that_run_and_early_ones_to_the_first() {
        let output = Arc::new(Output::default());
        let [one, two] = [Arc::new(Kept::default()), Arc::new(Kept::default())];
        output.line(LogSource::Stdout, "early");
        let first = output.follow(&(Arc::clone(&one) as Arc<dyn AttemptLog>));
        let second = output.follow(&(Arc::clone(&two) as Arc<dyn AttemptLog>));
        output.line(LogSource::Stderr, "both");
        drop(first);
        output.line(LogSource::Stderr, "second");
        drop(second);
        assert_eq!(*one.0.lock().unwrap(), ["stdout early", "stderr both"]);
        assert_eq!(*two.0.lock().unwrap(), ["stderr both", "stderr second"]);
        assert_eq!(output.tail(), ["both", "second"]);
    }

    #[test]
    fn lines_of_a_structured_logger_are_made_readable() {
        let line =
            r#"{"@level":"warn","@message":"slow","@module":"plugin","@timestamp":"x","ms":7}"#;
        assert_eq!(readable(line), "warn: plugin: slow ms=7");
        for same in ["plain", "{\"a\":1}", "{\"@level\":\"info\"}", "{\"@ broken"] {
            assert_eq!(readable(same), same);
        }
    }

    #[test]
    fn pieces_become_lines_of_bounded_length() {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in [&b"a"[..], b"b\r\n\xff", b"\n"] {
            lines.feed(piece, |line| found.push(line.to_owned()));
        }
        assert!(lines.is_empty());
        lines.feed(&vec![b'x'; MAX_LINE + 10], |_| ());
        lines.finish(|line| found.push(line.len().to_string()));
        assert_eq!(found, ["ab", "\u{fffd}", &MAX_LINE.to_string()]);
    }
}
