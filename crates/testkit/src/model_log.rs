//! The reference of an event store: plain lists, one append at a time.

use std::collections::{BTreeMap, HashSet};

use flexcore_eventsourcing::{Append, Epoch, EventData, EventId, StreamName, StreamWrite};
use proptest::{collection::vec, option, prelude::*};

use crate::{event, stream};

/// What the reference says to an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelOutcome {
    /// Written; the last position, 0 for guards alone.
    Written(u64),
    /// It stood there already; its last position.
    Repeated(u64),
    /// A stream has another version.
    Conflict {
        /// The stream.
        stream: StreamName,
        /// The version that it has.
        actual: u64,
    },
    /// A stream belongs to a later epoch.
    Fenced {
        /// The stream.
        stream: StreamName,
        /// The epoch that it belongs to.
        owner: Epoch,
    },
    /// It is malformed, or an id in it belongs to another event.
    Invalid,
}

#[derive(Debug, Clone, Default)]
struct ModelStream {
    events: Vec<(u64, EventData)>,
    owner: Epoch,
}

/// An event store as its contract describes it, in memory and without any cleverness.
#[derive(Debug, Clone, Default)]
pub struct ModelLog {
    streams: BTreeMap<StreamName, ModelStream>,
    before: u64,
    last_position: u64,
}

impl ModelLog {
    /// A log whose first event takes the position after `position`.
    pub fn after(position: u64) -> Self {
        Self { before: position, last_position: position, ..Self::default() }
    }

    /// Appends, or says why not.
    pub fn append(&mut self, append: &Append) -> ModelOutcome {
        let mut ids = HashSet::new();
        let twice = |event: &EventData, ids: &mut HashSet<EventId>| !ids.insert(event.id);
        let events = || append.writes.iter().flat_map(|write| &write.events);
        if append.writes.is_empty() || events().any(|event| twice(event, &mut ids)) {
            return ModelOutcome::Invalid;
        }
        let mut next = self.clone();
        for write in &append.writes {
            if let Some(refusal) = next.write(write) {
                return self.find(append).unwrap_or(refusal);
            }
        }
        let written = next.last_position - self.last_position;
        *self = next;
        ModelOutcome::Written(if written == 0 { 0 } else { self.last_position })
    }

    /// Positions and events of a stream, in order.
    pub fn events(&self, stream: &StreamName) -> &[(u64, EventData)] {
        self.streams.get(stream).map_or(&[], |stream| &stream.events)
    }

    /// The streams that have events.
    pub fn streams(&self) -> impl Iterator<Item = &StreamName> {
        self.streams.iter().filter(|(_, stream)| !stream.events.is_empty()).map(|(name, _)| name)
    }

    /// Positions and events of the whole log, in order.
    pub fn all(&self) -> Vec<(u64, EventData)> {
        let mut all: Vec<_> =
            self.streams.values().flat_map(|stream| stream.events.iter().cloned()).collect();
        all.sort_by_key(|(position, _)| *position);
        all
    }

    /// The position of its first event, once there is one.
    pub fn first_position(&self) -> u64 {
        self.before + 1
    }

    /// The last position.
    pub fn last_position(&self) -> u64 {
        self.last_position
    }

    fn write(&mut self, write: &StreamWrite) -> Option<ModelOutcome> {
        let name = write.stream.clone();
        let stream = self.streams.entry(name.clone()).or_default();
        if write.fence.is_some_and(|fence| fence < stream.owner) {
            return Some(ModelOutcome::Fenced { stream: name, owner: stream.owner });
        }
        let actual = stream.events.len() as u64;
        if actual != write.expected {
            return Some(ModelOutcome::Conflict { stream: name, actual });
        }
        for event in &write.events {
            self.last_position += 1;
            stream.events.push((self.last_position, event.clone()));
            stream.owner = stream.owner.max(write.fence.unwrap_or_default());
        }
        None
    }

    /// Whether every event stands where the append wants it.
    fn find(&self, append: &Append) -> Option<ModelOutcome> {
        let mut last = None;
        for write in &append.writes {
            let stored = self.events(&write.stream);
            for (index, event) in (write.expected..).zip(&write.events) {
                let (position, found) = stored.get(usize::try_from(index).ok()?)?;
                if found.id != event.id {
                    return None;
                }
                if found != event {
                    return Some(ModelOutcome::Invalid);
                }
                last = Some(*position);
            }
        }
        last.map(ModelOutcome::Repeated)
    }
}

/// Appends to three streams, with few versions, epochs and ids, so that conflicts, fences and
/// repetitions are common.
pub fn append_strategy() -> impl Strategy<Value = Append> {
    let write = (0..3_u8, 0..6_u64, option::of(0..3_u64), vec(0..40_u64, 0..4)).prop_map(
        |(key, expected, fence, ids)| StreamWrite {
            stream: stream(&key.to_string()),
            expected,
            fence: fence.map(Epoch),
            events: ids.into_iter().map(event).collect(),
        },
    );
    vec(write, 0..4).prop_map(|writes| Append { writes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_tells_a_repetition_from_a_conflict() {
        let mut log = ModelLog::default();
        let first = Append::to(stream("a"), 0, vec![event(1), event(2)]);
        assert_eq!(log.append(&first), ModelOutcome::Written(2));
        assert_eq!(log.append(&first), ModelOutcome::Repeated(2));
        let other = Append::to(stream("a"), 0, vec![event(1), event(3)]);
        let conflict = ModelOutcome::Conflict { stream: stream("a"), actual: 2 };
        assert_eq!(log.append(&other), conflict);
        assert_eq!(log.last_position(), 2);
    }
}
