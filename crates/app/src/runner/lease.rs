//! The lease of an execution: taken before the claim, renewed while it is driven, given back at the
//! end, and minded when it cannot be renewed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use flexcore_domain::ExecutionId;
use flexcore_ports::{AttemptDeadline, Coordinator, Lease, LeaseAnswer, StoreError, lease_margin};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::RunError;
use crate::{UseCaseError, execution::lease_name};

/// The longest time between two renewals, for leases that never run out.
const RENEW_AT_LEAST_EVERY: Duration = Duration::from_hours(1);

/// The wait before a renewal that failed is tried again, jitter included.
const RETRY: Duration = Duration::from_millis(100);

/// The leases that this process takes, and the deadline that follows from them.
pub(super) struct Leases {
    coordinator: Arc<dyn Coordinator>,
    ttl: Duration,
    /// When each of the running executions must have ended unless its lease is renewed.
    deadlines: tokio::sync::Mutex<BTreeMap<ExecutionId, Instant>>,
    attempts: Arc<dyn AttemptDeadline>,
}

impl Leases {
    pub(super) fn new(
        coordinator: Arc<dyn Coordinator>,
        attempts: Arc<dyn AttemptDeadline>,
        ttl: Duration,
    ) -> Self {
        Self { coordinator, ttl, deadlines: tokio::sync::Mutex::default(), attempts }
    }

    /// Takes the lease of an execution, or says who has it.
    pub(super) async fn take(self: &Arc<Self>, execution: ExecutionId) -> Result<Tenure, RunError> {
        let answer = self.coordinator.acquire(&lease_name(execution), self.ttl).await;
        let answer = answer
            .map_err(|error| UseCaseError::from(StoreError::Unavailable(error.to_string())))?;
        let lease = match answer {
            LeaseAnswer::Granted(lease) => lease,
            LeaseAnswer::Held(holder) => return Err(RunError::Held { execution, holder }),
        };
        self.note(execution, Some(lease.deadline)).await;
        Ok(Tenure::begin(Arc::clone(self), execution, lease))
    }

    /// Has the processes end with the first lease that runs out. They are given a part of the
    /// margin longer than this process gives itself: while it lives it ends them more orderly, and
    /// those of one execution only.
    async fn note(&self, execution: ExecutionId, deadline: Option<Instant>) {
        let mut deadlines = self.deadlines.lock().await;
        match deadline {
            Some(deadline) => deadlines.insert(execution, deadline),
            None => deadlines.remove(&execution),
        };
        let first = deadlines.values().min();
        self.attempts.set(first.map(|first| *first + lease_margin(self.ttl) / 2)).await;
    }
}

/// A lease that is kept until [`end`](Self::end).
pub(super) struct Tenure {
    leases: Arc<Leases>,
    execution: ExecutionId,
    deadline: watch::Receiver<Instant>,
    lost: Arc<Loss>,
    finished: CancellationToken,
    keeper: JoinHandle<Lease>,
}

/// That a lease was lost, and how.
#[derive(Default)]
struct Loss {
    happened: CancellationToken,
    reason: Mutex<String>,
}

