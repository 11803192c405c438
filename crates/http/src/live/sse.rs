//! Watchers of server-sent events.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use axum::{
    body::Body,
    http::Response,
    response::{IntoResponse, Sse, sse::Event},
};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{
    message::{Message, heartbeat_event},
    pump::{Feed, Gone, Limits, Watcher, pump},
    run_on,
};
use crate::problem::Problem;

/// How many messages wait for a connection to take them.
const WAITING: usize = 4;

/// A connection that events are written to.
struct Listener {
    events: mpsc::Sender<Event>,
    /// What is written behind everything that waits.
    last: Arc<OnceLock<Event>>,
}

#[async_trait]
impl Watcher for Listener {
    async fn tell(&mut self, message: Message) -> Result<(), Gone> {
        self.events.send(message.into_event()).await.map_err(|_| Gone)
    }

    async fn greet(&mut self, place: Option<String>) -> Result<(), Gone> {
        self.events.send(heartbeat_event(place)).await.map_err(|_| Gone)
    }

    async fn gone(&mut self) {
        self.events.closed().await;
    }

    async fn end(self, problem: Option<Problem>) {
        if let Some(problem) = problem {
            // It is set once, here.
            let _ = self.last.set(Message::of_problem(&problem).into_event());
        }
    }
}

/// The stream of a feed.
pub(super) fn answer(
    feed: impl Feed + Send + 'static,
    limits: Limits,
    place: OwnedSemaphorePermit,
) -> Response<Body> {
    let (events, waiting) = mpsc::channel(WAITING);
    let last = Arc::new(OnceLock::new());
    let listener = Listener { events, last: Arc::clone(&last) };
    run_on(async move {
        let _place = place;
        pump(feed, listener, limits).await;
    });
    let written = stream::unfold((waiting, Some(last)), |(mut waiting, last)| async move {
        if let Some(event) = waiting.recv().await {
            return Some((Ok::<_, Infallible>(event), (waiting, last)));
        }
        let event = last?.get().cloned()?;
        Some((Ok(event), (waiting, None)))
    });
    Sse::new(written).into_response()
}
