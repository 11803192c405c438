//! What all steps have, whatever their kind.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Approval, Command, Dbt, HttpRequest, PipelineCall, PluginCall, StepCheck, Sync, WaitFor,
    value::{DurationText, EnvironmentMap, ExpressionText, IdText, SizeText, Templated},
};

/// A step: exactly one kind key, and when and how it runs.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [
        { "required": ["sync"] },
        { "required": ["command"] },
        { "required": ["plugin"] },
        { "required": ["http"] },
        { "required": ["dbt"] },
        { "required": ["pipeline"] },
        { "required": ["approval"] },
        { "required": ["sleep"] },
        { "required": ["wait_for"] },
        { "required": ["check"] },
    ])
)]
pub struct Step {
    /// Its id, unique in the pipeline.
    pub id: IdText,
    /// What it is for.
    pub description: Option<String>,
    /// The steps that must have ended before this one is decided. Without them it is decided at
    /// once.
    pub needs: Option<Vec<IdText>>,
    /// The ends of its needs with which it runs.
    pub run_on: Option<RunOnWord>,
    /// A condition, looked at after `run_on` passed.
    pub when: Option<ExpressionText>,
    /// How long an attempt may take.
    pub timeout: Option<Templated<DurationText>>,
    /// What happens after a failed attempt.
    pub retry: Option<Retry>,
    /// Whether its failure leaves the execution's outcome alone.
    pub allow_failure: Option<bool>,
    /// Environment variables, over those of `defaults`.
    pub env: Option<EnvironmentMap>,
    /// What its processes may reach beside the project, as far as the operator grants it.
    pub capabilities: Option<Capabilities>,
    /// What its processes may use at most.
    pub limits: Option<Limits>,
    /// Labels of the nodes that may run it.
    #[schemars(extend("x-not-supported" = true))]
    pub runs_on: Option<Vec<String>>,
    /// A list; the step runs once for each of its items.
    #[schemars(extend("x-not-supported" = true))]
    pub for_each: Option<ExpressionText>,
    /// What tells the items apart; unique and stable.
    #[schemars(extend("x-not-supported" = true))]
    pub item_key: Option<String>,
    /// How many items run at a time.
    #[schemars(extend("x-not-supported" = true))]
    pub max_parallel: Option<u32>,
    /// Whether the first failed item ends the others.
    #[schemars(extend("x-not-supported" = true))]
    pub fail_fast: Option<bool>,
    /// Whether a waiting step gives up its place in `concurrency`.
    #[schemars(extend("x-not-supported" = true))]
    pub release_slot: Option<bool>,
    /// Moves records from a tap into a target.
    #[schemars(extend("required" = ["tap", "target"]))]
    pub sync: Option<Sync>,
    /// Runs a program or a script.
    #[schemars(extend("oneOf" = [{ "required": ["argv"] }, { "required": ["run"] }]))]
    pub command: Option<Command>,
    /// Calls a plugin.
    pub plugin: Option<PluginCall>,
    /// Sends an HTTP request.
    #[schemars(extend("x-not-supported" = true))]
    pub http: Option<HttpRequest>,
    /// Runs dbt.
    #[schemars(extend("x-not-supported" = true))]
    pub dbt: Option<Dbt>,
    /// Runs another pipeline.
    #[schemars(extend("x-not-supported" = true))]
    pub pipeline: Option<PipelineCall>,
    /// Waits for a person's decision.
    #[schemars(extend("x-not-supported" = true))]
    pub approval: Option<Approval>,
    /// Waits for a time.
    #[schemars(extend("x-not-supported" = true))]
    pub sleep: Option<Templated<DurationText>>,
    /// Waits for something to happen.
    #[schemars(extend("x-not-supported" = true))]
    pub wait_for: Option<WaitFor>,
    /// Checks what other steps did.
    #[schemars(extend("x-not-supported" = true))]
    pub check: Option<StepCheck>,
}

/// The ends of its needs with which a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOnWord {
    /// Every need completed or was skipped by its own condition. The default.
    Completed,
    /// At least one direct or indirect need failed.
    Failed,
    /// In every case but cancel.
    Ended,
    /// Only on cancel.
    Cancelled,
}

/// What happens after a failed attempt.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Retry {
    /// How many tries there are in all; 1 unless given.
    #[schemars(range(min = 1, max = 1000))]
    pub attempts: Option<u32>,
    /// The wait before the second try; `1s` unless given.
    pub initial: Option<DurationText>,
    /// What the wait is multiplied with after each further try; 2 unless given.
    #[schemars(range(min = 1, max = 100))]
    pub factor: Option<f64>,
    /// The longest wait; `1m` unless given.
    pub max: Option<DurationText>,
    /// How the wait is spread; `full` unless given.
    pub jitter: Option<RetryJitter>,
    /// The errors after which there is another try; `any` unless given.
    #[schemars(length(min = 1))]
    pub errors: Option<Vec<RetryError>>,
}

/// How waits are spread, so that many steps do not come back at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryJitter {
    /// Exactly the computed wait.
    None,
    /// Anything from nothing to the computed wait.
    Full,
}

/// Classes of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryError {
    /// The program ended with a code that does not mean success.
    ExitCode,
    /// A signal that was not ours ended the program.
    Signal,
    /// The attempt ran past its deadline.
    Timeout,
    /// Another system could not be reached.
    Network,
    /// The kernel ended the program for its memory.
    Oom,
    /// The attempt was refused before it began.
    Refused,
    /// Any of these.
    Any,
}

/// What a step's processes may reach.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Capabilities {
    /// Addresses, such as `tcp://db:5432` or `https://api.example.com:443`.
    pub network: Option<Vec<String>>,
    /// Files and folders that may be read: from `/`, or relative to the project.
    pub fs_read: Option<Vec<String>>,
    /// Files and folders that may be written: from `/`, or relative to the project.
    pub fs_write: Option<Vec<String>>,
    /// Names of the host's environment variables.
    pub env: Option<Vec<String>>,
    /// Names of secrets.
    pub secrets: Option<Vec<String>>,
    /// Whether it may start other programs.
    pub exec: Option<Templated<bool>>,
    /// Whether it may use the graphics processor.
    pub gpu: Option<Templated<bool>>,
}

/// What a step's processes may use.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Limits {
    /// Memory of all processes together.
    pub memory: Option<Templated<SizeText>>,
    /// Swap of all processes together.
    pub swap: Option<Templated<SizeText>>,
    /// Processors, such as `1.5`.
    pub cpu: Option<Templated<f64>>,
    /// How many processes and threads.
    pub pids: Option<Templated<u32>>,
    /// How many open files in each process.
    pub nofile: Option<Templated<u32>>,
    /// Space in the private `/tmp` of each of its programs.
    pub disk: Option<Templated<SizeText>>,
}
