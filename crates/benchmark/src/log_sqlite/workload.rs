//! What both sides write.

use flexcore_eventsourcing::{EventContext, EventData, EventId, StreamName, Timestamp};
use uuid::Builder;

/// How many streams the events are spread over.
pub(crate) const STREAMS: usize = 1_000;

/// A way to append.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// How many callers wait for an append of theirs at a time.
    pub(crate) callers: usize,
    /// How many events of one stream an append has.
    pub(crate) events: usize,
    /// How many events a transaction of the bare side has.
    pub(crate) group: usize,
    /// In how many slices the sides take turns.
    pub(crate) slices: usize,
    /// How many appends a slice has.
    pub(crate) appends: usize,
}

impl Shape {
    /// How many events a slice has.
    pub(crate) fn slice_events(self) -> usize {
        self.appends * self.events
    }

    /// How many events all slices have.
    pub(crate) fn total(self) -> usize {
        self.slices * self.slice_events()
    }
}

/// Which stream an append goes to: callers have streams of their own, and go round in them.
pub(crate) fn stream_of(append: usize, callers: usize) -> usize {
    let (caller, turn) = (append % callers, append / callers);
    let own = (STREAMS - caller).div_ceil(callers);
    caller + turn % own * callers
}

/// The name of a stream, of a category that no projection reads: what is measured says nothing that
/// views could show.
pub(crate) fn stream_name(stream: usize) -> anyhow::Result<StreamName> {
    let key = format!("0190abcd-0000-7000-8000-{stream:012}");
    Ok(StreamName::new("default", "benchmark", [key.as_str()])?)
}

/// The id of an event: time, then a number, as ids of one process are.
pub(crate) fn event_id(number: u64) -> EventId {
    let mut random = [0x5a; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    EventId(
        Builder::from_unix_timestamp_millis(1_700_000_000_000 + number / 50, &random).into_uuid(),
    )
}

/// 256 bytes that differ from event to event.
pub(crate) fn payload(number: u64) -> Vec<u8> {
    let mut bytes = vec![b'x'; 256];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// When an event happened.
pub(crate) fn occurred_at(number: u64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + number.cast_signed() * 20)
}

/// The context that all events share.
pub(crate) fn context() -> EventContext {
    EventContext::json("default", "node-1")
}

/// The name of the type that all events share.
pub(crate) const TYPE: &str = "StepStarted";

/// An event.
pub(crate) fn event(
    number: u64,
    type_name: &std::sync::Arc<str>,
    context: &EventContext,
) -> EventData {
    EventData {
        id: event_id(number),
        type_name: std::sync::Arc::clone(type_name),
        schema_version: 1,
        occurred_at: occurred_at(number),
        context: context.clone(),
        payload: payload(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_never_share_a_stream_and_all_are_used() {
        for callers in [1, 64] {
            let mut owner = vec![None; STREAMS];
            for append in 0..callers * STREAMS {
                let known = owner[stream_of(append, callers)].get_or_insert(append % callers);
                assert_eq!(*known, append % callers);
            }
            assert!(owner.iter().all(Option::is_some), "{callers} callers");
        }
    }
}
