//! The execution aggregate: one run of one pipeline version.
//!
//! ```text
//! queued ──Claimed, Started──▶ running ──▶ completed | failed | cancelled
//!                                ▲                        │
//!                                └───────── Retried ──────┘
//! ```
//!
//! Whoever drives an execution claims it first: `Claimed` raises the epoch, and the log refuses
//! every later append of an owner with a smaller one. What happens next is [`plan`](crate::plan())'s
//! to say; this file says which facts may follow which.

use std::{collections::BTreeMap, time::Duration};

use flexcore_eventsourcing::{Aggregate, Epoch, Hash, IllegalEvent, Timestamp};
use serde_json::Value;

use crate::{
    CapabilityUse, EnvironmentName, ErrorClass, ExecutionId, Isolation, PipelineId, PipelineName,
    StepId,
};

mod decide;
mod evolve;

pub use decide::{ExecutionCommand, ExecutionRejection};

/// One run of one pipeline version.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// What it was created with.
    pub order: ExecutionOrder,
    /// Where it stands.
    pub status: ExecutionStatus,
    /// The epoch of its newest owner; 0 before the first claim.
    pub epoch: Epoch,
    /// The node that claimed it last.
    pub node: Option<String>,
    /// When it was started first.
    pub started_at: Option<Timestamp>,
    /// When it must have ended.
    pub deadline: Option<Timestamp>,
    /// Whether somebody asked for its end.
    pub cancel_requested: bool,
    /// Its steps: those of the pipeline version that were selected.
    pub steps: BTreeMap<StepId, StepProgress>,
}

/// What an execution is created with; never changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionOrder {
    /// Its id.
    pub id: ExecutionId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The pipeline's name.
    pub pipeline: PipelineName,
    /// The version of the definition that it runs to its end.
    pub version: u32,
    /// The version of the plan rules that it is planned with to its end.
    pub rules: u32,
    /// The environment whose settings apply.
    pub environment: EnvironmentName,
    /// The parameters' values; a secret one is `{"$secret": "<name>"}`.
    pub params: Value,
    /// The idempotency key that it was started with.
    pub run_key: Option<String>,
    /// The steps that run, in the order of the file.
    pub steps: Vec<StepId>,
    /// Only these streams run in its syncs; empty: all that are selected.
    pub streams: Vec<String>,
    /// Which bookmarks its syncs leave aside.
    pub full_refresh: FullRefresh,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// Which bookmarks the syncs of an execution leave aside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FullRefresh {
    /// None, unless a step's own settings say so.
    #[default]
    AsDefined,
    /// All.
    All,
    /// Those of these steps, each of all streams or of one.
    Steps(Vec<(StepId, Option<String>)>),
}

/// Where an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExecutionStatus {
    /// Created; nobody started it yet.
    Queued,
    /// Started; not at its end.
    Running,
    /// Every step ended, none of those that count failed.
    Completed,
    /// A step that counts failed.
    Failed,
    /// Somebody asked for its end, and it ended.
    Cancelled,
}

impl ExecutionStatus {
    /// Its word in views and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it is at its end.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// What is known of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepProgress {
    /// Where it stands.
    pub state: StepState,
    /// How many attempts were started in all; the number of the last one.
    pub attempts: u32,
    /// How many attempts count against the retry policy: not those that were lost with their node.
    pub tries: u32,
}

impl StepProgress {
    /// A step that was not decided yet.
    pub const NEW: Self = Self { state: StepState::Pending, attempts: 0, tries: 0 };
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq)]
pub enum StepState {
    /// Not decided yet, or to be started again.
    Pending,
    /// Its newest attempt is running.
    Running {
        /// When the attempt must have ended.
        deadline: Option<Timestamp>,
    },
    /// Its last attempt failed; another one is due.
    Waiting {
        /// When it is due, jitter included.
        due_at: Timestamp,
    },
    /// It did its work.
    Completed {
        /// What later steps read.
        output: StoredOutput,
    },
    /// It failed for good.
    Failed {
        /// The error of its last attempt.
        error: StepError,
    },
    /// It did not run.
    Skipped {
        /// Why not.
        cause: SkipCause,
    },
    /// It ended, or never began, because the execution was cancelled.
    Cancelled,
}

impl StepState {
    /// Its word in expressions, views and replies.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running { .. } => "running",
            Self::Waiting { .. } => "waiting",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it is at its end.
    pub const fn has_ended(&self) -> bool {
        matches!(
            self,
            Self::Completed { .. } | Self::Failed { .. } | Self::Skipped { .. } | Self::Cancelled
        )
    }
}

/// Why a step did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipCause {
    /// Its own condition was false.
    Condition,
    /// The ends of its needs are not those that it runs on.
    Upstream,
}

impl SkipCause {
    /// Its word in events and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Condition => "condition",
            Self::Upstream => "upstream",
        }
    }
}

/// A step's output: inline, or by reference to the artifact that holds it.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredOutput {
    /// The JSON itself, at most 64 KiB.
    Inline(Value),
    /// The JSON's bytes lie in the artifact store.
    Artifact {
        /// Their SHA-256.
        sha256: Hash,
        /// How many bytes.
        size: u64,
    },
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepError {
    /// What kind of failure it was.
    pub reason: FailureReason,
    /// What happened, for a person; secrets are masked.
    pub message: String,
    /// The exit code, if a program ended with one.
    pub exit_code: Option<i32>,
    /// The last lines of the failing program's stderr.
    pub stderr_tail: Vec<String>,
}

