//! What calls by hand leave on their plugin's stream, written for many callers at once.
//!
//! Every call has two events on one stream. Callers who appended them one by one would refuse each
//! other for the version of the stream again and again. So a caller puts its change into the
//! stream's queue, and whoever has the turn carries out what waits there: decided one after the
//! other, appended as one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use flexcore_domain::{Plugin, plugin::PluginCommand};
use flexcore_eventsourcing::{Aggregate as _, Append, EventData, StreamName, fold};
use flexcore_ports::AppendError;
use tokio::sync::oneshot;

use crate::{
    RequestContext, Services, UseCaseError,
    repository::{ATTEMPTS_ON_CONFLICT, Loaded},
};

/// The most changes that one append carries.
const TOGETHER: usize = 256;

/// The queues of the streams that are written at the moment.
#[derive(Debug, Default)]
pub(crate) struct CallQueues {
    queues: Mutex<HashMap<StreamName, Weak<Queue>>>,
}

/// Changes of one stream.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Vec<Waiting>>,
    /// Held by whoever carries out what waits.
    turn: tokio::sync::Mutex<()>,
}

/// A change that somebody waits for.
#[derive(Debug)]
struct Waiting {
    context: RequestContext,
    command: PluginCommand,
    answer: oneshot::Sender<Result<(), UseCaseError>>,
}

impl Queue {
    /// The changes that have waited longest.
    fn take(&self) -> Vec<Waiting> {
        let mut waiting = lock(&self.waiting);
        let count = waiting.len().min(TOGETHER);
        waiting.drain(..count).collect()
    }
}

impl CallQueues {
    fn of(&self, stream: &StreamName) -> Arc<Queue> {
        let mut queues = lock(&self.queues);
        if let Some(queue) = queues.get(stream).and_then(Weak::upgrade) {
            return queue;
        }
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::new(Queue::default());
        queues.insert(stream.clone(), Arc::downgrade(&queue));
        queue
    }
}

impl Services {
    /// Decides a change of a plugin and appends what came of it, together with the changes that
    /// others ask for meanwhile.
    pub(super) async fn record_call(
        &self,
        context: &RequestContext,
        stream: &StreamName,
        command: PluginCommand,
    ) -> Result<(), UseCaseError> {
        let queue = self.calls.of(stream);
        let (answer, mut told) = oneshot::channel();
        lock(&queue.waiting).push(Waiting { context: context.clone(), command, answer });
        loop {
            let turn = tokio::select! {
                biased;
                told = &mut told => return told.unwrap_or_else(|_| Err(given_up(stream))),
                turn = queue.turn.lock() => turn,
            };
            let batch = queue.take();
            if !batch.is_empty() {
                self.record_together(stream, batch).await;
            }
            drop(turn);
        }
    }

    /// Carries out changes in their order and tells each caller.
    async fn record_together(&self, stream: &StreamName, mut batch: Vec<Waiting>) {
        for _ in 0..ATTEMPTS_ON_CONFLICT {
            let known = match self.load_shared::<Plugin>(stream).await {
                Ok(known) => known,
                Err(error) => return refuse(batch, &error),
            };
            let state = known.state.as_deref().cloned();
            let decided =
                self.decide_together(stream, Loaded { state, version: known.version }, batch);
            let Decided { state, version, events, batch: left } = match decided {
                Ok(decided) => decided,
                Err((batch, error)) => return refuse(batch, &error),
            };
            batch = left;
            if batch.is_empty() {
                return;
            }
            let append = Append::to(stream.clone(), known.version, events);
            let contexts: Vec<&RequestContext> = batch.iter().map(|one| &one.context).collect();
            match self.append_for(&contexts, append).await {
                Ok(_) => {
                    if let Some(state) = state {
                        self.aggregates.keep(stream, &Arc::new(state), version);
                    }
                    return tell(batch);
                }
                Err(AppendError::Conflict { .. }) => {}
                Err(error) => return refuse(batch, &UseCaseError::from(error)),
            }
        }
        refuse(batch, &UseCaseError::Busy { stream: stream.clone() });
    }

    /// The events that the changes lead to, one after the other. Those whose change is against the
    /// rules are told so and left out.
    fn decide_together(
        &self,
        stream: &StreamName,
        known: Loaded<Plugin>,
        batch: Vec<Waiting>,
    ) -> Result<Decided, (Vec<Waiting>, UseCaseError)> {
        let Loaded { mut state, mut version } = known;
        let (mut decided, mut events) = (Vec::with_capacity(batch.len()), Vec::new());
        for waiting in batch {
            let now = self.ports.clock.now();
            let new = match Plugin::decide(state.as_ref(), &waiting.command, now) {
                Ok(new) => new,
                Err(rejection) => {
                    // Whoever asked may be gone.
                    let _ = waiting.answer.send(Err(rejection.into()));
                    continue;
                }
            };
            events.extend(self.envelopes(&waiting.context, &new));
            decided.push(waiting);
            let first = version + 1;
            version += new.len() as u64;
            state = match fold(state, first, &new) {
                Ok(state) => state,
                Err(source) => {
                    let error = UseCaseError::IllegalHistory { stream: stream.clone(), source };
                    return Err((decided, error));
                }
            };
        }
        Ok(Decided { state, version, events, batch: decided })
    }
}

/// What changes come to.
struct Decided {
    /// The plugin after them, and how many events its stream has then.
    state: Option<Plugin>,
    version: u64,
    events: Vec<EventData>,
    /// Who waits for them.
    batch: Vec<Waiting>,
}

fn tell(batch: Vec<Waiting>) {
    for waiting in batch {
        // Whoever asked may be gone.
        let _ = waiting.answer.send(Ok(()));
    }
}

/// Tells all of them why.
fn refuse(batch: Vec<Waiting>, error: &UseCaseError) {
    for waiting in batch {
        let copy = match error {
            UseCaseError::Append(error) => error.clone().into(),
            UseCaseError::Store(error) => error.clone().into(),
            UseCaseError::Busy { stream } => given_up(stream),
            other => UseCaseError::refused(other.to_string()),
        };
        let _ = waiting.answer.send(Err(copy));
    }
}

fn given_up(stream: &StreamName) -> UseCaseError {
    UseCaseError::Busy { stream: stream.clone() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
