//! Builders of streams and events.

use flexcore_eventsourcing::{EventContext, EventData, EventId, StreamName, Timestamp};
use uuid::Builder;

/// A stream of the default tenant.
pub fn stream(key: &str) -> StreamName {
    StreamName::new("default", "account", [key]).expect("a key in a test is a legal part")
}

/// A UUID version 7 that is another one for each number.
pub fn event_id(number: u64) -> EventId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    EventId(Builder::from_unix_timestamp_millis(1_700_000_000_000, &random).into_uuid())
}

/// An event with [`event_id`]`(number)`, of type `Deposited`, and a small JSON payload.
pub fn event(number: u64) -> EventData {
    EventData {
        id: event_id(number),
        type_name: "Deposited".into(),
        schema_version: 1,
        occurred_at: Timestamp::from_micros(1_700_000_000_000_000 + number.cast_signed()),
        context: EventContext::json("default", "tester"),
        payload: format!("{{\"amount\":{number}}}").into_bytes(),
    }
}

/// Bytes that look random and are the same for the same number.
pub fn payload(number: u64, length: usize) -> Vec<u8> {
    let mut state = number;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend((state >> 16).to_be_bytes());
    }
    bytes.truncate(length);
    bytes
}
