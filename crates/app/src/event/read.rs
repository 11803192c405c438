//! ReadEvents.

use async_trait::async_trait;
use flexcore_api::{EventPage, EventView, ReadEvents};
use flexcore_eventsourcing::{RecordedEvent, StreamName};
use flexcore_ports::ReadFilter;
use serde_json::Value;

use crate::{HandleQuery, RequestContext, Services, UseCaseError, format_time, parse_time};

/// The most events that one answer has.
const MAX_PAGE: usize = 10_000;

#[async_trait]
impl HandleQuery<ReadEvents> for Services {
    async fn answer(
        &self,
        _context: &RequestContext,
        query: ReadEvents,
    ) -> Result<EventPage, UseCaseError> {
        let limit = query.limit.clamp(1, MAX_PAGE);
        let after = match &query.since {
            None => query.after,
            Some(since) => {
                let time = parse_time(since).ok_or_else(|| {
                    UseCaseError::invalid(format!("`{since}` is not an RFC 3339 time"))
                })?;
                query.after.max(self.ports.store.position_at(time).await?)
            }
        };
        let events = match &query.stream {
            None => {
                let filter = ReadFilter { types: query.types };
                self.ports.store.read_all(after, limit, &filter).await?
            }
            Some(stream) => self.of_stream(stream, after, limit, &query.types).await?,
        };
        let next = events.last().filter(|_| events.len() == limit).map(|event| event.position);
        Ok(EventPage { items: events.iter().map(event_view).collect(), next })
    }
}

impl Services {
    async fn of_stream(
        &self,
        stream: &str,
        after: u64,
        limit: usize,
        types: &[String],
    ) -> Result<Vec<RecordedEvent>, UseCaseError> {
        let stream: StreamName =
            stream.parse().map_err(|error: flexcore_eventsourcing::StreamNameError| {
                UseCaseError::invalid(error.to_string())
            })?;
        let wanted = |event: &RecordedEvent| {
            event.position > after
                && (types.is_empty() || types.iter().any(|name| *name == *event.event.type_name))
        };
        let events = self.history(&stream, 1).await?;
        Ok(events.into_iter().filter(wanted).take(limit).collect())
    }
}

/// An event as callers see it.
pub fn event_view(recorded: &RecordedEvent) -> EventView {
    let event = &recorded.event;
    EventView {
        position: recorded.position,
        stream: recorded.stream.to_string(),
        version: recorded.version,
        id: event.id.to_string(),
        type_name: event.type_name.to_string(),
        schema_version: event.schema_version,
        occurred_at: format_time(event.occurred_at),
        committed_at: format_time(recorded.committed_at),
        actor: event.context.actor.to_string(),
        leaf: recorded.leaf.to_string(),
        // What is not JSON is shown as the text that it may be.
        payload: serde_json::from_slice(&event.payload).unwrap_or_else(|_| {
            Value::String(String::from_utf8_lossy(&event.payload).into_owned())
        }),
    }
}
