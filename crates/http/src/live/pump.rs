//! From a feed to a watcher: one message after the other, with signs of life in between.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::message::Message;
use crate::problem::{Fault, Problem};

/// Where messages come from.
#[async_trait]
pub(super) trait Feed {
    /// The next message; `None` when there will be none. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Why there will be none.
    async fn next(&mut self) -> Result<Option<Message>, Problem>;

    /// Where it is: what a client that comes back begins with.
    fn place(&self) -> Option<String>;
}

/// Who watches.
#[async_trait]
pub(super) trait Watcher {
    /// Gives it a message; returns once there is room for another.
    ///
    /// # Errors
    /// [`Gone`].
    async fn tell(&mut self, message: Message) -> Result<(), Gone>;

    /// Gives it a sign of life.
    ///
    /// # Errors
    /// [`Gone`].
    async fn greet(&mut self, place: Option<String>) -> Result<(), Gone>;

    /// Returns when it is gone.
    async fn gone(&mut self);

    /// The end: of the feed, of the server, or because of a problem. It may not be listening.
    async fn end(self, problem: Option<Problem>);
}

/// Nobody watches any more.
#[derive(Debug)]
pub(super) struct Gone;

/// What a watcher may cost.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// How long it may take none of what waits for it.
    pub(super) patience: Duration,
    /// How long it may hear nothing.
    pub(super) heartbeat: Duration,
    /// Fires when the server ends.
    pub(super) ending: CancellationToken,
}

/// Tells a watcher what a feed has, until one of them ends.
pub(super) async fn pump(mut feed: impl Feed, mut watcher: impl Watcher, limits: Limits) {
    loop {
        let next = tokio::select! {
            () = limits.ending.cancelled() => return watcher.end(None).await,
            () = watcher.gone() => return,
            next = timeout(limits.heartbeat, feed.next()) => next,
        };
        let telling = match next {
            Ok(Ok(Some(message))) => timeout(limits.patience, watcher.tell(message)).await,
            Ok(Ok(None)) => return watcher.end(None).await,
            Ok(Err(problem)) => return watcher.end(Some(problem)).await,
            Err(_) => timeout(limits.patience, watcher.greet(feed.place())).await,
        };
        match telling {
            Ok(Ok(())) => {}
            Ok(Err(Gone)) => return,
            Err(_) => return watcher.end(Some(too_slow(limits.patience))).await,
        }
    }
}

fn too_slow(patience: Duration) -> Problem {
    let seconds = patience.as_secs();
    Fault::SlowWatcher
        .because(format!("what waits here was not taken for {seconds} s"))
        .hint("come back with the last id that you have; nothing is lost")
}
