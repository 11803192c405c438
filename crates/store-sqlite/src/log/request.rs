//! What callers hand to the writer thread.

use flexcore_eventsourcing::{Append, EventData, Hash, StreamWrite, leaf_hash};
pub(crate) use flexcore_ports::check_event;
use flexcore_ports::{AppendError, Appended, StoreError, check_append};
use tokio::sync::oneshot;

use super::transfer::Import;

/// The answer to one append.
///
/// The append goes back with it, so that its memory is freed on the caller's thread: the writer is
/// the one thread that everybody waits for.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What the append came to.
    pub(crate) outcome: Result<Appended, AppendError>,
    /// The append.
    pub(crate) prepared: Prepared,
}

/// Where the answer to an append goes.
pub(crate) type Reply = oneshot::Sender<Answer>;

/// A message to the writer thread.
#[derive(Debug)]
pub(crate) enum Request {
    /// Append, and answer when it is durable or refused.
    Append(Prepared, Reply),
    /// Commit what came before, then add whole batches.
    Import(Import),
    /// Commit what came before, write everything into the main file, and end.
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// An append that keeps the limits, with its leaves computed on the caller's thread.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The append.
    pub(crate) append: Append,
    /// The leaf of each event, in order.
    pub(crate) leaves: Vec<Hash>,
    /// How many payload bytes it has.
    pub(crate) bytes: usize,
}

impl Prepared {
    /// Checks the limits and computes the leaves.
    ///
    /// # Errors
    /// [`AppendError::Invalid`] naming what breaks which limit.
    pub(crate) fn new(append: Append) -> Result<Self, AppendError> {
        let bytes = check_append(&append)?;
        let leaves =
            events(&append).map(|(write, event)| leaf_hash(&write.stream, event)).collect();
        Ok(Self { append, leaves, bytes })
    }
}

fn events(append: &Append) -> impl Iterator<Item = (&StreamWrite, &EventData)> {
    append.writes.iter().flat_map(|write| write.events.iter().map(move |event| (write, event)))
}
