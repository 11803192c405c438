//! Time and ids: what differs between two runs comes in through these.

use flexcore_eventsourcing::Timestamp;
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
}
