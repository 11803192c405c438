//! ReadEvents.

use async_trait::async_trait;
use flexcore_api::{EventPage, EventView, Query as _, ReadEvents};
use flexcore_domain::execution::ExecutionEvent;
use flexcore_event_codec::StoredEvent as _;
use flexcore_eventsourcing::{RecordedEvent, StreamName};
use flexcore_ports::ReadFilter;
use serde_json::Value;

use crate::{HandleQuery, RequestContext, Services, UseCaseError, format_time, parse_time};

/// The most events that one answer has.
const MAX_PAGE: usize = 10_000;

/// How many events of the log one answer looks at to find those of its tenant.
const MAX_LOOK: usize = 50_000;

/// How many of them it reads at once, at least.
const LOOK: usize = 1_000;

#[async_trait]
impl HandleQuery<ReadEvents> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: ReadEvents,
    ) -> Result<EventPage, UseCaseError> {
        if query.all_tenants {
            context.must_see_all_events(ReadEvents::NAME)?;
        }
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
        let Found { events, next } = match &query.stream {
            None => {
                let tenant = (!query.all_tenants).then_some(&*context.tenant);
                self.of_tenant(tenant, after, limit, query.types).await?
            }
            Some(stream) => self.of_stream(context, stream, after, limit, &query.types).await?,
        };
        Ok(EventPage { items: events.iter().map(event_view).collect(), next })
    }
}

/// Events, and the position after which there may be more.
struct Found {
    events: Vec<RecordedEvent>,
    next: Option<u64>,
}

impl Found {
    fn new(events: Vec<RecordedEvent>, limit: usize) -> Self {
        let next = events.last().filter(|_| events.len() == limit).map(|event| event.position);
        Self { events, next }
    }
}

impl Services {
    /// The events of a tenant, or of all of them. Where others wrote most of the log, an answer may
    /// have few events or none and still say where to go on: no caller makes the store read all of it
    /// in one go.
    async fn of_tenant(
        &self,
        tenant: Option<&str>,
        after: u64,
        limit: usize,
        types: Vec<String>,
    ) -> Result<Found, UseCaseError> {
        let (filter, mut from, mut looked) = (ReadFilter { types }, after, 0);
        let mut events: Vec<RecordedEvent> = Vec::new();
        loop {
            let at_once = if tenant.is_some() { limit.max(LOOK) } else { limit };
            let page = self.ports.store.read_all(from, at_once, &filter).await?;
            let (is_end, last) = (page.len() < at_once, page.last().map(|event| event.position));
            looked += page.len();
            let is_wanted =
                |event: &RecordedEvent| tenant.is_none_or(|tenant| event.stream.tenant() == tenant);
            events.extend(page.into_iter().filter(is_wanted).take(limit - events.len()));
            if events.len() == limit {
                return Ok(Found::new(events, limit));
            }
            match last {
                Some(last) if !is_end => from = last,
                _ => return Ok(Found { events, next: None }),
            }
            if looked >= MAX_LOOK {
                return Ok(Found { events, next: Some(from) });
            }
        }
    }

    async fn of_stream(
        &self,
        context: &RequestContext,
        stream: &str,
        after: u64,
        limit: usize,
        types: &[String],
    ) -> Result<Found, UseCaseError> {
        let stream: StreamName =
            stream.parse().map_err(|error: flexcore_eventsourcing::StreamNameError| {
                UseCaseError::invalid(error.to_string())
            })?;
        // Another tenant's stream is as empty as one that is not there.
        if !context.may_see(&stream) {
            return Ok(Found::new(vec![], limit));
        }
        let wanted = |event: &RecordedEvent| {
            event.position > after
                && (types.is_empty() || types.iter().any(|name| *name == *event.event.type_name))
        };
        let events = self.history(&stream, 1).await?;
        Ok(Found::new(events.into_iter().filter(wanted).take(limit).collect(), limit))
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
/// The fact about an execution that an event of another process is; `None` if it is about something
/// else, or of a version that this one does not know.
pub fn execution_event(view: &EventView) -> Option<ExecutionEvent> {
    let payload = serde_json::to_vec(&view.payload).ok()?;
    ExecutionEvent::decode(&view.type_name, view.schema_version, &payload).ok()
}
