//! Projections: the log folded into views.
//!
//! A projection reads the log in order from its checkpoint, turns events into rows, and writes the
//! rows and the new checkpoint in one transaction. The checkpoint holds the hash of the batch that
//! it ends with: a log that is shorter, or another one, is noticed before a row is written.

mod executions;
mod pipelines;
mod rows;

use std::{sync::Arc, time::Duration};

use flexcore_eventsourcing::RecordedEvent;
use flexcore_ports::{Checkpoint, EventStore, ReadFilter, StoreError, ViewStore, ViewUpdate};
use thiserror::Error;

use crate::UseCaseError;
use rows::Rows;

/// The name of the one projection that feeds both views; they share a checkpoint because the rows
/// of one follow from events of the other.
const PROJECTION: &str = "status";

/// How long `follow` lets appends gather before it folds them in.
const GATHER: Duration = Duration::from_millis(200);

/// How many events one transaction folds in.
const PAGE: usize = 2_000;

/// Why a projection stopped.
#[derive(Debug, Error)]
pub enum ProjectionError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The views are ahead of the log, or follow another one.
    #[error(
        "the views have followed the log up to position {position}, but {problem}; the log was truncated or replaced"
    )]
    Forked {
        /// The checkpoint's position.
        position: u64,
        /// What the log has there.
        problem: &'static str,
    },
    /// An event cannot be read or folded.
    #[error("the projection stopped at position {position}: {reason}")]
    Poisoned {
        /// The event's position.
        position: u64,
        /// What is wrong.
        reason: String,
    },
}

impl From<ProjectionError> for UseCaseError {
    fn from(error: ProjectionError) -> Self {
        match error {
            ProjectionError::Store(error) => Self::Store(error),
            error => Self::Refused {
                message: error.to_string(),
                hint: Some(
                    "run `flexcore events verify`; if the log is right, remove the views-*.db files"
                        .to_owned(),
                ),
            },
        }
    }
}

/// Folds the log into the views.
#[derive(Clone)]
pub struct Projector {
    store: Arc<dyn EventStore>,
    views: Arc<dyn ViewStore>,
    /// One at a time: two folds of the same events would race for the checkpoint.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl std::fmt::Debug for Projector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Projector").finish_non_exhaustive()
    }
}

impl Projector {
    /// From this log into these views.
    pub fn new(store: Arc<dyn EventStore>, views: Arc<dyn ViewStore>) -> Self {
        Self { store, views, turn: Arc::default() }
    }

    /// Folds in everything that is in the log now.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub async fn catch_up(&self) -> Result<(), ProjectionError> {
        let _turn = self.turn.lock().await;
        let checkpoint = self.views.checkpoint(PROJECTION).await?;
        let head = self.store.head().await?;
        let mut position = 0;
        if let Some(checkpoint) = checkpoint {
            self.must_be_ours(checkpoint, head.position).await?;
            position = checkpoint.position;
        }
        while position < head.position {
            position = self.fold_page(position).await?;
        }
        Ok(())
    }

    /// Catches up soon after something was appended, until the log's store is gone or a projection
    /// stops.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub async fn follow(&self) -> Result<(), ProjectionError> {
        let mut appended = self.store.appended();
        loop {
            self.catch_up().await?;
            if appended.changed().await.is_err() {
                return Ok(());
            }
            tokio::time::sleep(GATHER).await;
            appended.borrow_and_update();
        }
    }

    async fn must_be_ours(&self, checkpoint: Checkpoint, end: u64) -> Result<(), ProjectionError> {
        let position = checkpoint.position;
        if position > end {
            return Err(ProjectionError::Forked { position, problem: "the log ends before it" });
        }
        if position > 0 && self.store.batch_hash_at(position).await? != Some(checkpoint.hash) {
            let problem = "the log has another history there";
            return Err(ProjectionError::Forked { position, problem });
        }
        Ok(())
    }

    /// Folds in one page of whole batches; gives back where it ends.
    async fn fold_page(&self, after: u64) -> Result<u64, ProjectionError> {
        let (events, checkpoint) = self.whole_batches(after).await?;
        let mut rows = Rows::new(&*self.views);
        for event in &events {
            pipelines::fold(&mut rows, event).await?;
            executions::fold(&mut rows, event).await?;
        }
        let updates: Vec<ViewUpdate> = rows.into_updates();
        self.views.apply(PROJECTION, updates, checkpoint).await?;
        Ok(checkpoint.position)
    }

    /// A page of events that ends where a batch ends, so that its end has a hash.
    async fn whole_batches(
        &self,
        after: u64,
    ) -> Result<(Vec<RecordedEvent>, Checkpoint), ProjectionError> {
        let mut events: Vec<RecordedEvent> = Vec::new();
        loop {
            let from = events.last().map_or(after, |event| event.position);
            let page = self.store.read_all(from, PAGE, &ReadFilter::default()).await?;
            must_be_contiguous(from, &page)?;
            events.extend(page);
            let position = events.last().map_or(after, |event| event.position);
            if let Some(hash) = self.store.batch_hash_at(position).await? {
                return Ok((events, Checkpoint { position, hash }));
            }
        }
    }
}

/// A page never skips a position: a hole means a corrupt log, and is never stepped over.
fn must_be_contiguous(after: u64, page: &[RecordedEvent]) -> Result<(), ProjectionError> {
    let expected = after + 1..;
    match page.iter().zip(expected).find(|(event, expected)| event.position != *expected) {
        None if page.is_empty() => Err(ProjectionError::Poisoned {
            position: after + 1,
            reason: "the log has no event there although it goes on".to_owned(),
        }),
        None => Ok(()),
        Some((event, expected)) => Err(ProjectionError::Poisoned {
            position: expected,
            reason: format!("the log has no event there; the next one is at {}", event.position),
        }),
    }
}

fn poisoned(event: &RecordedEvent, reason: &dyn std::fmt::Display) -> ProjectionError {
    ProjectionError::Poisoned { position: event.position, reason: reason.to_string() }
}