/// What kind of failure an attempt met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// An error of the attempt itself.
    Attempt(ErrorClass),
    /// Its node died; does not count as a try.
    NodeLost,
}

impl FailureReason {
    /// Its word in events and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempt(class) => class.as_str(),
            Self::NodeLost => "node_lost",
        }
    }
}

/// What an attempt counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepCounts {
    /// Records handed over.
    pub records: u64,
    /// Bytes of their lines.
    pub bytes: u64,
}

/// What held the programs of an attempt, which rights they had and what they did with them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepAudit {
    /// What held each program; empty if none ran.
    pub isolation: Vec<Isolation>,
    /// The capabilities that they had, as files write them.
    pub granted: Vec<String>,
    /// The capabilities that were asked for in vain, as files write them.
    pub refused: Vec<String>,
    /// What they used of their rights, and what they tried in vain.
    pub uses: Vec<CapabilityUse>,
}

/// A fact about an execution.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecutionEvent {
    /// It was asked for.
    Created(ExecutionOrder),
    /// A node became its owner.
    Claimed {
        /// The node.
        node: String,
        /// The owner's epoch, one more than the former owner's.
        epoch: Epoch,
    },
    /// Its first owner began.
    Started {
        /// When.
        at: Timestamp,
        /// When it must have ended.
        deadline: Option<Timestamp>,
    },
    /// An attempt of a step began.
    StepStarted {
        /// The step.
        step: StepId,
        /// The attempt's number, from 1.
        attempt: u32,
        /// When the attempt must have ended.
        deadline: Option<Timestamp>,
    },
    /// What held the programs of the attempt, and which rights they had. Recorded with the
    /// attempt's end.
    StepSandboxed {
        /// The step.
        step: StepId,
        /// The attempt's number.
        attempt: u32,
        /// What held each program.
        isolation: Vec<Isolation>,
        /// The capabilities that they had, as files write them.
        granted: Vec<String>,
        /// The capabilities that were asked for in vain.
        refused: Vec<String>,
    },
    /// What the programs of the attempt used of their rights, and what they tried in vain. Recorded
    /// with the attempt's end, if there was anything.
    StepCapabilitiesUsed {
        /// The step.
        step: StepId,
        /// The attempt's number.
        attempt: u32,
        /// Each capability that was used, with counts.
        uses: Vec<CapabilityUse>,
    },
    /// The attempt did its work.
    StepCompleted {
        /// The step.
        step: StepId,
        /// The attempt's number.
        attempt: u32,
        /// What later steps read.
        output: StoredOutput,
        /// How long the attempt took.
        duration: Duration,
        /// What it counted.
        counts: StepCounts,
    },
    /// The attempt failed.
    StepFailed {
        /// The step.
        step: StepId,
        /// The attempt's number.
        attempt: u32,
        /// Why.
        error: StepError,
        /// Whether another try follows.
        retryable: bool,
    },
    /// Another try follows a failed attempt.
    StepRetryScheduled {
        /// The step.
        step: StepId,
        /// When it is due, jitter included.
        due_at: Timestamp,
    },
    /// The step does not run.
    StepSkipped {
        /// The step.
        step: StepId,
        /// Why not.
        cause: SkipCause,
    },
    /// The step ended, or never began, because the execution was cancelled.
    StepCancelled {
        /// The step.
        step: StepId,
    },
    /// Somebody asked for its end.
    CancellationRequested {
        /// Why, if they said so.
        reason: Option<String>,
    },
    /// It ended; every step that counts did its work.
    Completed,
    /// It ended; a step that counts failed.
    Failed {
        /// The first step that failed.
        step: StepId,
        /// Its error, in one line.
        error: String,
    },
    /// It ended because somebody asked for it.
    Cancelled,
    /// Somebody asked for another run of what did not complete.
    Retried {
        /// The steps that begin anew.
        steps: Vec<StepId>,
    },
}

impl Aggregate for Execution {
    type Command = ExecutionCommand;
    type Event = ExecutionEvent;
    type Rejection = ExecutionRejection;
    const CATEGORY: &'static str = "execution";

    fn decide(
        state: Option<&Self>,
        command: &ExecutionCommand,
        now: Timestamp,
    ) -> Result<Vec<ExecutionEvent>, ExecutionRejection> {
        decide::decide(state, command, now)
    }

    fn evolve(state: Option<Self>, event: &ExecutionEvent) -> Result<Self, IllegalEvent> {
        match state {
            None => evolve::create(event),
            Some(execution) => evolve::advance(execution, event),
        }
    }
}

impl Execution {
    /// Where a step stands; `None` if it is not part of this execution.
    pub fn state_of(&self, step: &StepId) -> Option<&StepState> {
        self.steps.get(step).map(|progress| &progress.state)
    }

    /// The steps that are running, each with the number of its attempt.
    pub fn running(&self) -> impl Iterator<Item = (&StepId, u32)> {
        let running = |progress: &StepProgress| matches!(progress.state, StepState::Running { .. });
        self.steps
            .iter()
            .filter(move |(_, progress)| running(progress))
            .map(|(step, progress)| (step, progress.attempts))
    }
}
