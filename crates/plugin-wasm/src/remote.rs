//! Workers as their host sees them: started in a jail, spoken with over two pipes, killed when they
//! do not behave.

mod compile;
mod start;
mod talk;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use flexcore_domain::Isolation;
use tokio::sync::{Notify, oneshot};

use self::talk::{Pending, Talk};
pub(crate) use self::{
    compile::compile,
    start::{Kept, RunFolder, start},
};
use crate::{
    broker::Broker,
    guest::Order,
    task::{Failure, FailureKind, Finish, State},
    wire::{Tag, pack, parts_of},
};

/// A worker that has loaded its guest. Dropping this kills it.
pub(crate) struct Worker {
    talk: Arc<Talk>,
    kill: Arc<Notify>,
    isolation: Isolation,
    calls: AtomicU64,
    begun: AtomicU32,
    since: Instant,
    stop: Duration,
}

impl Worker {
    /// What holds it.
    pub(crate) fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    /// Whether it can be called still.
    pub(crate) fn is_alive(&self) -> bool {
        self.talk.is_open()
    }

    /// Whether it has served so often, or so long.
    pub(crate) fn is_worn(&self, uses: u32, age: Duration) -> bool {
        self.begun.load(Ordering::Relaxed) >= uses || self.since.elapsed() >= age
    }

    /// Carries out one call.
    pub(crate) async fn call(&self, order: Order, broker: Arc<Broker>) -> Finish {
        let Order { task, input, cancel, .. } = order;
        self.begun.fetch_add(1, Ordering::Relaxed);
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let (finish, finished) = oneshot::channel();
        let most = task.bounds.output.saturating_mul(2).saturating_add(1 << 20);
        let pending = Pending::new(finish, broker, most);
        // Whoever waits no longer has the call ended.
        let _listed = Listed { talk: &self.talk, call };
        let begin = || -> std::io::Result<()> {
            self.talk.begin(call, pending)?;
            for part in input.iter().flat_map(parts_of) {
                self.talk.send(Tag::Input, call, &part)?;
            }
            self.talk.send(Tag::Call, call, &pack(&task, &[])?)
        };
        if begin().is_err() {
            return failed(self.talk.end_of_worker());
        }
        let time = task.bounds.time_ms.map(Duration::from_millis);
        let mut finished = finished;
        tokio::select! {
            biased;
            finish = &mut finished => return finish.unwrap_or_else(|_| failed(self.talk.end_of_worker())),
            () = cancel.cancelled() => {}
            () = elapsed(time.map(|time| time + self.stop)) => {
                // The worker itself should have noticed long ago.
                self.kill.notify_one();
            }
        }
        let _ = self.talk.send(Tag::Cancel, call, &[]);
        if let Ok(finish) = tokio::time::timeout(self.stop, &mut finished).await {
            return finish.unwrap_or_else(|_| failed(self.talk.end_of_worker()));
        }
        self.kill.notify_one();
        let kind = if cancel.is_cancelled() { FailureKind::Cancelled } else { FailureKind::Time };
        failed(Failure::new(kind, "it did not end when it was asked to, and was killed"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill.notify_one();
    }
}

/// A call that somebody waits for.
struct Listed<'a> {
    talk: &'a Talk,
    call: u64,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        if self.talk.forget(self.call) {
            let _ = self.talk.send(Tag::Cancel, self.call, &[]);
        }
    }
}

fn failed(failure: Failure) -> Finish {
    Finish { outcome: Err(failure), state: State::new() }
}

async fn elapsed(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
