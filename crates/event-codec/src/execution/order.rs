//! The stored form of what an execution is created with.

use std::borrow::Cow;

use flexcore_domain::{
    EnvironmentName, ExecutionId, ExecutionOrder, FullRefresh, PipelineId, PipelineName, StepId,
    execution::ExecutionEvent,
};
use flexcore_eventsourcing::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::{
    form::{self, Form, remote_form},
    payload::event_type,
};

/// The order itself is the payload.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct PipelineExecutionCreated<'a>(
    #[serde(with = "form")] pub(super) Cow<'a, ExecutionOrder>,
);
event_type!(PipelineExecutionCreated<'_>, "PipelineExecutionCreated", 1);

impl From<PipelineExecutionCreated<'_>> for ExecutionEvent {
    fn from(PipelineExecutionCreated(order): PipelineExecutionCreated<'_>) -> Self {
        Self::Created(order.into_owned())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ExecutionOrder", deny_unknown_fields)]
struct ExecutionOrderForm {
    #[serde(with = "form")]
    id: ExecutionId,
    #[serde(with = "form")]
    pipeline_id: PipelineId,
    #[serde(with = "form")]
    pipeline: PipelineName,
    version: u32,
    rules: u32,
    #[serde(with = "form")]
    environment: EnvironmentName,
    #[serde(with = "form")]
    params: Value,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    run_key: Option<String>,
    #[serde(with = "form")]
    steps: Vec<StepId>,
    streams: Vec<String>,
    #[serde(with = "form")]
    full_refresh: FullRefresh,
    #[serde(rename = "created_at_us", with = "form")]
    created_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "FullRefresh", rename_all = "snake_case")]
enum FullRefreshForm {
    AsDefined,
    All,
    #[serde(with = "form")]
    Steps(Vec<(StepId, Option<String>)>),
}

remote_form! {
    ExecutionOrder => ExecutionOrderForm,
    FullRefresh => FullRefreshForm,
}

/// A step whose bookmarks are left aside: those of one stream, or of all.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefreshedStep<'a> {
    #[serde(with = "form")]
    step: Cow<'a, StepId>,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    stream: Option<Cow<'a, str>>,
}

impl Form for (StepId, Option<String>) {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (step, stream) = self;
        RefreshedStep { step: Cow::Borrowed(step), stream: stream.as_deref().map(Cow::Borrowed) }
            .serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let RefreshedStep { step, stream } = RefreshedStep::deserialize(deserializer)?;
        Ok((step.into_owned(), stream.map(Cow::into_owned)))
    }
}
