//! What projections read and write.

use async_trait::async_trait;
use flexcore_eventsourcing::{Epoch, Hash};
use thiserror::Error;

use super::row::{RowKey, ViewRow};
use crate::StoreError;

/// How far a projection has come, in the same transaction as the rows that it led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last position that is folded in; the end of a batch.
    pub position: u64,
    /// The hash of the batch that ends there: a log with another hash is another history.
    pub hash: Hash,
}

/// Where a projection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectionStatus {
    /// Its name.
    pub name: String,
    /// How far it has come; `None`: it has folded nothing in yet.
    pub checkpoint: Option<Checkpoint>,
    /// The highest epoch of those that wrote for it.
    pub epoch: Epoch,
    /// The event that it cannot get over, if there is one.
    pub stopped: Option<Stopped>,
}

/// An event that a projection cannot fold in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Its position.
    pub position: u64,
    /// Why.
    pub reason: String,
}

/// What one page of the log changes in a view.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold {
    /// The projection.
    pub projection: String,
    /// The checkpoint that its rows were read at; `None`: none was there.
    pub after: Option<Checkpoint>,
    /// The epoch of whoever folds. With leases it is the lease's token, else 0.
    pub epoch: Epoch,
    /// The checkpoint that takes the former one's place.
    pub checkpoint: Checkpoint,
    /// The rows to insert or replace.
    pub rows: Vec<ViewRow>,
}

/// Why a fold was not written. Nothing of it was.
#[derive(Debug, Clone, Error)]
pub enum ApplyError {
    /// Somebody else folded meanwhile; whoever meets this reads the checkpoint again.
    #[error("projection {projection} was moved on by somebody else")]
    Moved {
        /// The projection.
        projection: String,
    },
    /// Somebody with a higher epoch folds now.
    #[error("projection {projection} belongs to epoch {owner}; epoch {epoch} comes too late")]
    Fenced {
        /// The projection.
        projection: String,
        /// The epoch of the fold.
        epoch: Epoch,
        /// The highest epoch that was accepted.
        owner: Epoch,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The rows of all views as projections see them.
#[async_trait]
pub trait ProjectedRows: Send + Sync {
    /// Where the projections stand that wrote anything, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn projections(&self) -> Result<Vec<ProjectionStatus>, StoreError>;

    /// Those of these rows that there are, in no order. Notes are the projection's own.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn load(&self, projection: &str, keys: Vec<RowKey>) -> Result<Vec<ViewRow>, StoreError>;

    /// Writes rows and checkpoint in one transaction, if the checkpoint is still the one that the
    /// rows were read at and no higher epoch has written. A projection that was stopped goes on.
    ///
    /// # Errors
    /// [`ApplyError`].
    async fn apply(&self, fold: Fold) -> Result<(), ApplyError>;

    /// Writes folds of different projections, each under the conditions of
    /// [`apply`](Self::apply), and gives what became of each, in their order. One that is refused
    /// keeps no other from being written. A store writes them together if it can: one transaction
    /// costs less than one for each.
    async fn apply_all(&self, folds: Vec<Fold>) -> Vec<Result<(), ApplyError>> {
        let mut outcomes = Vec::with_capacity(folds.len());
        for fold in folds {
            outcomes.push(self.apply(fold).await);
        }
        outcomes
    }

    /// Remembers that a projection cannot get over an event, under the conditions of
    /// [`apply`](Self::apply).
    ///
    /// # Errors
    /// [`ApplyError`].
    async fn stop(
        &self,
        projection: &str,
        after: Option<Checkpoint>,
        epoch: Epoch,
        stopped: Stopped,
    ) -> Result<(), ApplyError>;

    /// How far a projection has come; `None` if it has folded nothing in yet.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn checkpoint(&self, projection: &str) -> Result<Option<Checkpoint>, StoreError> {
        let mut all = self.projections().await?.into_iter();
        Ok(all.find(|status| status.name == projection).and_then(|status| status.checkpoint))
    }
}
