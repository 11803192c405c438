//! Parts of the language that this version checks for their shape and then refuses by name.
//!
//! They are here so that the published schema describes the whole language, and so that a file
//! that will run one day is not called malformed today. The feature that lands one of them moves
//! its types into a file of their own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::value::{DurationText, ExpressionText, Free, FreeMap, NameText, Templated, Text};

/// When a pipeline runs by itself: at the times of a `cron` expression, or `every` so often.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [{ "required": ["cron"] }, { "required": ["every"] }])
)]
pub struct Schedule {
    /// Its id, unique in the pipeline.
    pub id: NameText,
    /// Five POSIX fields, or six with seconds first, or a word such as `@daily`.
    pub cron: Option<String>,
    /// The time from one firing to the next.
    pub every: Option<DurationText>,
    /// The time zone of `cron`, such as `Europe/Lisbon`.
    pub timezone: Option<String>,
    /// What happens to firings that were missed.
    pub catch_up: Option<CatchUp>,
    /// The most by which a firing is delayed at random.
    pub jitter: Option<DurationText>,
    /// Parameters of the executions.
    pub params: Option<FreeMap>,
    /// Whether it fires.
    pub enabled: Option<bool>,
}

/// What happens to firings that were missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They are left out.
    None,
    /// The last one is made up for.
    Last,
    /// All are made up for.
    All,
}

/// What makes a pipeline run.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Trigger {
    /// The end of an execution of another pipeline.
    Pipeline(PipelineTrigger),
    /// A call from outside.
    Webhook(WebhookTrigger),
}

/// The end of an execution of another pipeline.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PipelineTrigger {
    /// The other pipeline.
    pub pipeline: NameText,
    /// The ends that count.
    pub status: Option<Vec<EndWord>>,
}

/// A call from outside.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WebhookTrigger {
    /// Its name in the address.
    pub webhook: NameText,
}

/// How a step or an execution ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndWord {
    /// It did its work.
    Completed,
    /// It did not.
    Failed,
    /// It did not have to.
    Skipped,
    /// It was told to stop.
    Cancelled,
}

/// How many executions may run at a time.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Concurrency {
    /// How many.
    #[schemars(range(min = 1))]
    pub limit: Option<u32>,
    /// Counted for each value of this template.
    pub key: Option<Text>,
    /// What happens to one more.
    pub when_full: Option<ConcurrencyFull>,
}

/// What happens to an execution for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConcurrencyFull {
    /// It waits.
    Queue,
    /// It is left out.
    Skip,
    /// The running one is cancelled.
    CancelRunning,
}

/// When a run counts as late or missed.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Expectation {
    /// The local time by which the day's run has ended, such as `07:00`.
    pub finish_by: Option<String>,
    /// The greatest age of the last completed run.
    pub not_older_than: Option<DurationText>,
}

/// Who is told of what.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Notification {
    /// What is told: `completed`, `failed`, `recovered`, `late`, `waiting`, …
    pub events: Vec<String>,
    /// Who is told.
    pub to: NotificationTarget,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotificationTarget {
    /// A Slack webhook.
    Slack(String),
    /// Any webhook.
    Webhook(Free),
    /// An address, or several.
    Email(Free),
    /// A program.
    Command(Vec<Text>),
}

/// One change to records on their way.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MapRule {
    /// Fields get other names: old name to new name.
    Rename(BTreeMap<String, String>),
    /// Values are replaced by a keyed hash.
    Hash(HashRule),
    /// Values are replaced by a mask.
    Mask(Free),
    /// Only records for which this holds go on.
    Filter(ExpressionText),
    /// Fields are computed: name to expression.
    Derive(BTreeMap<String, ExpressionText>),
    /// Fields are left out.
    Drop(Vec<String>),
    /// The stream gets another name.
    Stream(String),
}

/// Values are replaced by a keyed hash.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HashRule {
    /// The fields.
    pub fields: Vec<String>,
    /// The key.
    pub with: Option<String>,
}

/// How often a target is made to confirm.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Checkpoint {
    /// The longest time between two.
    pub every: Templated<DurationText>,
}

