//! The execution runner: lease, claim, fold, plan, append, perform; again until the end.
//!
//! [`plan`](flexcore_domain::plan) says what to do next; this module evaluates what the plan must
//! not (conditions, templates, jitter), appends the outcome and the next decision together, and
//! only then performs it. A crash therefore costs at most the attempts that were running: the next
//! owner claims, folds and plans.

mod attempt;
mod bookmark;
mod command;
mod count;
mod evaluation;
mod hint;
mod lease;
mod plugin;
mod session;
mod sync;
mod transition;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use flexcore_domain::{ExecutionId, ExecutionStatus, Jitter, StepId, execution::ExecutionEvent};
use flexcore_eventsourcing::StreamName;
use flexcore_ports::{
    AttemptDeadline, LeaseHolder,
    attempt::{CommandRunner, Progress, SyncRunner},
};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{RequestContext, Services, UseCaseError};
use lease::{Leases, Tenure};
use session::Session;

pub(crate) use attempt::step_environment;
pub(crate) use evaluation::{Evaluation, render_step};
pub(crate) use sync::discovery_settings;

/// What a runner is set up with.
#[derive(Debug, Clone)]
pub struct RunnerOptions {
    /// The name of this node, for the log.
    pub node: String,
    /// Relative paths and working directories of steps start here.
    pub project_root: PathBuf,
    /// Private folders of attempts are made under this one.
    pub work_folder: PathBuf,
    /// The program that runs native connectors as `plugin run NAME --`.
    pub executable: PathBuf,
    /// How long the processes of an attempt may take to end after they were asked to.
    pub grace: Duration,
    /// For how long a lease is asked for; it is renewed about three times in that time.
    pub lease_ttl: Duration,
}

/// Drives executions to their end.
#[derive(Clone)]
pub struct Runner {
    services: Arc<Services>,
    commands: Arc<dyn CommandRunner>,
    syncs: Arc<dyn SyncRunner>,
    leases: Arc<Leases>,
    options: Arc<RunnerOptions>,
    jitter: fn(Jitter, Duration) -> Duration,
}

impl fmt::Debug for Runner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Runner").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Why a runner stopped before the end of an execution. Whatever it started has ended or is being
/// killed; that nothing of it is left is what the end of the launcher proves.
#[derive(Debug, Error)]
pub enum RunError {
    /// Another process drives the execution.
    #[error(
        "execution {execution} is driven by {}, whose lease lasts for another {:.1} s unless it is renewed",
        .holder.node, .holder.expires_in.as_secs_f64()
    )]
    Held {
        /// The execution.
        execution: ExecutionId,
        /// Who drives it.
        holder: LeaseHolder,
    },
    /// The lease ran out, or somebody else has it. The execution is left for whoever comes next.
    #[error("execution {execution} was given up, because its lease was lost: {reason}")]
    LostLease {
        /// The execution.
        execution: ExecutionId,
        /// How it came.
        reason: String,
    },
    /// Another owner claimed the execution.
    #[error("execution {execution} was taken over by another process")]
    LostOwnership {
        /// The execution.
        execution: ExecutionId,
    },
    /// It was told to stop; the execution is left interrupted.
    #[error("execution {execution} was interrupted; `--resume` goes on with it")]
    Stopped {
        /// The execution.
        execution: ExecutionId,
    },
    /// The execution was planned by rules that this program does not know.
    #[error(
        "execution {execution} was started by a newer flexcore (plan rules {rules}); go on with that one"
    )]
    NewerRules {
        /// The execution.
        execution: ExecutionId,
        /// The version of its rules.
        rules: u32,
    },
    /// The log, the views or the definition failed.
    #[error(transparent)]
    UseCase(#[from] UseCaseError),
}

/// Hears what becomes of an execution while it runs. Calls must be quick.
pub trait RunObserver: Send + Sync {
    /// An event was recorded.
    fn recorded(&self, event: &ExecutionEvent);
    /// A running attempt got on.
    fn progress(&self, step: &StepId, progress: &Progress);
}

impl Runner {
    /// A runner over these services and adapters. `deadline` ends what `commands` and `syncs`
    /// started if this process cannot.
    pub fn new(
        services: Arc<Services>,
        commands: Arc<dyn CommandRunner>,
        syncs: Arc<dyn SyncRunner>,
        deadline: Arc<dyn AttemptDeadline>,
        options: RunnerOptions,
    ) -> Self {
        let coordinator = Arc::clone(&services.ports.coordinator);
        let leases = Arc::new(Leases::new(coordinator, deadline, options.lease_ttl));
        Self { services, commands, syncs, leases, options: Arc::new(options), jitter: spread }
    }

    /// Takes the lease of an execution, claims it and drives it to its end.
    ///
    /// A cancellation comes through the log, from whoever appends it. When `stop` fires, running
    /// attempts are killed and the execution is left as it is, for a later owner.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn run(
        &self,
        context: &RequestContext,
        execution: ExecutionId,
        observer: Arc<dyn RunObserver>,
        stop: CancellationToken,
    ) -> Result<ExecutionStatus, RunError> {
        let tenure = self.leases.take(execution).await?;
        let ended = self.own(&tenure, context, execution, observer, &stop).await;
        tenure.end().await;
        ended
    }

    /// What happens under a lease. When it returns, nothing of the execution runs any more.
    async fn own(
        &self,
        tenure: &Tenure,
        context: &RequestContext,
        execution: ExecutionId,
        observer: Arc<dyn RunObserver>,
        stop: &CancellationToken,
    ) -> Result<ExecutionStatus, RunError> {
        let (known, _) = self.services.get_execution(context, execution).await?;
        if known.status.has_ended() {
            // Whoever had the lease before brought it there.
            return Ok(known.status);
        }
        let context = self.services.in_its_trace(context, execution).await?;
        let mut session = Session::claim(self, tenure, &context, &known, observer).await?;
        let driven = count::Driven::begin();
        let span = session.span();
        let ended = session.drive(stop).instrument(span).await;
        drop(driven);
        if matches!(ended, Err(RunError::LostOwnership { .. } | RunError::LostLease { .. })) {
            count::lease_lost();
        }
        match ended {
            // Whoever asked for it has waited long enough, or another owner is about to begin.
            Err(
                RunError::Stopped { .. }
                | RunError::LostOwnership { .. }
                | RunError::LostLease { .. },
            ) => session.abandon_attempts().await,
            _ => session.end_attempts().await,
        }
        ended
    }
}

/// Which execution a running attempt belongs to, and how its appends are fenced.
#[derive(Debug, Clone)]
pub(crate) struct Ownership {
    /// The execution's stream.
    pub(crate) stream: StreamName,
    /// The owner's epoch.
    pub(crate) epoch: flexcore_eventsourcing::Epoch,
    /// The newest known version of the execution's stream, for guards of other streams' appends.
    /// The session folds the stream on its own and keeps its own count.
    pub(crate) guard: Arc<std::sync::atomic::AtomicU64>,
}

/// The wait before a retry, spread so that many steps do not come back at once.
fn spread(jitter: Jitter, wait: Duration) -> Duration {
    match jitter {
        Jitter::None => wait,
        Jitter::Full => wait.mul_f64(fastrand::f64()),
    }
}
