//! The bounded queue into the writer thread, and how the two sides wait for each other.
//!
//! A thread that parks costs tens of microseconds to wake, as much as a fast disk's flush. So both
//! sides look again for a moment before they park: the writer after each commit, and a caller if
//! nobody else is waiting with it (its thread then has nothing better to do for so short a time).

use std::{
    hint,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use flume::{Receiver, TryRecvError};
use tokio::sync::oneshot;

use super::request::Request;

/// How many requests wait at most; further callers wait for room.
pub(crate) const CAPACITY: usize = 1_024;
/// How long the writer looks for the next request before it parks.
const IDLE: Duration = Duration::from_micros(50);
/// The shortest and the longest time for which the writer waits for a caller that is expected back
/// before it commits without it. In between it is a sixteenth of what the last commit took: leaving
/// a caller behind costs that caller a whole commit.
const GAP: (Duration, Duration) = (Duration::from_micros(20), Duration::from_micros(500));
/// How long a lone caller looks for its answer before it parks.
const LONE: Duration = Duration::from_micros(100);

/// The writer's end of the queue.
#[derive(Debug)]
pub(crate) struct Queue {
    requests: Receiver<Request>,
    /// How many appends the last group had: so many callers may come back at any moment.
    expected: usize,
    /// How long such a caller is waited for.
    gap: Duration,
}

impl Queue {
    pub(crate) fn new(requests: Receiver<Request>) -> Self {
        Self { requests, expected: 0, gap: GAP.0 }
    }

    /// The first request of a group; `None` when every sender is gone.
    pub(crate) fn first(&mut self) -> Option<Request> {
        match self.look(IDLE) {
            Look::Found(request) => Some(request),
            Look::Gone => None,
            Look::Nothing => self.requests.recv().ok(),
        }
    }

    /// One more request for a group that has `joined` already; `None` when it is time to commit.
    ///
    /// Callers that were answered a moment ago mostly send again. Committing what the first of
    /// them sent would make the others wait for a flush of their own, so as long as fewer have
    /// joined than last time, a short gap is waited out.
    pub(crate) fn another(&mut self, joined: usize) -> Option<Request> {
        let patience = if joined < self.expected { self.gap } else { Duration::ZERO };
        match self.look(patience) {
            Look::Found(request) => Some(request),
            Look::Nothing | Look::Gone => None,
        }
    }

    /// A group of so many was committed, which took so long.
    pub(crate) fn committed(&mut self, group: usize, took: Duration) {
        self.expected = group;
        self.gap = (took / 16).clamp(GAP.0, GAP.1);
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    fn look(&self, patience: Duration) -> Look {
        let mut since = None;
        loop {
            match self.requests.try_recv() {
                Ok(request) => return Look::Found(request),
                Err(TryRecvError::Disconnected) => return Look::Gone,
                Err(TryRecvError::Empty) if patience.is_zero() => return Look::Nothing,
                Err(TryRecvError::Empty) => pause(),
            }
            if since.get_or_insert_with(Instant::now).elapsed() > patience {
                return Look::Nothing;
            }
        }
    }
}

enum Look {
    Found(Request),
    Nothing,
    Gone,
}

/// Waits for an answer of the writer; `waiting` counts the callers that do.
///
/// # Errors
/// If the writer ended without an answer.
pub(crate) async fn answer<T>(
    mut receiver: oneshot::Receiver<T>,
    waiting: &AtomicUsize,
) -> Result<T, oneshot::error::RecvError> {
    let _waiting = Waiting::join(waiting);
    if waiting.load(Ordering::Relaxed) == 1 {
        let since = Instant::now();
        while since.elapsed() < LONE && waiting.load(Ordering::Relaxed) == 1 {
            match receiver.try_recv() {
                Ok(answer) => return Ok(answer),
                Err(oneshot::error::TryRecvError::Closed) => break,
                Err(oneshot::error::TryRecvError::Empty) => pause(),
            }
        }
    }
    receiver.await
}

/// Counts a caller for as long as it waits, also if it is cancelled.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets a moment pass. It does not yield: on a busy machine that would give a whole time slice away,
/// where parking at the end of the patience gives only the processor away.
fn pause() {
    for _ in 0..32 {
        hint::spin_loop();
    }
}
