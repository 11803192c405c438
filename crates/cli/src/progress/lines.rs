//! Progress as lines, for logs and pipes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use flexcore_domain::StepId;
use flexcore_eventsourcing::Timestamp;
use flexcore_ports::attempt::Progress;

use super::Happened;
use crate::{
    output::Output,
    text::{bytes_text, count_text},
};

/// How long a sync goes on between two lines about it.
const INTERVAL: Duration = Duration::from_secs(10);

/// A line per event, and one about each running sync from time to time.
pub(super) struct Lines {
    output: Arc<Output>,
    width: usize,
    /// When each running sync was last told about.
    told: Mutex<BTreeMap<StepId, Timestamp>>,
}

impl Lines {
    pub(super) fn new(output: Arc<Output>, width: usize) -> Self {
        Self { output, width, told: Mutex::default() }
    }

    pub(super) fn happened(&self, happened: &Happened<'_>) {
        match happened.step {
            Some(step) => self.line(step, &happened.text),
            None => self.output.note(&happened.text),
        }
    }

    pub(super) fn progress(&self, step: &StepId, progress: &Progress, now: Timestamp) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let last = *told.entry(step.clone()).or_insert(now);
        if now.duration_since(last) >= INTERVAL {
            told.insert(step.clone(), now);
            drop(told);
            let records = count_text(progress.records);
            self.line(step, &format!("{records} records, {}", bytes_text(progress.bytes)));
        }
    }

    fn line(&self, step: &StepId, text: &str) {
        self.output.note(&format!("  {:<width$}  {text}", step.as_str(), width = self.width));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::{TEXT, captured};

    #[test]
    fn a_running_sync_is_told_about_from_time_to_time() {
        let (terminal, _, messages) = captured("");
        let lines = Lines::new(Arc::new(Output::new(terminal, TEXT)), 6);
        let step: StepId = "load".parse().unwrap();
        for second in 0..25_u32 {
            let progress =
                Progress { records: u64::from(second) * 1_000, bytes: 0, streams: vec![] };
            lines.progress(&step, &progress, Timestamp::from_micros(i64::from(second) * 1_000_000));
        }
        assert_eq!(
            messages.text(),
            "  load    10,000 records, 0 B\n  load    20,000 records, 0 B\n"
        );
    }
}
