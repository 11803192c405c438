//! The one reader at the log's end.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use flexcore_ports::{Checkpoint, EventStore, StoreError};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{LogPage, LogSubscriptions, SubscriptionError, must_be_ours, read_page};

/// How a tailer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailerOptions {
    /// How many pages wait for one subscription at most.
    pub queue: usize,
    /// How often to look for events that the store does not tell of by itself: a log that is open
    /// for reading only, and that another process writes.
    pub poll: Option<Duration>,
    /// How long to wait before a store that failed is asked again.
    pub retry: Duration,
    /// How much time there is between two reads at least, so that what many append at once is read
    /// in a few pages. What comes after a quiet moment is read at once.
    pub gather: Duration,
}

impl Default for TailerOptions {
    fn default() -> Self {
        let (retry, gather) = (Duration::from_millis(250), Duration::from_millis(2));
        Self { queue: 16, poll: None, retry, gather }
    }
}

/// Reads the log's end, once for all subscriptions.
pub struct Tailer {
    store: Arc<dyn EventStore>,
    appended: watch::Receiver<u64>,
    shared: Arc<Shared>,
    options: TailerOptions,
}

/// What tailer and subscriptions share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    queue: usize,
}

#[derive(Debug)]
struct State {
    /// How far the tailer has come.
    tail: Checkpoint,
    subscriptions: Vec<mpsc::Sender<LogPage>>,
    closed: Option<Closed>,
}

/// Why there will be no more pages.
#[derive(Debug, Clone)]
pub(super) enum Closed {
    /// It was told to end, or the store was closed.
    Ended,
    /// It had to stop.
    Failed(SubscriptionError),
}

/// The answer to a subscription that wants a place at the tailer.
pub(super) enum Join {
    Joined(mpsc::Receiver<LogPage>),
    /// The tailer is further on: read by yourself first.
    Behind,
    Closed(Closed),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn join(&self, position: u64) -> Join {
        let mut state = self.lock();
        if position < state.tail.position {
            return Join::Behind;
        }
        if let Some(closed) = &state.closed {
            return Join::Closed(closed.clone());
        }
        let (sender, receiver) = mpsc::channel(self.queue);
        state.subscriptions.push(sender);
        Join::Joined(receiver)
    }

    /// Hands a page to everybody; who has no room for it has to read by itself.
    fn hand_out(&self, page: &LogPage) {
        let mut state = self.lock();
        state.subscriptions.retain(|queue| queue.try_send(page.clone()).is_ok());
        state.tail = page.end();
    }

    fn close(&self, closed: Closed) {
        let mut state = self.lock();
        state.closed = Some(closed);
        state.subscriptions.clear();
    }
}

impl Tailer {
    /// A tailer at the log's present end, to be [run](Self::run), and what makes subscriptions.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn new(
        store: Arc<dyn EventStore>,
        options: TailerOptions,
    ) -> Result<(Self, LogSubscriptions), StoreError> {
        let appended = store.appended();
        let head = store.head().await?;
        let tail = Checkpoint { position: head.position, hash: head.hash };
        let state = State { tail, subscriptions: Vec::new(), closed: None };
        let shared = Arc::new(Shared { state: Mutex::new(state), queue: options.queue.max(1) });
        let subscriptions =
            LogSubscriptions { store: Arc::clone(&store), shared: Arc::clone(&shared) };
        Ok((Self { store, appended, shared, options }, subscriptions))
    }

    /// Follows the log until `end` or until the store is closed. A store that fails is asked again;
    /// what it then holds must still be the history that was followed.
    ///
    /// # Errors
    /// [`SubscriptionError`] if the log has a hole, is corrupt, or is another one; every
    /// subscription ends with the same error, after the last page before it.
    pub async fn run(mut self, end: CancellationToken) -> Result<(), SubscriptionError> {
        // Also when the task is aborted: nobody may wait for pages that never come.
        let closing = CloseOnDrop(Arc::clone(&self.shared));
        let outcome = tokio::select! {
            () = end.cancelled() => Ok(()),
            outcome = self.follow() => outcome,
        };
        if let Err(error) = &outcome {
            closing.0.close(Closed::Failed(error.clone()));
        }
        outcome
    }

    async fn follow(&mut self) -> Result<(), SubscriptionError> {
        loop {
            let since = Instant::now();
            match self.read_to_end().await {
                Ok(()) => {}
                Err(SubscriptionError::Store(error))
                    if !matches!(error, StoreError::Corrupt { .. }) =>
                {
                    tracing::debug!(%error, "the log cannot be followed; trying again");
                    if self.appended.has_changed().is_err() {
                        return Ok(());
                    }
                    tokio::time::sleep(self.options.retry).await;
                    match must_be_ours(&*self.store, self.tail()).await {
                        // It is still away.
                        Ok(()) | Err(SubscriptionError::Store(_)) => continue,
                        Err(error) => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            }
            if !self.wait().await {
                return Ok(());
            }
            tokio::time::sleep_until(since + self.options.gather).await;
        }
    }

    fn tail(&self) -> Checkpoint {
        self.shared.lock().tail
    }

    /// Waits for events; whether there may be some.
    async fn wait(&mut self) -> bool {
        let Some(poll) = self.options.poll else { return self.appended.changed().await.is_ok() };
        // A store that is gone for good ends the wait as well.
        match tokio::time::timeout(poll, self.appended.changed()).await {
            Ok(changed) => changed.is_ok(),
            Err(_) => true,
        }
    }

    /// Reads what came since, page by page.
    async fn read_to_end(&mut self) -> Result<(), SubscriptionError> {
        // Marked as seen before it is read: what comes meanwhile wakes us again.
        let told = *self.appended.borrow_and_update();
        loop {
            let tail = self.tail().position;
            match read_page(&*self.store, tail).await? {
                Some(page) => self.shared.hand_out(&page),
                None if told > tail => {
                    return Err(SubscriptionError::Hole { position: tail + 1, found: None });
                }
                // Shorter than it was?
                None if told < tail => return must_be_ours(&*self.store, self.tail()).await,
                None => return Ok(()),
            }
        }
    }
}

impl std::fmt::Debug for Tailer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tailer").field("shared", &self.shared).finish_non_exhaustive()
    }
}

struct CloseOnDrop(Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let is_closed = self.0.lock().closed.is_some();
        if !is_closed {
            self.0.close(Closed::Ended);
        }
    }
}
