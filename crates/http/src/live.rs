//! What happens, as it happens: server-sent events and WebSockets, from any place on.
//!
//! ```text
//! log ─▶ subscription ─┐
//!                      ├─▶ feed: filter ▸ render one ─▶ pump ─▶ SSE, WebSocket
//! attempt logs ────────┘                                 └ too slow: told, and let go
//! ```
//!
//! Each message has an id: where the feed is then. A client that comes back with it
//! (`Last-Event-ID`, or `after=`) goes on there and misses nothing. Messages are made one at a time,
//! when the watcher before has taken the last one, so a watcher costs a few of them at most; one that
//! takes nothing for too long is told so and let go. Who reads of the past takes turns with others
//! that do, so that a thousand of them hold no more than a few pages at once.

mod events;
mod filter;
mod lines;
mod message;
mod pump;
mod socket;
mod sse;

use std::{future::Future, sync::Arc};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, RawQuery, Request, State},
    http::Response,
    routing::get,
};
use flexcore_api::GetExecution;
use flexcore_app::{RequestContext, UseCaseError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    Api,
    problem::{Fault, Problem},
};
use events::EventFeed;
use filter::{Filter, Wanted};
use lines::LineFeed;
use pump::Feed;

/// How many watchers hold a page of the past at the same time.
const TURNS: usize = 16;

/// How many watch, and how many of them read what is past.
#[derive(Debug, Clone)]
pub(crate) struct Watchers {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Watchers {
    fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), turns: Arc::new(Semaphore::new(TURNS)) }
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Fault::Watchers.because("as many watch as this server lets watch").retry_after(10)
        })
    }

    /// A turn to read of the past, for as long as it is held.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(|_| Fault::Internal.because("the server is ending"))
    }
}

/// The routes of live streams.
pub(crate) fn routes(watchers: usize) -> Router<Arc<Api>> {
    Router::new()
        .route("/events/live", get(events))
        .route("/executions/live", get(executions))
        .route("/executions/{execution}/live", get(execution))
        .route("/executions/{execution}/logs/live", get(lines))
        .layer(Extension(Watchers::new(watchers)))
}

type Answer = Result<Response<Body>, Problem>;

/// `GET events/live`: everything of the tenant, as the filter says.
async fn events(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<RequestContext>,
    Extension(watchers): Extension<Watchers>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Answer {
    let wanted = Wanted::read(&query.unwrap_or_default(), request.headers())?;
    follow(api, context, watchers, request, wanted).await
}

/// `GET executions/live`: the events of all executions.
async fn executions(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<RequestContext>,
    Extension(watchers): Extension<Watchers>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Answer {
    let mut wanted = Wanted::read(&query.unwrap_or_default(), request.headers())?;
    wanted.categories = vec!["execution".to_owned()];
    follow(api, context, watchers, request, wanted).await
}

/// `GET executions/{execution}/live`: the events of one execution.
async fn execution(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<RequestContext>,
    Extension(watchers): Extension<Watchers>,
    Path(execution): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Answer {
    let mut wanted = Wanted::read(&query.unwrap_or_default(), request.headers())?;
    wanted.executions = vec![execution];
    follow(api, context, watchers, request, wanted).await
}

async fn follow(
    api: Arc<Api>,
    context: RequestContext,
    watchers: Watchers,
    request: Request,
    mut wanted: Wanted,
) -> Answer {
    may(&context, "watch events", "event.read")?;
    let place = watchers.place()?;
    let mut streams = Vec::new();
    for execution in std::mem::take(&mut wanted.executions) {
        let id = known(&api, &context, execution).await?.id;
        streams.push(filter::execution_stream(&context.tenant, &id)?);
    }
    let filter = Filter::new(&context, wanted, streams)?;
    let feed = EventFeed::start(Arc::clone(&api), filter, watchers).await?;
    answer(&api, request, feed, place)
}

/// `GET executions/{execution}/logs/live`: what its attempts print.
async fn lines(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<RequestContext>,
    Extension(watchers): Extension<Watchers>,
    Path(execution): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Answer {
    let wanted = lines::Wanted::read(&query.unwrap_or_default(), request.headers())?;
    let place = watchers.place()?;
    let execution = known(&api, &context, execution).await?;
    let feed = LineFeed::start(Arc::clone(&api), &context, &execution, wanted, watchers).await?;
    answer(&api, request, feed, place)
}

/// The execution that is named; of others there is none.
async fn known(
    api: &Api,
    context: &RequestContext,
    execution: String,
) -> Result<flexcore_api::ExecutionView, Problem> {
    Ok(api.queries.ask(context, GetExecution { execution }).await?)
}

fn may(
    context: &RequestContext,
    request: &'static str,
    permission: &'static str,
) -> Result<(), Problem> {
    if context.may(permission) {
        return Ok(());
    }
    let actor = context.actor.to_string();
    Err(UseCaseError::Forbidden { actor, request, permission }.into())
}

/// A WebSocket for who asks for one, server-sent events for everybody else.
fn answer(
    api: &Arc<Api>,
    request: Request,
    feed: impl Feed + Send + 'static,
    place: OwnedSemaphorePermit,
) -> Answer {
    let limits = pump::Limits {
        patience: api.options.watcher_patience,
        heartbeat: api.options.heartbeat,
        ending: api.ending.clone(),
    };
    match socket::is_asked_for(request.headers()) {
        true => socket::answer(request, feed, limits, place),
        false => Ok(sse::answer(feed, limits, place)),
    }
}

/// The log cannot be followed: for the server's log, not for the caller.
fn unfollowed(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(%error, "the log cannot be followed");
    Fault::Internal.because("the log cannot be followed")
}

/// Lets a task run on by itself: it ends with its watcher, its feed or the server.
fn run_on(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}
