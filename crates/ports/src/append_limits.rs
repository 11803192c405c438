//! The limits that every event store holds appends to, so that an append that one store takes is
//! taken by all of them.

use std::collections::HashSet;

use flexcore_eventsourcing::{Append, EventData, StreamWrite};

use crate::AppendError;

/// The most events that one append may hold.
const MAX_EVENTS: usize = 10_000;
/// The most stream writes, guards included, that one append may hold.
const MAX_WRITES: usize = 1_000;
/// The most payload bytes that one append may hold.
const MAX_BYTES: usize = 64 << 20;
/// The longest type name, tenant, actor or content type, in bytes.
const MAX_TEXT: usize = 1_024;

/// Checks an append against the limits and gives how many payload bytes it has.
///
/// # Errors
/// [`AppendError::Invalid`] naming what breaks which limit.
pub fn check_append(append: &Append) -> Result<usize, AppendError> {
    let count = append.event_count();
    if append.writes.is_empty() {
        return invalid("it has no stream writes".to_owned());
    }
    if append.writes.len() > MAX_WRITES {
        let writes = append.writes.len();
        return invalid(format!("{writes} stream writes are more than {MAX_WRITES}"));
    }
    if count > MAX_EVENTS {
        return invalid(format!("{count} events are more than {MAX_EVENTS}"));
    }
    append.writes.iter().try_for_each(check_write)?;
    check_ids(append, count)?;
    let bytes = events(append).map(|event| event.payload.len()).sum();
    if bytes > MAX_BYTES {
        return invalid(format!("payloads of {bytes} bytes together exceed {MAX_BYTES}"));
    }
    Ok(bytes)
}

fn events(append: &Append) -> impl Iterator<Item = &EventData> {
    append.writes.iter().flat_map(|write| &write.events)
}

fn check_write(write: &StreamWrite) -> Result<(), AppendError> {
    // Both are stored as signed 64-bit integers.
    let fits = |number: u64| i64::try_from(number).is_ok();
    if !fits(write.expected.saturating_add(MAX_EVENTS as u64)) {
        return invalid(format!("version {} of {} is too large", write.expected, write.stream));
    }
    if let Some(epoch) = write.fence.filter(|epoch| !fits(epoch.0)) {
        return invalid(format!("epoch {epoch} of {} is too large", write.stream));
    }
    write.events.iter().try_for_each(check_event)
}

/// Whether an event keeps the limits.
///
/// # Errors
/// [`AppendError::Invalid`] naming what breaks which limit.
pub fn check_event(event: &EventData) -> Result<(), AppendError> {
    if event.payload.len() > EventData::MAX_PAYLOAD {
        return invalid(format!(
            "the payload of event {} ({}) has {} bytes, the limit is {}",
            event.id,
            event.type_name,
            event.payload.len(),
            EventData::MAX_PAYLOAD
        ));
    }
    if event.id.0.is_nil() {
        return invalid(format!("an event of type {} has no id", event.type_name));
    }
    let context = &event.context;
    let texts = [
        ("type name", &event.type_name),
        ("tenant", &context.tenant),
        ("actor", &context.actor),
        ("content type", &context.content_type),
    ];
    for (what, text) in texts {
        if text.is_empty() || text.len() > MAX_TEXT {
            let length = text.len();
            return invalid(format!(
                "the {what} of event {} has {length} bytes; 1 to {MAX_TEXT} are allowed",
                event.id
            ));
        }
        // No database but SQLite keeps such a text.
        if text.contains('\0') {
            return invalid(format!("the {what} of event {} has a zero byte", event.id));
        }
    }
    Ok(())
}

fn check_ids(append: &Append, count: usize) -> Result<(), AppendError> {
    if count < 2 {
        return Ok(());
    }
    let mut seen = HashSet::with_capacity(count);
    match events(append).find(|event| !seen.insert(event.id)) {
        None => Ok(()),
        Some(event) => invalid(format!("event {} is in it twice", event.id)),
    }
}

fn invalid<T>(reason: String) -> Result<T, AppendError> {
    Err(AppendError::Invalid(reason))
}
