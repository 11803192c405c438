//! Projections: the log folded into views.
//!
//! Each view has a projection of its own, with its own checkpoint: none reads another's rows. A
//! projection reads the log in order from its checkpoint, turns events into rows, and writes the
//! rows and the new checkpoint in one transaction. The checkpoint holds the hash of the batch that
//! it ends with: a log that is shorter, or another one, is noticed before a row is written.
//!
//! An event that a projection cannot fold in stops that projection alone, in front of the batch
//! that holds the event. The store remembers which event and why; each process tries it once more.
//!
//! # How to add a projection
//!
//! Write a type that is [`Projection`] in a file here, name it in [`PROJECTIONS`], and give its
//! rows a place in the port. A change of what a projection makes of events needs a new format of
//! the views, so that they are built again.

mod data_streams;
mod executions;
mod fact;
mod fold;
mod known;
mod metrics;
mod notes;
mod page;
mod pipelines;
mod plugins;
mod rows;
mod view;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use flexcore_eventsourcing::{Epoch, RecordedEvent};
use flexcore_ports::{
    ApplyError, Checkpoint, EventStore, ProjectionStatus, RowKey, StoreError, ViewStore,
};
use thiserror::Error;
use tokio::time::Instant;

use crate::{LogPage, Subscription, SubscriptionError, UseCaseError};
use fact::Fact;
use fold::Standing;
pub(crate) use metrics::metric;
use page::FoldPage;
use rows::Rows;
pub(crate) use view::{View, statuses};

/// How long `follow` lets appends gather before it folds them in: four times as long as the last
/// fold took, so that views take a fifth of a processor, in these bounds. Whoever waits for a view
/// waits for this too.
const GATHER: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(6));

/// The most that it waits when folds take longer than that. They may take half of a processor then:
/// views that fall behind are of no use to anybody.
const LONGEST_GATHER: Duration = Duration::from_millis(200);

/// Every projection.
pub(crate) static PROJECTIONS: [&dyn Projection; 5] = [
    &pipelines::PipelineStatusProjection,
    &executions::ExecutionHistory,
    &plugins::PluginInventory,
    &data_streams::DataStreams,
    &metrics::SystemMetrics,
];

/// Turns events into the rows of one view. Pure: rows are read before it folds and written after.
pub(crate) trait Projection: Send + Sync {
    /// The name of its checkpoint.
    fn name(&self) -> &'static str;

    /// Whether it reads events of this type; others are never decoded for it.
    fn reads(&self, event_type: &str) -> bool;

