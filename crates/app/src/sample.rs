//! A few records of a tap, read and thrown away: what `plugin test` shows.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use flexcore_ports::attempt::{AttemptObserver, AttemptOutcome, BookmarkRefused, Progress};
use tokio_util::sync::CancellationToken;

use crate::{DiscoverPorts, Discovery, RunnerOptions, UseCaseError, discover::prepare};

/// What was read of a tap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sample {
    /// Each data stream with how many of its records came.
    pub streams: Vec<(String, u64)>,
    /// How many records came.
    pub records: u64,
    /// Whether the tap had no more, rather than being stopped.
    pub was_all: bool,
}

/// Runs a sync until so many records went through it. Nothing is recorded: no bookmark, no event.
///
/// # Errors
/// [`UseCaseError`] if the settings cannot be rendered, or the sync failed before.
pub async fn sample(
    ports: &DiscoverPorts,
    options: &RunnerOptions,
    discovery: Discovery,
    records: u64,
) -> Result<Sample, UseCaseError> {
    let (context, settings) = prepare(ports, options, discovery).await?;
    let cancel = CancellationToken::new();
    let counter = Arc::new(Counter {
        wanted: records,
        last: Mutex::default(),
        enough: AtomicBool::new(false),
        cancel: cancel.clone(),
    });
    let observer = Arc::clone(&counter) as Arc<dyn AttemptObserver>;
    let end = ports.syncs.run(context, settings, observer, cancel).await;
    let enough = counter.enough.load(Ordering::Acquire);
    match end.outcome {
        AttemptOutcome::Failed(error) if !enough => {
            let tail = error.stderr_tail.iter().map(|line| format!("\n  {line}"));
            let message = format!("{}{}", error.message, tail.collect::<String>());
            Err(UseCaseError::refused(ports.secrets.mask().apply(&message).into_owned()))
        }
        outcome => {
            let was_all = matches!(outcome, AttemptOutcome::Completed { .. });
            let last = counter.last.lock().unwrap_or_else(PoisonError::into_inner);
            let streams = last.streams.iter().map(|(name, count, _)| (name.clone(), *count));
            Ok(Sample { streams: streams.collect(), records: last.records, was_all })
        }
    }
}

/// Counts, and stops the sync when it is enough.
struct Counter {
    wanted: u64,
    last: Mutex<Progress>,
    enough: AtomicBool,
    cancel: CancellationToken,
}

#[async_trait]
impl AttemptObserver for Counter {
    fn progress(&self, progress: &Progress) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = progress.clone();
        if progress.records >= self.wanted {
            self.enough.store(true, Ordering::Release);
            self.cancel.cancel();
        }
    }

    async fn state_confirmed(&self, _line: &[u8]) -> Result<(), BookmarkRefused> {
        Ok(())
    }

    async fn schema_observed(&self, _stream: &str, _schema: &[u8]) -> Result<(), BookmarkRefused> {
        Ok(())
    }
}
