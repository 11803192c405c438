//! The pipeline file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Concurrency, Expectation, Notification, Parameter, Retention, Retry, Schedule, Step, Trigger,
    value::{DurationText, EnvironmentMap, Free, NameText, OrderedMap, Templated},
};

/// A pipeline: what it is called, what it takes and the steps that it is made of.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    title = "FlexCore pipeline file",
    extend("patternProperties" = { "^x-": true })
)]
pub struct PipelineFile {
    /// The version of the language; 1 unless given.
    pub flexcore: Option<u64>,
    /// The pipeline's name, unique in the project.
    pub pipeline: NameText,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Words to find it by.
    pub tags: Option<Vec<String>>,
    /// Parameters by name, each a JSON Schema with an optional `default`. Secret ones take only
    /// references.
    pub params: Option<OrderedMap<Parameter>>,
    /// When it runs by itself.
    #[schemars(extend("x-not-supported" = true))]
    pub schedules: Option<Vec<Schedule>>,
    /// What else makes it run.
    #[schemars(extend("x-not-supported" = true))]
    pub triggers: Option<Vec<Trigger>>,
    /// How many executions may run at a time.
    #[schemars(extend("x-not-supported" = true))]
    pub concurrency: Option<Concurrency>,
    /// Which of the waiting executions goes first.
    #[schemars(extend("x-not-supported" = true))]
    pub priority: Option<Free>,
    /// How long an execution may take.
    pub timeout: Option<Templated<DurationText>>,
    /// How long executions and what they leave behind are kept, when old ones are removed.
    pub retention: Option<Retention>,
    /// When a run counts as late or missed.
    #[schemars(extend("x-not-supported" = true))]
    pub expect: Option<Expectation>,
    /// Settings of steps that do not have them themselves.
    pub defaults: Option<Defaults>,
    /// The steps. Their order is their `needs`, not their place in this list.
    #[schemars(length(min = 1))]
    pub steps: Vec<Step>,
    /// What an execution returns, by name.
    #[schemars(extend("x-not-supported" = true))]
    pub outputs: Option<BTreeMap<String, Free>>,
    /// Who is told of what.
    #[schemars(extend("x-not-supported" = true))]
    pub notify: Option<Vec<Notification>>,
}

/// Settings of steps that do not have them themselves.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Defaults {
    /// How long an attempt may take.
    pub timeout: Option<Templated<DurationText>>,
    /// What happens after a failed attempt.
    pub retry: Option<Retry>,
    /// Environment variables of every step.
    pub env: Option<EnvironmentMap>,
}