/// How many streams move at a time.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Parallel {
    /// How many.
    pub streams: Templated<u32>,
}

/// What happens when a source changes its shape.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Drift {
    /// The same for every change.
    All(DriftAction),
    /// By kind of change.
    Rules(DriftRules),
}

/// What happens when a source changes its shape, by kind of change.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DriftRules {
    /// A stream that was not there before.
    pub new_stream: Option<DriftAction>,
    /// A field that was not there before.
    pub new_field: Option<DriftAction>,
    /// A field of another type than before.
    pub changed_type: Option<DriftAction>,
}

/// What happens on a change of shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftAction {
    /// The target follows.
    Evolve,
    /// It is left out.
    Ignore,
    /// The step fails.
    Fail,
    /// The records are set aside.
    Reject,
}

/// What happens to records that a target refuses.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Rejects {
    /// How many there may be before the step fails.
    pub max: Option<Templated<u64>>,
    /// The file that they are written to.
    pub to: Option<String>,
}

/// Sends an HTTP request.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HttpRequest {
    /// `GET` unless given.
    pub method: Option<String>,
    /// Where to.
    pub url: String,
    /// Headers.
    pub headers: Option<BTreeMap<String, Text>>,
    /// A body that is sent as JSON.
    pub json: Option<Free>,
    /// A body that is sent as it is.
    pub body: Option<String>,
    /// Status codes that mean success, such as `2xx`.
    pub expect: Option<Vec<Text>>,
    /// The key that makes it safe to send twice.
    pub idempotency_key: Option<String>,
}

/// Runs dbt.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Dbt {
    /// dbt's command, such as `build`.
    pub command: String,
    /// The folder of the dbt project.
    pub project: Option<String>,
    /// The folder of `profiles.yml`.
    pub profiles: Option<String>,
    /// The target of the profile.
    pub target: Option<String>,
    /// Selectors of what runs.
    pub select: Option<Vec<String>>,
    /// Selectors of what does not.
    pub exclude: Option<Vec<String>>,
    /// Variables.
    pub vars: Option<FreeMap>,
    /// Whether another try runs only what failed.
    pub retry_failed_models: Option<Templated<bool>>,
}

/// Runs another pipeline.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PipelineCall {
    /// Its name.
    pub name: NameText,
    /// Its parameters.
    pub params: Option<FreeMap>,
    /// Whether to wait for its end.
    pub wait: Option<Templated<bool>>,
}

/// Waits for a person's decision.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Approval {
    /// Who may decide, such as `role:data-lead`.
    pub approvers: Vec<String>,
    /// How long to wait.
    pub timeout: Option<Templated<DurationText>>,
    /// What happens after that.
    pub on_timeout: Option<ApprovalTimeout>,
    /// What the person is asked: a JSON Schema for each field.
    pub form: Option<BTreeMap<String, FreeMap>>,
}

/// What happens when nobody decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalTimeout {
    /// As if refused.
    Reject,
    /// As if given.
    Approve,
}

/// Waits for something to happen: one of its five kinds.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WaitFor {
    /// A file appears.
    pub file: Option<String>,
    /// An address answers.
    pub http: Option<Free>,
    /// A query returns a row.
    pub sql: Option<Free>,
    /// A call comes in.
    pub webhook: Option<Free>,
    /// An event is recorded.
    pub event: Option<Free>,
    /// How often to look.
    pub every: Option<Templated<DurationText>>,
    /// How long to wait.
    pub timeout: Option<Templated<DurationText>>,
}

/// Checks what other steps did.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum StepCheck {
    /// One condition.
    Condition(ExpressionText),
    /// Several, and what happens if one does not hold.
    Rule(StepCheckRule),
}

/// Conditions, and what happens if one does not hold.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StepCheckRule {
    /// All must hold.
    pub all: Vec<ExpressionText>,
    /// What to tell.
    pub message: Option<String>,
    /// Whether the step fails or warns.
    pub severity: Option<Severity>,
}

/// Whether a check that does not hold fails its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does.
    Fail,
    /// It is told, and the step completes.
    Warn,
}
