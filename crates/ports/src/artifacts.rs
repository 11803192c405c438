//! Artifacts: outputs too large for the event log, by reference to their SHA-256.

use async_trait::async_trait;
use flexcore_eventsourcing::Hash;

use crate::StorageError;

/// Content-addressed bytes.
#[async_trait]
pub trait Artifacts: Send + Sync {
    /// Stores `bytes` durably under their SHA-256; storing the same bytes again changes nothing.
    ///
    /// # Errors
    /// [`StorageError`] if they cannot be written.
    async fn put(&self, bytes: &[u8]) -> Result<Hash, StorageError>;

    /// The bytes with this hash, checked against it; `None` if there are none.
    ///
    /// # Errors
    /// [`StorageError`] if they cannot be read or do not have this hash any more.
    async fn get(&self, hash: Hash) -> Result<Option<Vec<u8>>, StorageError>;
}
