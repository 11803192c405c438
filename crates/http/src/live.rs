//! Events as they happen: server-sent events, from any position on.
//!
//! The id of each is its position. A client that comes back with `Last-Event-ID` goes on after it
//! and misses nothing: what was appended meanwhile is read from the log, and then the log is
//! followed. A client that reads too slowly makes nobody wait: its subscription reads by itself.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
};
use flexcore_app::{RequestContext, Start, Subscription, event_view};
use flexcore_eventsourcing::RecordedEvent;
use flexcore_ports::ReadFilter;
use futures_util::{Stream, stream};

use crate::{
    Api,
    problem::{Fault, Problem},
    rest::query_fields,
};

/// How many events of the past are read at once.
const PAGE: usize = 500;
/// A comment after so long a silence keeps balancers from closing the connection.
const SILENCE: Duration = Duration::from_secs(15);
/// What a caller must be allowed to do.
const PERMISSION: &str = "event.read";

/// `GET events/live`: `type` and `stream` filter and may be repeated, `after` is a position.
pub(crate) async fn events(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<RequestContext>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let filter = Filter::read(&context, &query.unwrap_or_default(), &headers)?;
    follow(api, filter).await
}

/// `GET executions/{execution}/live`: the events of one execution.
pub(crate) async fn execution(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<RequestContext>,
    Path(execution): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let known = flexcore_api::GetExecution { execution };
    let id = api.queries.ask(&context, known).await?.id;
    let mut filter = Filter::read(&context, &query.unwrap_or_default(), &headers)?;
    filter.streams = vec![format!("{}/execution/{id}", context.tenant)];
    follow(api, filter).await
}

/// Which events are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    tenant: Arc<str>,
    types: Vec<String>,
    streams: Vec<String>,
    /// Where to begin; `None`: with what comes next.
    after: Option<u64>,
}

impl Filter {
    fn read(context: &RequestContext, query: &str, headers: &HeaderMap) -> Result<Self, Problem> {
        if !context.permissions.allow(PERMISSION) {
            return Err(Problem::from(flexcore_app::UseCaseError::Forbidden {
                actor: context.actor.to_string(),
                request: "watch events",
                permission: PERMISSION,
            }));
        }
        let tenant = Arc::clone(&context.tenant);
        let mut filter = Self { tenant, types: vec![], streams: vec![], after: None };
        for (name, value) in query_fields(query)? {
            match &*name {
                "type" => filter.types.push(value),
                "stream" => filter.streams.push(value),
                "after" => filter.after = Some(position(&value)?),
                _ => {
                    let problem = Fault::Malformed
                        .because(format!("there is no parameter `{name}` here"))
                        .hint("known are: type, stream, after");
                    return Err(problem);
                }
            }
        }
        // What a client says when it comes back is newer than what it asked for at first.
        if let Some(last) = headers.get("last-event-id") {
            filter.after = Some(position(last.to_str().unwrap_or_default())?);
        }
        Ok(filter)
    }

    fn wants(&self, event: &RecordedEvent) -> bool {
        *event.event.context.tenant == *self.tenant
            && (self.types.is_empty()
                || self.types.iter().any(|name| *name == *event.event.type_name))
            && (self.streams.is_empty()
                || self.streams.iter().any(|name| *name == event.stream.to_string()))
    }
}

fn position(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Fault::Malformed.because(format!("`{text}` is not a position")))
}

async fn follow(
    api: Arc<Api>,
    filter: Filter,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let subscription = api.log.subscribe(Start::Now).await.map_err(|error| {
        tracing::error!(%error, "the log cannot be followed");
        Fault::Internal.because("the log cannot be followed")
    })?;
    let until = subscription.checkpoint().position;
    let past = filter.after.filter(|after| *after < until).map(|after| (after, until));
    let watch = Watch { api, filter, subscription, past, ready: VecDeque::new() };
    let events = stream::unfold(Some(watch), |watch| async {
        let mut watch = watch?;
        match watch.next().await {
            Ok(event) => event.map(|event| (Ok(event), Some(watch))),
            Err(error) => {
                tracing::warn!(error, "a live stream ended");
                let last = Event::default().event("error").data("the log cannot be followed");
                Some((Ok(last), None))
            }
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(SILENCE)))
}

/// One client.
struct Watch {
    api: Arc<Api>,
    filter: Filter,
    subscription: Subscription,
    /// What is still to be read of the past: after the first, up to the second.
    past: Option<(u64, u64)>,
    ready: VecDeque<Event>,
}

impl Watch {
    /// The next event; `None` when the log is gone, or the server is to end.
    async fn next(&mut self) -> Result<Option<Event>, String> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if let Some((after, until)) = self.past {
                self.read_past(after, until).await?;
                continue;
            }
            let page = tokio::select! {
                () = self.api.ending.cancelled() => return Ok(None),
                page = self.subscription.next() => page.map_err(|error| error.to_string())?,
            };
            let Some(page) = page else { return Ok(None) };
            let after = self.filter.after.unwrap_or(0);
            let new = page.events().iter().filter(|event| event.position > after);
            let wanted = new.filter(|event| self.filter.wants(event)).map(shown);
            self.ready.extend(wanted);
        }
    }

    async fn read_past(&mut self, after: u64, until: u64) -> Result<(), String> {
        let filter = ReadFilter { types: self.filter.types.clone() };
        let read = self.api.events.read_all(after, PAGE, &filter).await;
        let events = read.map_err(|error| error.to_string())?;
        let last = events.last().map_or(until, |event| event.position);
        let is_end = events.len() < PAGE || last >= until;
        self.past = (!is_end).then_some((last, until));
        // What is newer comes from the subscription.
        let old = events.iter().filter(|event| event.position <= until);
        self.ready.extend(old.filter(|event| self.filter.wants(event)).map(shown));
        Ok(())
    }
}

fn shown(event: &RecordedEvent) -> Event {
    let view = event_view(event);
    let json = serde_json::to_string(&view).unwrap_or_default();
    Event::default().id(view.position.to_string()).event(view.type_name).data(json)
}
