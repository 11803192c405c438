//! What a client asks a store to write.

use std::fmt;

use crate::{EventData, StreamName};

/// The fencing number of an owner: it grows with every change of owner, and a store refuses an
/// append whose epoch is below the highest that it accepted for the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of the next owner.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// An ordered list of stream writes, accepted or refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Append {
    /// The writes, in the order in which their events take positions.
    pub writes: Vec<StreamWrite>,
}

/// The part of an append that concerns one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamWrite {
    /// The stream.
    pub stream: StreamName,
    /// How many events the stream must have for the append to be accepted; 0 for a new stream.
    pub expected: u64,
    /// `Some(epoch)`: refused if below the stream's owner epoch, which it otherwise raises.
    /// `None` (a command from outside the owner): neither checks nor raises it.
    pub fence: Option<Epoch>,
    /// The events. None at all makes this write a guard: version and fence are checked and no
    /// trace is left.
    pub events: Vec<EventData>,
}

impl Append {
    /// An append to one stream.
    pub fn to(stream: StreamName, expected: u64, events: Vec<EventData>) -> Self {
        Self { writes: vec![StreamWrite { stream, expected, fence: None, events }] }
    }

    /// The same append with `fence` on its last write.
    #[must_use]
    pub fn fenced(mut self, fence: Epoch) -> Self {
        if let Some(write) = self.writes.last_mut() {
            write.fence = Some(fence);
        }
        self
    }

    /// The same append with one more stream.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.writes.extend(other.writes);
        self
    }

    /// The same append with a guard: the stream must have exactly `expected` events and, if given,
    /// an owner epoch of at most `fence`.
    #[must_use]
    pub fn guarded(mut self, stream: StreamName, expected: u64, fence: Option<Epoch>) -> Self {
        self.writes.push(StreamWrite { stream, expected, fence, events: Vec::new() });
        self
    }

    /// How many events it would add.
    pub fn event_count(&self) -> usize {
        self.writes.iter().map(|write| write.events.len()).sum()
    }
}
