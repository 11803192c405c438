//! The stored form of what happens to the steps of an execution.

use std::{borrow::Cow, time::Duration};

use flexcore_domain::{
    ErrorClass, FailureReason, SkipCause, StepCounts, StepError, StepId, StoredOutput,
    execution::ExecutionEvent,
};
use flexcore_eventsourcing::{Hash, Timestamp};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, IntoDeserializer},
};
use serde_json::Value;

use crate::{
    form::{self, Form, remote_form},
    payload::event_type,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepStarted<'a> {
    #[serde(with = "form")]
    pub(super) step: Cow<'a, StepId>,
    pub(super) attempt: u32,
    #[serde(
        rename = "deadline_us",
        with = "form",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) deadline: Option<Timestamp>,
}
event_type!(StepStarted<'_>, "StepStarted", 1);

impl From<StepStarted<'_>> for ExecutionEvent {
    fn from(StepStarted { step, attempt, deadline }: StepStarted<'_>) -> Self {
        Self::StepStarted { step: step.into_owned(), attempt, deadline }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepCompleted<'a> {
    #[serde(with = "form")]
    pub(super) step: Cow<'a, StepId>,
    pub(super) attempt: u32,
    #[serde(with = "form")]
    pub(super) output: Cow<'a, StoredOutput>,
    #[serde(rename = "duration_us", with = "form")]
    pub(super) duration: Duration,
    #[serde(with = "form")]
    pub(super) counts: StepCounts,
}
event_type!(StepCompleted<'_>, "StepCompleted", 1);

impl From<StepCompleted<'_>> for ExecutionEvent {
    fn from(event: StepCompleted<'_>) -> Self {
        let StepCompleted { step, attempt, output, duration, counts } = event;
        let (step, output) = (step.into_owned(), output.into_owned());
        Self::StepCompleted { step, attempt, output, duration, counts }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepFailed<'a> {
    #[serde(with = "form")]
    pub(super) step: Cow<'a, StepId>,
    pub(super) attempt: u32,
    #[serde(with = "form")]
    pub(super) error: Cow<'a, StepError>,
    pub(super) retryable: bool,
}
event_type!(StepFailed<'_>, "StepFailed", 1);

impl From<StepFailed<'_>> for ExecutionEvent {
    fn from(StepFailed { step, attempt, error, retryable }: StepFailed<'_>) -> Self {
        let (step, error) = (step.into_owned(), error.into_owned());
        Self::StepFailed { step, attempt, error, retryable }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepRetryScheduled<'a> {
    #[serde(with = "form")]
    pub(super) step: Cow<'a, StepId>,
    #[serde(rename = "due_at_us", with = "form")]
    pub(super) due_at: Timestamp,
}
event_type!(StepRetryScheduled<'_>, "StepRetryScheduled", 1);

impl From<StepRetryScheduled<'_>> for ExecutionEvent {
    fn from(StepRetryScheduled { step, due_at }: StepRetryScheduled<'_>) -> Self {
        Self::StepRetryScheduled { step: step.into_owned(), due_at }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepSkipped<'a> {
    #[serde(with = "form")]
    pub(super) step: Cow<'a, StepId>,
    #[serde(with = "form")]
    pub(super) cause: SkipCause,
}
event_type!(StepSkipped<'_>, "StepSkipped", 1);

impl From<StepSkipped<'_>> for ExecutionEvent {
    fn from(StepSkipped { step, cause }: StepSkipped<'_>) -> Self {
        Self::StepSkipped { step: step.into_owned(), cause }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepCancelled<'a> {
    #[serde(with = "form")]
    pub(super) step: Cow<'a, StepId>,
}
event_type!(StepCancelled<'_>, "StepCancelled", 1);

impl From<StepCancelled<'_>> for ExecutionEvent {
    fn from(StepCancelled { step }: StepCancelled<'_>) -> Self {
        Self::StepCancelled { step: step.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StoredOutput", rename_all = "snake_case", deny_unknown_fields)]
enum StoredOutputForm {
    #[serde(with = "form")]
    Inline(Value),
    Artifact {
        #[serde(with = "form")]
        sha256: Hash,
        size: u64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StepError", deny_unknown_fields)]
struct StepErrorForm {
    #[serde(with = "form")]
    reason: FailureReason,
    message: String,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    stderr_tail: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StepCounts", deny_unknown_fields)]
struct StepCountsForm {
    records: u64,
    bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SkipCause", rename_all = "snake_case")]
enum SkipCauseForm {
    Condition,
    Upstream,
}

remote_form! {
    StoredOutput => StoredOutputForm,
    StepError => StepErrorForm,
    StepCounts => StepCountsForm,
    SkipCause => SkipCauseForm,
}

/// The word beside those of [`ErrorClass`].
const NODE_LOST: &str = "node_lost";

/// One word, `node_lost` or that of an error class.
impl Form for FailureReason {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Attempt(class) => class.write(serializer),
            Self::NodeLost => serializer.serialize_str(NODE_LOST),
        }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        if word == NODE_LOST {
            return Ok(Self::NodeLost);
        }
        let class: Result<_, serde::de::value::Error> =
            ErrorClass::read(word.as_str().into_deserializer());
        class
            .map(Self::Attempt)
            .map_err(|error| D::Error::custom(format_args!("{error}, or `{NODE_LOST}`")))
    }
}
