//! Signing the log's end from time to time and handing it to a sink.

use std::{sync::Arc, time::Duration};

use flexcore_ports::{
    CheckpointSink, Clock, EventStore, LogHead, ReadFilter, StorageError, StoreError,
};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::{CheckpointKey, LogCheckpoint};

/// Why a checkpoint was not exported.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The note could not be handed over.
    #[error("the checkpoint could not be exported: {0}")]
    Sink(#[from] StorageError),
}

/// The signed note of where the log ends now, with the checkpoint that it says; `None` for an
/// empty log.
///
/// # Errors
/// [`StoreError`].
pub async fn sign_head(
    store: &dyn EventStore,
    clock: &dyn Clock,
    key: &CheckpointKey,
) -> Result<Option<(LogCheckpoint, String)>, StoreError> {
    let head = store.head().await?;
    let first = store.read_all(0, 1, &ReadFilter::default()).await?;
    let Some(first) = first.first() else { return Ok(None) };
    let checkpoint = LogCheckpoint { log: first.leaf, head, signed_at: clock.now() };
    let note = checkpoint.sign(key);
    Ok(Some((checkpoint, note)))
}

/// Exports a signed checkpoint whenever the log has grown.
pub struct CheckpointExporter {
    store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    key: CheckpointKey,
    sink: Arc<dyn CheckpointSink>,
    exported: Option<LogHead>,
}

impl CheckpointExporter {
    /// From this log to this sink.
    pub fn new(
        store: Arc<dyn EventStore>,
        clock: Arc<dyn Clock>,
        key: CheckpointKey,
        sink: Arc<dyn CheckpointSink>,
    ) -> Self {
        Self { store, clock, key, sink, exported: None }
    }

    /// Exports a checkpoint unless the log's end is the one that was exported last; whether one
    /// was exported.
    ///
    /// # Errors
    /// [`CheckpointError`]; the same end is tried again next time.
    pub async fn export(&mut self) -> Result<bool, CheckpointError> {
        let head = self.store.head().await?;
        if head.batch == 0 || self.exported == Some(head) {
            return Ok(false);
        }
        let Some((checkpoint, note)) = sign_head(&*self.store, &*self.clock, &self.key).await?
        else {
            return Ok(false);
        };
        self.sink.write(&note).await?;
        self.exported = Some(checkpoint.head);
        Ok(true)
    }

    /// Exports every `every`, and once more when it is told to end. A sink that fails is warned
    /// about once and tried again each time.
    pub async fn run(mut self, every: Duration, end: CancellationToken) {
        let mut failing = false;
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let last = tokio::select! {
                () = end.cancelled() => true,
                _ = ticks.tick() => false,
            };
            match self.export().await {
                Ok(_) => failing = false,
                Err(error) if !failing || last => {
                    failing = true;
                    tracing::warn!("{error}");
                }
                Err(_) => {}
            }
            if last {
                return;
            }
        }
    }
}

impl std::fmt::Debug for CheckpointExporter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CheckpointExporter").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
