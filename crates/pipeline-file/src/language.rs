//! The language of pipeline and project files as types.
//!
//! These types are the one definition of the language. The published JSON Schemas are generated
//! from them, files are checked against the same schemas, and what remains is read into these
//! types. Their documentation is what editors show, so it is written for those who write files.
//!
//! Keys that carry `x-not-supported` are part of the language but not of this version; using one
//! is an error that names it. To land such a feature, remove the mark and use the value.

mod command;
mod future;
mod parameter;
mod pipeline;
mod plugin_call;
mod project;
mod retention;
mod step;
mod sync;
pub(crate) mod value;

pub use command::{Command, ShellWord};
pub use future::{
    Approval, ApprovalTimeout, CatchUp, Checkpoint, Concurrency, ConcurrencyFull, Dbt, Drift,
    DriftAction, DriftRules, EndWord, Expectation, HashRule, HttpRequest, MapRule, Notification,
    NotificationTarget, Parallel, PipelineCall, PipelineTrigger, Rejects, Schedule, Severity,
    StepCheck, StepCheckRule, Trigger, WaitFor, WebhookTrigger,
};
pub use parameter::Parameter;
pub use pipeline::{Defaults, PipelineFile};
pub use plugin_call::{PluginCall, PluginCallSettings};
pub use project::{
    EnvironmentFile, PipelineOverride, PluginFile, ProjectFile, SandboxWord, SecretEnvironment,
    SecretSource, SecretVault, StepOverride, Switch,
};
pub use retention::Retention;
pub use step::{Capabilities, Limits, Retry, RetryError, RetryJitter, RunOnWord, Step};
pub use sync::{FullRefreshSetting, PluginUse, PluginUseSettings, Sync, UnmatchedWord};
