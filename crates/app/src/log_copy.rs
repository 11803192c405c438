//! Copies of the log: a file of its batches, and from one store into another.
//!
//! A copy keeps every batch as it was, and each is proven on the way: its hashes are recomputed
//! from its events before it is handed on. So a copy of a log that was proven is that log.

mod file;
#[cfg(test)]
mod tests;

use flexcore_eventsourcing::Hash;
use flexcore_ports::{LogBatch, LogHead, LogTransfer, StoreError, TransferError};
use thiserror::Error;

pub use file::{LogFileError, LogFileHeader, batch_line, read_batch};

/// How many batches are read at a time.
const BATCHES: usize = 500;

/// Before the first batch.
pub const EMPTY_LOG: LogHead = LogHead { position: 0, batch: 0, hash: Hash::ZERO };

/// Why a log was not copied to its end. What came before is there; copying again skips it.
#[derive(Debug, Error)]
pub enum CopyError {
    /// The log that is copied cannot be read.
    #[error("the log that is copied: {0}")]
    Source(#[source] StoreError),
    /// A batch of the log that is copied is not what its hashes say.
    #[error("batch {batch} of the log that is copied cannot be proven: {reason}")]
    Unproven {
        /// Its number.
        batch: u64,
        /// What does not hold.
        reason: String,
    },
    /// The destination did not take batches.
    #[error(transparent)]
    Destination(#[from] TransferError),
}

/// Reads a log batch after batch and proves each.
pub struct ProvenBatches<'a> {
    log: &'a dyn LogTransfer,
    end: LogHead,
}

impl<'a> ProvenBatches<'a> {
    /// From the beginning of a log.
    pub fn of(log: &'a dyn LogTransfer) -> Self {
        Self { log, end: EMPTY_LOG }
    }

    /// The end of the last batch that was handed out.
    pub const fn end(&self) -> LogHead {
        self.end
    }

    /// The next batches; none at the end of the log.
    ///
    /// # Errors
    /// [`CopyError`].
    pub async fn next(&mut self) -> Result<Vec<LogBatch>, CopyError> {
        let batches =
            self.log.read_batches(self.end.batch, BATCHES).await.map_err(CopyError::Source)?;
        self.end = prove(&batches, self.end)?;
        Ok(batches)
    }
}

impl std::fmt::Debug for ProvenBatches<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ProvenBatches").field("end", &self.end).finish_non_exhaustive()
    }
}

/// Proves that batches follow `before` and hold what they say; gives the end of the last.
///
/// # Errors
/// [`CopyError::Unproven`] with the first that does not.
pub fn prove(batches: &[LogBatch], before: LogHead) -> Result<LogHead, CopyError> {
    let mut end = before;
    for batch in batches {
        batch
            .check_after(end)
            .map_err(|reason| CopyError::Unproven { batch: batch.number, reason })?;
        end = batch.head();
    }
    Ok(end)
}

/// Copies every batch of one log into another, which must be empty or an older copy of it, and
/// tells the end of what was copied now and then.
///
/// # Errors
/// [`CopyError`].
pub async fn copy_log(
    from: &dyn LogTransfer,
    into: &dyn LogTransfer,
    mut copied: impl FnMut(LogHead) + Send,
) -> Result<LogHead, CopyError> {
    let mut batches = ProvenBatches::of(from);
    loop {
        let read = batches.next().await?;
        if read.is_empty() {
            return Ok(batches.end());
        }
        into.write_batches(read).await?;
        copied(batches.end());
    }
}