impl Loss {
    fn declare(&self, reason: impl Into<String>) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason.into();
        self.happened.cancel();
    }

    fn reason(&self) -> String {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Tenure {
    fn begin(leases: Arc<Leases>, execution: ExecutionId, lease: Lease) -> Self {
        let (sender, deadline) = watch::channel(lease.deadline);
        let (lost, finished) = (Arc::new(Loss::default()), CancellationToken::new());
        let keeper = Keeper {
            leases: Arc::clone(&leases),
            execution,
            lease,
            deadline: sender,
            lost: Arc::clone(&lost),
        };
        let keeper = tokio::spawn(keeper.keep(finished.clone()));
        Self { leases, execution, deadline, lost, finished, keeper }
    }

    /// Refuses once the lease may be somebody else's: it was lost, or its time is up though nobody
    /// has noticed yet.
    pub(super) fn must_hold(&self) -> Result<(), RunError> {
        if self.lost.happened.is_cancelled() {
            return Err(self.error(self.lost.reason()));
        }
        if Instant::now() >= *self.deadline.borrow() {
            return Err(self.error(late()));
        }
        Ok(())
    }

    /// Returns when the lease is lost.
    pub(super) async fn lost(&self) -> RunError {
        self.lost.happened.cancelled().await;
        self.error(self.lost.reason())
    }

    fn error(&self, reason: String) -> RunError {
        RunError::LostLease { execution: self.execution, reason }
    }

    /// Gives the lease back. To be called when nothing runs under it any more.
    pub(super) async fn end(self) {
        self.finished.cancel();
        if let Ok(lease) = self.keeper.await {
            let release = self.leases.coordinator.release(&lease);
            let released = tokio::time::timeout(self.leases.ttl / 3, release).await;
            if !matches!(released, Ok(Ok(()))) {
                tracing::debug!(lease = lease.name, "a lease is left to run out by itself");
            }
        }
        self.leases.note(self.execution, None).await;
    }
}

/// Renews a lease in the background.
struct Keeper {
    leases: Arc<Leases>,
    execution: ExecutionId,
    lease: Lease,
    deadline: watch::Sender<Instant>,
    lost: Arc<Loss>,
}

impl Keeper {
    /// Renews until it is told that all is done; gives the lease back in its last form.
    async fn keep(mut self, finished: CancellationToken) -> Lease {
        let renewals = async {
            let mut wait = third_of(self.lease.deadline);
            loop {
                tokio::time::sleep(wait).await;
                match self.renew().await {
                    Ok(next) => wait = next,
                    Err(reason) => {
                        self.lost.declare(reason);
                        return;
                    }
                }
            }
        };
        tokio::select! {
            () = finished.cancelled() => {}
            () = renewals => finished.cancelled().await,
        }
        self.lease
    }

    /// Renews once; how long to wait before the next time, or why the lease is lost.
    async fn renew(&mut self) -> Result<Duration, String> {
        if Instant::now() >= self.lease.deadline {
            // Asking now could keep a lease that nobody works under from whoever waits for it.
            return Err(late());
        }
        let left = self.lease.deadline.saturating_duration_since(Instant::now());
        // An answer that does not come may come on another connection: there is time for more.
        let patience = (left / 2).max(RETRY).min(left);
        let ask = self.leases.coordinator.acquire(&self.lease.name, self.leases.ttl);
        match tokio::time::timeout(patience, ask).await {
            Ok(Ok(LeaseAnswer::Granted(lease))) if lease.token == self.lease.token => {
                self.lease = lease;
                self.deadline.send_replace(self.lease.deadline);
                self.leases.note(self.execution, Some(self.lease.deadline)).await;
                Ok(third_of(self.lease.deadline))
            }
            Ok(Ok(LeaseAnswer::Granted(lease))) => {
                // It changed hands meanwhile, and is ours again by accident: give this one back.
                self.lease = lease;
                Err("another process had it meanwhile".to_owned())
            }
            Ok(Ok(LeaseAnswer::Held(holder))) => Err(format!("{} has it now", holder.node)),
            Ok(Err(error)) => {
                tracing::warn!(%error, lease = self.lease.name, "a lease was not renewed yet");
                let left = self.lease.deadline.saturating_duration_since(Instant::now());
                Ok(RETRY.mul_f64(0.5 + fastrand::f64()).min(left))
            }
            Err(_) => Ok(Duration::ZERO),
        }
    }
}

fn late() -> String {
    "it was not renewed in time; the store did not answer, or this process was stopped".to_owned()
}

/// A third of the time that is left.
fn third_of(deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    (left / 3).min(RENEW_AT_LEAST_EVERY)
}
