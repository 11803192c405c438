//! Where signed checkpoints of the log go.

use async_trait::async_trait;

use crate::StorageError;

/// Takes signed checkpoints to a place that whoever can write the log should not be able to
/// rewrite.
#[async_trait]
pub trait CheckpointSink: Send + Sync {
    /// Hands over one signed note, whole lines of text; durable as far as the sink can tell when it
    /// returns.
    ///
    /// # Errors
    /// [`StorageError`]; the caller hands over a newer note later.
    async fn write(&self, note: &str) -> Result<(), StorageError>;
}
