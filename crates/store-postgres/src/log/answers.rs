//! What callers hand to the batcher, and what they get back.

use flexcore_ports::{AppendError, Appended};
use tokio::sync::oneshot;

use super::prepared::Prepared;

/// An append on its way.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) prepared: Prepared,
    pub(crate) reply: oneshot::Sender<Answer>,
    /// It was refused although nothing speaks against it: what is known of its streams is stale.
    pub(crate) is_again: bool,
    /// It had to wait for another append to the same stream.
    pub(crate) was_deferred: bool,
}

/// What came of it.
///
/// The append goes back with it, so that its memory is freed on the caller's thread: the batcher is
/// the one task that everybody waits for.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) prepared: Prepared,
    pub(crate) outcome: Outcome,
}

/// What came of an append.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was written, up to this position; 0 if it had only guards.
    Written(u64),
    /// A version or fence did not hold. Which, its caller finds out.
    Refused,
    /// The store could not take it.
    Failed(AppendError),
}

impl Request {
    /// Answers. A caller that no longer waits will find its events by repeating the append.
    pub(crate) fn answer(self, outcome: Outcome) {
        let _ = self.reply.send(Answer { prepared: self.prepared, outcome });
    }
}

/// The outcome of an append that was written.
pub(crate) fn written(last_position: u64) -> Appended {
    Appended { last_position, repeated: false }
}
