//! What the target confirms: its standard output, a STATE value a line.

use std::{os::fd::OwnedFd, sync::Arc};

use flexcore_ports::{
    AttemptLog, LogSource,
    attempt::{AttemptObserver, BookmarkRefused},
};
use flexcore_singer::State;
use tokio::sync::mpsc;

use crate::{
    lines::{Line, LineReader},
    plugin::PluginName,
    text::excerpt,
};

/// Hands over what is observed, until it is refused; then the attempt must end.
pub(crate) struct Observations {
    pub(crate) observer: Arc<dyn AttemptObserver>,
    pub(crate) log: Arc<dyn AttemptLog>,
    /// Takes the first refusal.
    pub(crate) refusals: mpsc::Sender<BookmarkRefused>,
}

impl Observations {
    /// Reports each state that the target prints, until its output ends. Lines that are no states
    /// are logged. Reads on after a refusal, so that the target is not held up.
    pub(crate) async fn confirm(&self, output: OwnedFd, target: &PluginName, max_line: usize) {
        let mut reader = match LineReader::new(output, max_line) {
            Ok(reader) => reader,
            Err(error) => return self.unreadable(target, &error),
        };
        let mut refused = false;
        loop {
            let line = match reader.next().await {
                Ok(Some(line)) => line,
                Ok(None) => return,
                Err(error) => return self.unreadable(target, &error),
            };
            if refused || line.bytes.trim_ascii().is_empty() {
                continue;
            }
            if !is_state(&line) {
                let (total, line) = (line.bytes.len() as u64 + line.cut, excerpt(line.bytes));
                let text = format!("{target} printed {total} bytes that are no state: {line}");
                self.log.line(LogSource::Runner, &text);
                continue;
            }
            refused = self.told(self.observer.state_confirmed(line.bytes).await);
        }
    }

    /// Reports the SCHEMA lines that the pump has seen, until it ends.
    pub(crate) async fn schemas(&self, mut schemas: mpsc::Receiver<(String, Vec<u8>)>) {
        let mut refused = false;
        while let Some((stream, line)) = schemas.recv().await {
            if !refused {
                refused = self.told(self.observer.schema_observed(&stream, &line).await);
            }
        }
    }

    /// Whether it was refused.
    fn told(&self, outcome: Result<(), BookmarkRefused>) -> bool {
        outcome.is_err_and(|refusal| {
            // A refusal that finds the channel full comes after another.
            let _ = self.refusals.try_send(refusal);
            true
        })
    }

    fn unreadable(&self, target: &PluginName, error: &std::io::Error) {
        let text = format!("what {target} confirms cannot be read: {error}");
        self.log.line(LogSource::Runner, &text);
    }
}

fn is_state(line: &Line<'_>) -> bool {
    let text = std::str::from_utf8(line.bytes);
    line.cut == 0 && text.is_ok_and(|text| State::parse(text).is_ok())
}
