//! Time and ids: what differs between two runs comes in through these.

use flexcore_eventsourcing::Timestamp;
use thiserror::Error;
use uuid::Uuid;

/// The wall clock.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// A source of new ids.
pub trait Ids: Send + Sync {
    /// A new UUID, version 7.
    fn next(&self) -> Uuid;

    /// Bytes that nobody can guess, for a new key.
    ///
    /// # Errors
    /// [`NoRandomness`].
    fn secret(&self) -> Result<[u8; 32], NoRandomness>;
}

/// The system has no random bytes to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the system gives no random bytes, so no key can be made")]
pub struct NoRandomness;
