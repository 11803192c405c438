//! Whole batches out of one log and into another, unchanged.

use async_trait::async_trait;
use flexcore_eventsourcing::{
    BatchHeader, BatchWrite, Hash, RecordedEvent, batch_hash, leaf_hash, leaves_root,
};
use thiserror::Error;

use crate::{LogHead, StoreError};

/// One link of a log's chain, with everything that its hash covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBatch {
    /// Its number, from 1.
    pub number: u64,
    /// What its hash covers besides the hash before it.
    pub header: BatchHeader,
    /// Its hash.
    pub hash: Hash,
    /// Its events, in the order of their positions.
    pub events: Vec<RecordedEvent>,
}

impl LogBatch {
    /// The end of a log whose last batch this is.
    pub fn head(&self) -> LogHead {
        LogHead { position: self.header.last_position, batch: self.number, hash: self.hash }
    }

    /// Recomputes everything that the batch says about itself: its place after `before`, the
    /// positions, versions and leaves of its events, its root and its hash. That versions follow
    /// those of earlier batches, and that time does not run backwards, is for the log to say.
    ///
    /// # Errors
    /// What does not hold, for a person.
    pub fn check_after(&self, before: LogHead) -> Result<(), String> {
        let BatchHeader { first_position, last_position, committed_at, ref writes, root } =
            self.header;
        if self.number != before.batch + 1 {
            return Err(format!("it does not follow batch {}", before.batch));
        }
        if first_position != before.position + 1 {
            return Err(format!("it begins at position {first_position}"));
        }
        if self.events.is_empty() || last_position != before.position + self.events.len() as u64 {
            let count = self.events.len();
            return Err(format!("it ends at position {last_position} and has {count} events"));
        }
        let places = writes.iter().flat_map(|write| {
            (write.first_version..).take(write.count as usize).map(move |version| (write, version))
        });
        let mut leaves = Vec::with_capacity(self.events.len());
        let mut places = places.zip(first_position..);
        for event in &self.events {
            let ((write, version), position) =
                places.next().ok_or("it has more events than its writes say")?;
            check_event(event, write, version, position)?;
            if event.committed_at != committed_at {
                return Err(format!("at position {position} there is another time of commit"));
            }
            leaves.push(event.leaf);
        }
        if places.next().is_some() {
            return Err("it has fewer events than its writes say".to_owned());
        }
        if leaves_root(&leaves) != root {
            return Err("its root is not that of its events".to_owned());
        }
        if batch_hash(before.hash, &self.header) != self.hash {
            return Err("its hash is not that of what it says".to_owned());
        }
        Ok(())
    }
}

fn check_event(
    event: &RecordedEvent,
    write: &BatchWrite,
    version: u64,
    position: u64,
) -> Result<(), String> {
    let at = |what: String| Err(format!("at position {position} {what}"));
    if event.position != position {
        return at(format!("there is the event of position {}", event.position));
    }
    if event.stream != write.stream {
        return at(format!("there is an event of stream {}", event.stream));
    }
    if event.version != version {
        return at(format!("there is version {} of {}", event.version, event.stream));
    }
    if leaf_hash(&event.stream, &event.event) != event.leaf {
        return at("the event is not what its leaf was made of".to_owned());
    }
    Ok(())
}

/// Ends that a log is known to have had, as a verifier compares them with the batches that it
/// passes.
#[derive(Debug)]
pub struct WitnessedHeads {
    ahead: Vec<LogHead>,
}

impl WitnessedHeads {
    /// To be compared with a log from its beginning on.
    pub fn new(heads: &[LogHead]) -> Self {
        let mut ahead: Vec<_> = heads.iter().copied().filter(|head| head.batch > 0).collect();
        ahead.sort_by_key(|head| std::cmp::Reverse(head.batch));
        Self { ahead }
    }

    /// Compares the end of a batch, batch after batch.
    ///
    /// # Errors
    /// What does not hold, for a person.
    pub fn pass(&mut self, head: LogHead) -> Result<(), String> {
        while let Some(witnessed) = self.ahead.pop_if(|ahead| ahead.batch <= head.batch) {
            if witnessed != head {
                return Err(format!(
                    "a witnessed checkpoint says that batch {} ended at position {} with hash {}, \
                     not at {} with {}: the log was rewritten",
                    witnessed.batch, witnessed.position, witnessed.hash, head.position, head.hash
                ));
            }
        }
        Ok(())
    }

    /// After the last batch.
    ///
    /// # Errors
    /// That the log is shorter than it was, for a person.
    pub fn end(&self) -> Result<(), String> {
        match self.ahead.first() {
            None => Ok(()),
            Some(newest) => Err(format!(
                "a witnessed checkpoint says that the log had batch {} up to position {}: its \
                 end was cut off",
                newest.batch, newest.position
            )),
        }
    }
}

/// Why batches were not taken over. Those before the first that was refused are in the log.
#[derive(Debug, Clone, Error)]
pub enum TransferError {
    /// The batch does not follow the log's end, or its hashes do not hold: it was changed on the
    /// way, or belongs to another log.
    #[error("batch {batch} cannot be taken over: {reason}")]
    Refused {
        /// Its number.
        batch: u64,
        /// What does not hold.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies logs: export, import, and moving from one kind of store to another.
#[async_trait]
pub trait LogTransfer: Send + Sync {
    /// At most `limit` batches (a store may hold `limit` to 1,000, or to some megabytes of events)
    /// after batch number `after`, in order. None at all means that there are no more.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn read_batches(&self, after: u64, limit: usize) -> Result<Vec<LogBatch>, StoreError>;

    /// Adds batches at the log's end as another log committed them: same numbers, positions, times
    /// and hashes. Each is recomputed from its events before it is written. Batches that the log
    /// has already are compared and skipped, so that a broken-off import can be repeated. Durable
    /// when it returns; gives the log's end.
    ///
    /// # Errors
    /// [`TransferError`].
    async fn write_batches(&self, batches: Vec<LogBatch>) -> Result<LogHead, TransferError>;
}
