//! The stored form of executions.

use std::borrow::Cow;

use flexcore_domain::{StepId, execution::ExecutionEvent};
use flexcore_eventsourcing::{Epoch, Timestamp};
use serde::{Deserialize, Serialize};

use self::{
    audit::{StepCapabilitiesUsed, StepSandboxed},
    order::PipelineExecutionCreated,
    step::{
        StepCancelled, StepCompleted, StepFailed, StepRetryScheduled, StepSkipped, StepStarted,
    },
};
use crate::{
    DecodeError, Encoded, StoredEvent, form,
    payload::{Payload, event_type, read, write},
};

mod audit;
mod order;
mod state;
mod step;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineExecutionClaimed<'a> {
    node: Cow<'a, str>,
    #[serde(with = "form")]
    epoch: Epoch,
}
event_type!(PipelineExecutionClaimed<'_>, "PipelineExecutionClaimed", 1);

impl From<PipelineExecutionClaimed<'_>> for ExecutionEvent {
    fn from(PipelineExecutionClaimed { node, epoch }: PipelineExecutionClaimed<'_>) -> Self {
        Self::Claimed { node: node.into_owned(), epoch }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineExecutionStarted {
    #[serde(rename = "at_us", with = "form")]
    at: Timestamp,
    #[serde(
        rename = "deadline_us",
        with = "form",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    deadline: Option<Timestamp>,
}
event_type!(PipelineExecutionStarted, "PipelineExecutionStarted", 1);

impl From<PipelineExecutionStarted> for ExecutionEvent {
    fn from(PipelineExecutionStarted { at, deadline }: PipelineExecutionStarted) -> Self {
        Self::Started { at, deadline }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineExecutionCancellationRequested<'a> {
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}
event_type!(
    PipelineExecutionCancellationRequested<'_>,
    "PipelineExecutionCancellationRequested",
    1
);

impl From<PipelineExecutionCancellationRequested<'_>> for ExecutionEvent {
    fn from(event: PipelineExecutionCancellationRequested<'_>) -> Self {
        Self::CancellationRequested { reason: event.reason.map(Cow::into_owned) }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineExecutionCompleted {}
event_type!(PipelineExecutionCompleted, "PipelineExecutionCompleted", 1);

impl From<PipelineExecutionCompleted> for ExecutionEvent {
    fn from(PipelineExecutionCompleted {}: PipelineExecutionCompleted) -> Self {
        Self::Completed
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineExecutionFailed<'a> {
    #[serde(with = "form")]
    step: Cow<'a, StepId>,
    error: Cow<'a, str>,
}
event_type!(PipelineExecutionFailed<'_>, "PipelineExecutionFailed", 1);

impl From<PipelineExecutionFailed<'_>> for ExecutionEvent {
    fn from(PipelineExecutionFailed { step, error }: PipelineExecutionFailed<'_>) -> Self {
        Self::Failed { step: step.into_owned(), error: error.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineExecutionCancelled {}
event_type!(PipelineExecutionCancelled, "PipelineExecutionCancelled", 1);

impl From<PipelineExecutionCancelled> for ExecutionEvent {
    fn from(PipelineExecutionCancelled {}: PipelineExecutionCancelled) -> Self {
        Self::Cancelled
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineExecutionRetried<'a> {
    #[serde(with = "form")]
    steps: Cow<'a, [StepId]>,
}
event_type!(PipelineExecutionRetried<'_>, "PipelineExecutionRetried", 1);

impl From<PipelineExecutionRetried<'_>> for ExecutionEvent {
    fn from(PipelineExecutionRetried { steps }: PipelineExecutionRetried<'_>) -> Self {
        Self::Retried { steps: steps.into_owned() }
    }
}

impl StoredEvent for ExecutionEvent {
    const TYPES: &'static [&'static str] = &[
        PipelineExecutionCreated::TYPE,
        PipelineExecutionClaimed::TYPE,
        PipelineExecutionStarted::TYPE,
        StepStarted::TYPE,
        StepSandboxed::TYPE,
        StepCapabilitiesUsed::TYPE,
        StepCompleted::TYPE,
        StepFailed::TYPE,
        StepRetryScheduled::TYPE,
        StepSkipped::TYPE,
        StepCancelled::TYPE,
        PipelineExecutionCancellationRequested::TYPE,
        PipelineExecutionCompleted::TYPE,
        PipelineExecutionFailed::TYPE,
        PipelineExecutionCancelled::TYPE,
        PipelineExecutionRetried::TYPE,
    ];

    fn encode(&self) -> Encoded {
        use Cow::Borrowed;
        match self {
            Self::Created(order) => write(&PipelineExecutionCreated(Borrowed(order))),
            Self::Claimed { node, epoch } => {
                write(&PipelineExecutionClaimed { node: node.into(), epoch: *epoch })
            }
            Self::Started { at, deadline } => {
                write(&PipelineExecutionStarted { at: *at, deadline: *deadline })
            }
            Self::StepStarted { step, attempt, deadline } => {
                let (attempt, deadline) = (*attempt, *deadline);
                write(&StepStarted { step: Borrowed(step), attempt, deadline })
            }
            Self::StepSandboxed { step, attempt, isolation, granted, refused } => {
                write(&StepSandboxed {
                    step: Borrowed(step),
                    attempt: *attempt,
                    isolation: Borrowed(isolation),
                    granted: Borrowed(granted),
                    refused: Borrowed(refused),
                })
            }
            Self::StepCapabilitiesUsed { step, attempt, uses } => {
                let (step, uses) = (Borrowed(step), Borrowed(uses.as_slice()));
                write(&StepCapabilitiesUsed { step, attempt: *attempt, uses })
            }
            Self::StepCompleted { step, attempt, output, duration, counts } => {
                write(&StepCompleted {
                    step: Borrowed(step),
                    attempt: *attempt,
                    output: Borrowed(output),
                    duration: *duration,
                    counts: *counts,
                })
            }
            Self::StepFailed { step, attempt, error, retryable } => {
                let (attempt, retryable) = (*attempt, *retryable);
                let (step, error) = (Borrowed(step), Borrowed(error));
                write(&StepFailed { step, attempt, error, retryable })
            }
            Self::StepRetryScheduled { step, due_at } => {
                write(&StepRetryScheduled { step: Borrowed(step), due_at: *due_at })
            }
            Self::StepSkipped { step, cause } => {
                write(&StepSkipped { step: Borrowed(step), cause: *cause })
            }
            Self::StepCancelled { step } => write(&StepCancelled { step: Borrowed(step) }),
            Self::CancellationRequested { reason } => {
                let reason = reason.as_deref().map(Borrowed);
                write(&PipelineExecutionCancellationRequested { reason })
            }
            Self::Completed => write(&PipelineExecutionCompleted {}),
            Self::Failed { step, error } => {
                write(&PipelineExecutionFailed { step: Borrowed(step), error: error.into() })
            }
            Self::Cancelled => write(&PipelineExecutionCancelled {}),
            Self::Retried { steps } => write(&PipelineExecutionRetried { steps: steps.into() }),
        }
    }

    fn decode(type_name: &str, schema_version: u16, payload: &[u8]) -> Result<Self, DecodeError> {
        let version = schema_version;
        match type_name {
            PipelineExecutionCreated::TYPE => {
                read::<PipelineExecutionCreated<'_>, _>(version, payload)
            }
            PipelineExecutionClaimed::TYPE => {
                read::<PipelineExecutionClaimed<'_>, _>(version, payload)
            }
            PipelineExecutionStarted::TYPE => read::<PipelineExecutionStarted, _>(version, payload),
            StepStarted::TYPE => read::<StepStarted<'_>, _>(version, payload),
            StepSandboxed::TYPE => read::<StepSandboxed<'_>, _>(version, payload),
            StepCapabilitiesUsed::TYPE => read::<StepCapabilitiesUsed<'_>, _>(version, payload),
            StepCompleted::TYPE => read::<StepCompleted<'_>, _>(version, payload),
            StepFailed::TYPE => read::<StepFailed<'_>, _>(version, payload),
            StepRetryScheduled::TYPE => read::<StepRetryScheduled<'_>, _>(version, payload),
            StepSkipped::TYPE => read::<StepSkipped<'_>, _>(version, payload),
            StepCancelled::TYPE => read::<StepCancelled<'_>, _>(version, payload),
            PipelineExecutionCancellationRequested::TYPE => {
                read::<PipelineExecutionCancellationRequested<'_>, _>(version, payload)
            }
            PipelineExecutionCompleted::TYPE => {
                read::<PipelineExecutionCompleted, _>(version, payload)
            }
            PipelineExecutionFailed::TYPE => {
                read::<PipelineExecutionFailed<'_>, _>(version, payload)
            }
            PipelineExecutionCancelled::TYPE => {
                read::<PipelineExecutionCancelled, _>(version, payload)
            }
            PipelineExecutionRetried::TYPE => {
                read::<PipelineExecutionRetried<'_>, _>(version, payload)
            }
            _ => Err(DecodeError::unknown_type::<Self>(type_name)),
        }
    }
}