    /// Names the rows that folding an event in needs. Asked again when they are known, because
    /// some rows say which others are needed.
    fn needs(&self, fact: &Fact<'_>, rows: &Rows, keys: &mut BTreeSet<RowKey>);

    /// Folds an event in.
    ///
    /// # Errors
    /// Why it cannot be.
    fn fold(&self, rows: &mut Rows, fact: &Fact<'_>) -> Result<(), String>;

    /// Sees every event, also those that it does not read, before they are folded in.
    fn see(&self, _rows: &mut Rows, _events: &[RecordedEvent]) {}
}

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
    /// The log has a hole, so that no projection can go on.
    #[error("the projections stopped at position {position}: {reason}")]
    Poisoned {
        /// The event's position.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// An event cannot be folded into this view.
    #[error("the view {view} stopped at position {position}: {reason}")]
    Stopped {
        /// The view's projection.
        view: &'static str,
        /// The event's position.
        position: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process folds the log into these views now.
    #[error("another process feeds the views now: {0}")]
    Fenced(ApplyError),
}

impl From<SubscriptionError> for ProjectionError {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::Store(error) => Self::Store(error),
            SubscriptionError::Forked { position, problem } => Self::Forked { position, problem },
            SubscriptionError::Hole { position, .. } => {
                Self::Poisoned { position, reason: error.to_string() }
            }
        }
    }
}

impl From<ProjectionError> for UseCaseError {
    fn from(error: ProjectionError) -> Self {
        match error {
            ProjectionError::Store(error) => Self::Store(error),
            ProjectionError::Stopped { .. } => Self::Refused {
                message: error.to_string(),
                hint: Some(
                    "the log is kept and other views go on; a flexcore that can read the event \
                     goes on from there by itself, and `flexcore events verify` tells whether the \
                     log is whole"
                        .to_owned(),
                ),
            },
            error => Self::Refused {
                message: error.to_string(),
                hint: Some(
                    "run `flexcore events verify`; if the log is right, build the views again with \
                     `flexcore events replay --views`"
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
    epoch: Epoch,
    /// One at a time: two folds of the same events would race for the checkpoints.
    turn: Arc<tokio::sync::Mutex<Turn>>,
}

/// What is kept between folds.
#[derive(Debug, Default)]
struct Turn {
    /// Where the projections stand as far as this process knows; empty: not read yet.
    standings: Vec<Standing>,
    /// Those that were stopped and tried once more.
    tried: BTreeSet<&'static str>,
}

impl std::fmt::Debug for Projector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Projector").finish_non_exhaustive()
    }
}

impl Projector {
    /// From this log into these views.
    pub fn new(store: Arc<dyn EventStore>, views: Arc<dyn ViewStore>) -> Self {
        Self { store, views, epoch: Epoch(0), turn: Arc::default() }
    }

    /// Writes with this epoch: once it has, smaller ones are refused. For views that several
    /// processes may feed, under a lease whose token this is.
    pub fn with_epoch(self, epoch: Epoch) -> Self {
        Self { epoch, turn: Arc::default(), ..self }
    }

    /// Folds in everything that is in the log now. A projection that an event stopped is left
    /// where it stands: [`Projector::statuses`] tells.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub async fn catch_up(&self) -> Result<(), ProjectionError> {
        let mut turn = self.turn.lock().await;
        self.read_standings(&mut turn).await?;
        let head = self.store.head().await?.position;
        let checkpoints: BTreeSet<_> =
            turn.standings.iter().filter_map(|standing| standing.checkpoint).map(ordered).collect();
        for (position, checkpoint) in checkpoints {
            self.must_be_ours(Checkpoint { position, hash: checkpoint }, head).await?;
        }
        loop {
            let behind = turn.standings.iter().filter(|standing| standing.is_behind(head));
            let Some(after) = behind.map(Standing::position).min() else { return Ok(()) };
            let page = FoldPage::read(&*self.store, after).await?;
            self.fold_in(&mut turn, &page).await?;
        }
    }

    /// Folds in a page of whole batches, whoever read it, and whatever is missing before it.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub(crate) async fn fold(&self, page: LogPage) -> Result<(), ProjectionError> {
        let page = &FoldPage::new(page);
        {
            let mut turn = self.turn.lock().await;
            if turn.standings.is_empty() {
                self.read_standings(&mut turn).await?;
            }
            self.fold_in(&mut turn, page).await?;
            if !turn.standings.iter().any(|standing| standing.is_behind(page.end.position)) {
                return Ok(());
            }
        }
        self.catch_up().await
    }

    /// Where the projections stand, those without a checkpoint included.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub async fn statuses(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        Ok(view::statuses(&*self.views).await?)
    }

    /// Catches up, and folds in what a subscription that begins now brings, until its tailer ends
    /// or no projection can go on. After a fold it waits a little; pages that gathered meanwhile
    /// are folded in as one, which costs less than a transaction for each. A store that cannot be
    /// reached is asked again.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub async fn follow(&self, mut subscription: Subscription) -> Result<(), ProjectionError> {
        let mut is_behind = true;
        loop {
            let page = if is_behind { None } else { Some(subscription.next_gathered().await) };
            let begun = Instant::now();
            let folded = match page {
                Some(Ok(None)) => return Ok(()),
                Some(Ok(Some(page))) => self.fold(page).await,
                Some(Err(error)) => Err(error.into()),
                None => self.catch_up().await,
            };
            is_behind = match folded {
                Ok(()) => false,
                Err(ProjectionError::Store(error @ StoreError::Unavailable(_))) => {
                    if !is_behind {
                        tracing::warn!(%error, "the views wait for the store");
                    }
                    true
                }
                Err(error) => return Err(error),
            };
            let wait = if is_behind { LONGEST_GATHER } else { gather(begun.elapsed()) };
            tokio::time::sleep(wait).await;
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
}

/// How long appends gather after a fold that took so long.
fn gather(fold: Duration) -> Duration {
    (fold * 4).clamp(GATHER.0, GATHER.1).max(fold.min(LONGEST_GATHER))
}

fn ordered(checkpoint: Checkpoint) -> (u64, flexcore_eventsourcing::Hash) {
    (checkpoint.position, checkpoint.hash)
}
