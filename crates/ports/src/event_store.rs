//! The event log.

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_eventsourcing::{Append, Epoch, Hash, RecordedEvent, StreamName, Timestamp};
use thiserror::Error;
use tokio::sync::watch;

/// What an accepted append came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Position of its last event; 0 if it had only guards.
    pub last_position: u64,
    /// Whether the same events stood there already: a retry of an append that had succeeded.
    pub repeated: bool,
}

/// Why an append was refused. Nothing of it was written.
#[derive(Debug, Clone, Error)]
pub enum AppendError {
    /// A stream has not the expected version.
    #[error("stream {stream} has version {actual}, not the expected {expected}")]
    Conflict {
        /// The stream.
        stream: StreamName,
        /// What the append expected.
        expected: u64,
        /// What the stream has.
        actual: u64,
    },
    /// The writer is no longer the owner.
    #[error(
        "stream {stream} belongs to epoch {owner}; an append with epoch {fence} comes too late"
    )]
    Fenced {
        /// The stream.
        stream: StreamName,
        /// The epoch of the append.
        fence: Epoch,
        /// The highest epoch that was accepted.
        owner: Epoch,
    },
    /// The append breaks a limit or is malformed; sending it again will not help.
    #[error("append refused: {0}")]
    Invalid(String),
    /// The store cannot take it now.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

/// A store that cannot answer, or has answered something impossible.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// Cannot be reached or written; the cause is inside.
    #[error("the event store is unavailable: {0}")]
    Unavailable(String),
    /// A stored row cannot be what was once written.
    #[error("the event store is corrupt at {place}: {reason}")]
    Corrupt {
        /// Position, stream or batch.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What was given as the end of a page is none: the asker's mistake, not the store's.
    #[error("`{0}` does not continue a list")]
    NotACursor(String),
    /// The disk or a fence of the store is gone: it takes no more appends.
    #[error("the event store stopped taking appends: {0}")]
    Poisoned(String),
}

/// The end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHead {
    /// The last position; 0 for an empty log.
    pub position: u64,
    /// The number of the last batch; 0 for an empty log.
    pub batch: u64,
    /// The hash of the last batch.
    pub hash: Hash,
}

/// A stored state of an aggregate, so that a long stream need not be folded from its beginning.
///
/// The store binds it to the history that it was folded from, so that it is never used with
/// another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The stream.
    pub stream: StreamName,
    /// How many events are folded in.
    pub version: u64,
    /// The version of the payload's form.
    pub schema_version: u16,
    /// The state.
    pub payload: Vec<u8>,
}

/// Which events a read of the whole log gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadFilter {
    /// Only these event types; empty: all.
    pub types: Vec<String>,
}

/// The append-only log of all events.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Appends as a whole or refuses as a whole; durable when it returns.
    ///
    /// Repeating an append whose events (by id) stand at the expected versions already succeeds
    /// with [`Appended::repeated`].
    ///
    /// # Errors
    /// [`AppendError`].
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// At most `limit` events (a store may hold `limit` to 10,000) of a stream, from
    /// `from_version` (1 is the first) on. Fewer than that are all that there were.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn read_stream(
        &self,
        stream: &StreamName,
        from_version: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError>;

    /// At most `limit` events (a store may hold `limit` to 10,000) of the whole log after position
    /// `after`, in order. Fewer than that are all that there were.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn read_all(
        &self,
        after: u64,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<Vec<RecordedEvent>, StoreError>;

    /// The last position that was committed at or before `time`; 0 if none was.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn position_at(&self, time: Timestamp) -> Result<u64, StoreError>;

    /// The end of the log.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn head(&self) -> Result<LogHead, StoreError>;

    /// The hash of the batch that ends at `position`; `None` if no batch ends there. With it a
    /// projection knows that it still follows the same history.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn batch_hash_at(&self, position: u64) -> Result<Option<Hash>, StoreError>;

    /// Changes whenever something was appended: the last position.
    fn appended(&self) -> watch::Receiver<u64>;
}

/// Snapshots of aggregates.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// The snapshot of a stream; `None` if there is none, or none of the history that the log
    /// holds now.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn load(&self, stream: &StreamName) -> Result<Option<Snapshot>, StoreError>;

    /// Stores a snapshot in place of an older one of its stream.
    ///
    /// # Errors
    /// [`StoreError`]; also if the stream has fewer events than the snapshot says.
    async fn save(&self, snapshot: Snapshot) -> Result<(), StoreError>;
}

/// What `verify` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// How many batches were checked.
    pub batches: u64,
    /// How many events were checked.
    pub events: u64,
    /// How many streams were checked.
    pub streams: u64,
    /// The end of the log.
    pub head: Hash,
    /// The first thing that does not hold; `None`: the log is whole.
    pub fault: Option<VerifyFault>,
}

/// The first thing in the log that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyFault {
    /// The first bad batch, if the fault can be told to be in one.
    pub batch: Option<u64>,
    /// The page of the file that cannot be read, if that is the fault.
    pub page: Option<u64>,
    /// The last position that is proven good.
    pub last_good_position: u64,
    /// What does not hold, for a person.
    pub reason: String,
}

/// What is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogCounts {
    /// The end of the log.
    pub head: LogHead,
    /// How many streams there are.
    pub streams: u64,
    /// How many events there are of each type, in no order.
    pub types: Vec<(String, u64)>,
    /// When the first batch was committed; `None` for an empty log.
    pub first_committed_at: Option<Timestamp>,
    /// When the last batch was committed; `None` for an empty log.
    pub last_committed_at: Option<Timestamp>,
}

/// Proves and counts the log.
#[async_trait]
pub trait LogVerifier: Send + Sync {
    /// Recomputes positions, versions, heads, epochs and hashes from the stored rows, and compares
    /// them with what is stored, with every projection's checkpoint, and with `witnessed`: ends
    /// that the log is known to have had, for example from signed checkpoints. A log that was cut
    /// short is found only by them.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read at all.
    async fn verify(&self, witnessed: &[LogHead]) -> Result<VerifyReport, StoreError>;

    /// Counts what is in the log.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn statistics(&self) -> Result<LogCounts, StoreError>;
}

/// A shared event store.
pub type SharedEventStore = Arc<dyn EventStore>;
