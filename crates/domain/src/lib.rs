//! The domain: pipelines, executions, data streams, plugins and who may do what, as pure decisions over
//! events, and the plan of what to do next.
//!
//! Each aggregate is a pair of pure functions (`decide`, `evolve`, see
//! [`Aggregate`](flexcore_eventsourcing::Aggregate)) over types of its own; [`plan()`] turns the
//! state of an execution into the next actions. Business rules over a definition are small named
//! predicates in [`specification`].
//!
//! # What this crate must not know
//!
//! I/O, clocks, random numbers, async, the stored form of its events (`event-codec` has it), or
//! how an expression is evaluated. JSON values pass through as plain data.
//!
//! # How to add an event
//!
//! Add the variant to the aggregate's event enum, a line to its `evolve`, the decision that makes
//! it, tests that show when it is legal; then its stored form in `event-codec` with a golden file.

pub mod access;
pub mod data_stream;
mod definition;
pub mod execution;
mod id;
mod isolation;
pub mod pipeline;
pub mod pipeline_name;
pub mod plan;
pub mod plugin;
pub mod specification;
#[cfg(test)]
mod testing;

pub use access::{AccessIndex, ApiKey, AuditTrail, Permission, Role};
pub use data_stream::{DataStream, JsonText};
pub use definition::{
    Condition, ErrorClass, Jitter, PipelineDefinition, RetryPolicy, RunOn, StepDefinition,
    StepKind, StepReference,
};
pub use execution::{
    Execution, ExecutionOrder, ExecutionStatus, FailureReason, FullRefresh, SkipCause, StepAudit,
    StepCounts, StepError, StepProgress, StepState, StoredOutput,
};
pub use id::{
    ApiKeyId, EnvironmentName, ExecutionId, InvalidName, PipelineId, PipelineName, PluginCallId,
    PluginName, RoleName, StepId, TenantName,
};
pub use isolation::{CapabilityUse, ControlRecord, Isolation, IsolationPlace};
pub use pipeline::{Pipeline, PipelineStatus};
pub use pipeline_name::NameReservation;
pub use plan::{Action, CancelReason, Outcome, PLAN_RULES, PipelineVersion, plan, retry_wait};
pub use plugin::{Plugin, PluginStatus};
