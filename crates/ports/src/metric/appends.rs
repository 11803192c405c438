//! Counting appends, alike in every store.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

use super::{APPEND_BATCH_EVENTS, APPEND_BATCH_SECONDS, APPEND_EVENTS, APPEND_REQUESTS};

/// Counts appends: once for each batch, so that an event costs nothing.
pub struct AppendCounts {
    events: Counter,
    accepted: Counter,
    refused: Counter,
    failed: Counter,
    batch_events: Histogram,
    batch_seconds: Histogram,
}

impl AppendCounts {
    /// Counts for whoever collects metrics of this process when it is made.
    pub fn new() -> Self {
        let requests = |outcome: &'static str| counter!(APPEND_REQUESTS.name, "outcome" => outcome);
        Self {
            events: counter!(APPEND_EVENTS.name),
            accepted: requests("accepted"),
            refused: requests("refused"),
            failed: requests("failed"),
            batch_events: histogram!(APPEND_BATCH_EVENTS.name),
            batch_seconds: histogram!(APPEND_BATCH_SECONDS.name),
        }
    }

    /// So many events became durable together, and it took so long.
    pub fn batch(&self, events: usize, elapsed: Duration) {
        self.events.increment(events as u64);
        #[expect(
            clippy::cast_precision_loss,
            reason = "batches have thousands of events, not 2^53"
        )]
        self.batch_events.record(events as f64);
        self.batch_seconds.record(elapsed);
    }

    /// So many appends were answered in these ways.
    pub fn answered(&self, accepted: usize, refused: usize, failed: usize) {
        for (counter, count) in
            [(&self.accepted, accepted), (&self.refused, refused), (&self.failed, failed)]
        {
            if count > 0 {
                counter.increment(count as u64);
            }
        }
    }
}

impl Default for AppendCounts {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for AppendCounts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AppendCounts").finish_non_exhaustive()
    }
}
