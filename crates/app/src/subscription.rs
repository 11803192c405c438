//! Following the log: one tailer for a process, any number of subscriptions.
//!
//! ```text
//! store.appended() ─▶ tailer: read once ▸ contiguous? ▸ end of a batch ─┬▶ queue ─▶ subscription
//!                                                                      ├▶ queue ─▶ subscription
//!                                        read by itself until it is back └ full     subscription
//! ```
//!
//! The tailer reads each page once and shares it without a copy. It waits for nobody: a
//! subscription whose queue is full loses its place there, reads on by itself, and takes a place
//! again when it has come to where the tailer is. So nothing is lost, and memory stays bounded.
//!
//! Positions are dense, so a page that skips one proves that something is wrong: the tailer stops
//! with the position, and so does every subscription. A checkpoint is a position and the hash of
//! the batch that ends there; with it a subscription knows that it still follows the same history.

mod page;
mod tailer;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use flexcore_eventsourcing::{Hash, Timestamp};
use flexcore_ports::{Checkpoint, EventStore, StoreError};
use thiserror::Error;
use tokio::sync::mpsc;

pub use page::LogPage;
use page::must_be_ours;
pub(crate) use page::read_page;
use tailer::{Closed, Join, Shared};
pub use tailer::{Tailer, TailerOptions};

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first event of the log.
    Beginning,
    /// After what a checkpoint covers. Refused if the log is shorter or has another history there.
    After(Checkpoint),
    /// With the first event that was committed after this time.
    AfterTime(Timestamp),
    /// With the next event.
    Now,
}

/// Why a subscription ended.
#[derive(Debug, Clone, Error)]
pub enum SubscriptionError {
    /// The store failed. Asked again, the subscription goes on where it was.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log is not the one that was followed.
    #[error(
        "the log was followed up to position {position}, but {problem}; the log was truncated or replaced"
    )]
    Forked {
        /// How far it was followed.
        position: u64,
        /// What the log has there.
        problem: &'static str,
    },
    /// The log skips a position. Nothing after it was handed out.
    #[error("the log has no event at position {position}{}", next_is(*.found))]
    Hole {
        /// The position.
        position: u64,
        /// The event that came in its place; `None` if nothing did although the log goes on.
        found: Option<u64>,
    },
}

fn next_is(found: Option<u64>) -> String {
    match found {
        Some(found) => format!("; the next one is at {found}"),
        None => " although it goes on".to_owned(),
    }
}

/// Makes subscriptions to a tailer: a cheap handle.
#[derive(Clone)]
pub struct LogSubscriptions {
    store: Arc<dyn EventStore>,
    shared: Arc<Shared>,
}

impl LogSubscriptions {
    /// A subscription from `start` on.
    ///
    /// # Errors
    /// [`SubscriptionError::Forked`] if the log is not the one of the checkpoint.
    pub async fn subscribe(&self, start: Start) -> Result<Subscription, SubscriptionError> {
        let store = &*self.store;
        let checkpoint = match start {
            Start::Beginning => BEGINNING,
            Start::After(checkpoint) => {
                must_be_ours(store, checkpoint).await?;
                checkpoint
            }
            Start::AfterTime(time) => ending_at(store, store.position_at(time).await?).await?,
            Start::Now => {
                let head = store.head().await?;
                Checkpoint { position: head.position, hash: head.hash }
            }
        };
        let source = Source::Log { is_ours: true };
        Ok(Subscription { log: self.clone(), checkpoint, source })
    }
}

impl std::fmt::Debug for LogSubscriptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LogSubscriptions").finish_non_exhaustive()
    }
}

/// Before the first event.
const BEGINNING: Checkpoint = Checkpoint { position: 0, hash: Hash::ZERO };

async fn ending_at(store: &dyn EventStore, position: u64) -> Result<Checkpoint, SubscriptionError> {
    if position == 0 {
        return Ok(BEGINNING);
    }
    let Some(hash) = store.batch_hash_at(position).await? else {
        let place = format!("position {position}");
        let reason = "no batch ends where a time of commit ends".to_owned();
        return Err(StoreError::Corrupt { place, reason }.into());
    };
    Ok(Checkpoint { position, hash })
}

/// A place in the log that moves on.
#[derive(Debug)]
pub struct Subscription {
    log: LogSubscriptions,
    checkpoint: Checkpoint,
    source: Source,
}

/// Where the next page comes from.
#[derive(Debug)]
enum Source {
    /// The tailer's queue.
    Tailer(mpsc::Receiver<LogPage>),
    /// The log itself; after an error it has to be shown to be ours still.
    Log { is_ours: bool },
}

impl Subscription {
    /// How far it has come: the end of the last page that was handed out.
    pub const fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }

    /// As [`next`](Self::next), with the pages that wait behind that one: the tailer makes one of
    /// each batch, and folding them in one by one costs a transaction for each.
    ///
    /// # Errors
    /// [`SubscriptionError`]; after one of the store it may be called again.
    pub async fn next_gathered(&mut self) -> Result<Option<LogPage>, SubscriptionError> {
        let Some(page) = self.next().await? else { return Ok(None) };
        let mut following = Vec::new();
        // No more than the queue holds.
        while let Source::Tailer(queue) = &mut self.source
            && let Ok(page) = queue.try_recv()
        {
            following.extend(page.after(self.checkpoint.position));
            self.checkpoint = following.last().map_or(self.checkpoint, LogPage::end);
        }
        Ok(Some(page.with(&following)))
    }

    /// The next page: events without a gap after the page before it, up to the end of a batch.
    /// Waits until there is one; `None` when the tailer was told to end. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// [`SubscriptionError`]; after one of the store it may be called again.
    pub async fn next(&mut self) -> Result<Option<LogPage>, SubscriptionError> {
        loop {
            let page = match &mut self.source {
                Source::Tailer(queue) => {
                    let Some(page) = queue.recv().await else {
                        self.source = Source::Log { is_ours: true };
                        continue;
                    };
                    page.after(self.checkpoint.position)
                }
                Source::Log { .. } => match self.join_or_read().await? {
                    Next::Page(page) => Some(page),
                    Next::Joined => None,
                    Next::Ended => return Ok(None),
                },
            };
            if let Some(page) = page {
                self.checkpoint = page.end();
                return Ok(Some(page));
            }
        }
    }

    async fn join_or_read(&mut self) -> Result<Next, SubscriptionError> {
        let position = self.checkpoint.position;
        match self.log.shared.join(position) {
            Join::Joined(queue) => {
                self.source = Source::Tailer(queue);
                return Ok(Next::Joined);
            }
            Join::Closed(Closed::Ended) => return Ok(Next::Ended),
            Join::Closed(Closed::Failed(error)) => return Err(error),
            Join::Behind => {}
        }
        match self.read().await {
            Ok(page) => Ok(Next::Page(page)),
            Err(error) => {
                self.source = Source::Log { is_ours: false };
                Err(error)
            }
        }
    }

    /// A page that is known to be there: the tailer is further on.
    async fn read(&mut self) -> Result<LogPage, SubscriptionError> {
        if matches!(self.source, Source::Log { is_ours: false }) {
            must_be_ours(&*self.log.store, self.checkpoint).await?;
            self.source = Source::Log { is_ours: true };
        }
        let position = self.checkpoint.position;
        let page = read_page(&*self.log.store, position).await?;
        page.ok_or(SubscriptionError::Hole { position: position + 1, found: None })
    }
}

enum Next {
    Page(LogPage),
    Joined,
    Ended,
}
