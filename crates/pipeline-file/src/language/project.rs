//! The project file, `flexcore.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Capabilities, Command, Limits, PluginCallSettings, Sync,
    value::{DurationText, EnvironmentMap, FreeMap, NameText, OrderedMap, Templated, Text},
};

/// A project: where its pipelines are and what they share.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    title = "FlexCore project file",
    extend("patternProperties" = { "^x-": true })
)]
pub struct ProjectFile {
    /// The version of the language; 1 unless given.
    pub flexcore: Option<u64>,
    /// The project's name.
    pub project: Option<NameText>,
    /// What it is for.
    pub description: Option<String>,
    /// Globs of pipeline files, relative to this file.
    pub pipelines: Option<Vec<String>>,
    /// Where events are kept: `sqlite` (the default) or `postgres://…`.
    pub store: Option<String>,
    /// Folders that steps may write; `[out/]` unless given.
    pub writable: Option<Vec<String>>,
    /// Names of the host's environment variables that pipelines may read as `env.NAME`.
    pub env_allow: Option<Vec<String>>,
    /// Where secrets come from; the first that has one wins.
    pub secrets: Option<Vec<SecretSource>>,
    /// How much of its jail must hold for a program of this project to run, where that is more than
    /// the operator wants.
    pub sandbox: Option<SandboxWord>,
    /// Plugins by name.
    pub plugins: Option<BTreeMap<String, PluginFile>>,
    /// The environment unless one is chosen.
    pub default_environment: Option<NameText>,
    /// Environments by name, each with what differs in it.
    pub environments: Option<BTreeMap<String, EnvironmentFile>>,
}

/// How much of its jail must hold for a program to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SandboxWord {
    /// Everything that it requires; else the program is refused.
    Strict,
    /// What the machine can enforce; the rest is reported.
    BestEffort,
}

/// A place where secrets come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// Environment variables.
    Env(SecretEnvironment),
    /// A folder with a file for each secret, as container platforms mount them.
    File(String),
    /// A HashiCorp Vault: its key-value engine, version 2.
    Vault(SecretVault),
}

/// Environment variables with secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SecretEnvironment {
    /// What the variables begin with: `FLEXCORE_SECRET_` makes `secret('DB')` read
    /// `FLEXCORE_SECRET_DB`.
    pub prefix: Option<String>,
}

/// A Vault with secrets, each at a path of its key-value engine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SecretVault {
    /// Its address, such as `https://vault.example.com:8200`; `VAULT_ADDR` of the host unless given.
    pub address: Option<String>,
    /// Where the engine is mounted; `secret` unless given.
    pub mount: Option<String>,
    /// What stands in front of every path: with `apps/shop`, `secret('DB')` reads `apps/shop/DB`.
    pub prefix: Option<String>,
    /// A file with the token, which is read for each request.
    pub token_file: Option<String>,
    /// The host's environment variable with the token; `VAULT_TOKEN` unless given.
    pub token_env: Option<String>,
    /// The namespace, where Vault has them; `VAULT_NAMESPACE` of the host unless given.
    pub namespace: Option<String>,
    /// A file with certificates (PEM) of the authorities to trust; `VAULT_CACERT` of the host unless
    /// given, else those of the system.
    pub ca: Option<String>,
}

/// A plugin of the project.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PluginFile {
    /// The plugin whose settings it starts from.
    pub inherit: Option<NameText>,
    /// In an environment: the plugin that takes its place there.
    pub plugin: Option<NameText>,
    /// Where it comes from: `path:PROGRAM`; `registered:NAME`, a Singer plugin that was registered
    /// with `flexcore plugin register`; or `pypi:NAME==VERSION`, which `flexcore plugin install`
    /// installs. `git+https://` is not supported yet.
    pub from: Option<String>,
    /// The Python to install a package with, such as `3.11`.
    pub python: Option<Text>,
    /// The program and its first arguments; the Singer flags follow.
    #[schemars(length(min = 1))]
    pub command: Option<Vec<Text>>,
    /// The program, relative to the project root.
    pub path: Option<String>,
    /// Its settings; the plugin says which are legal.
    pub config: Option<FreeMap>,
    /// Environment variables of its process.
    pub env: Option<EnvironmentMap>,
    /// Select rules of syncs that have none themselves.
    pub select: Option<Vec<String>>,
    /// Select rules besides those of the inherited plugin.
    #[serde(rename = "select+")]
    pub select_also: Option<Vec<String>>,
    /// Metadata by glob over `stream` or `stream.field`; the last match wins.
    pub metadata: Option<OrderedMap<FreeMap>>,
    /// Schemas of single fields, by stream and field.
    pub schema: Option<BTreeMap<String, FreeMap>>,
}

/// What differs in an environment.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EnvironmentFile {
    /// What it is for.
    pub description: Option<String>,
    /// Whether schedules fire: `on` or `off`.
    pub schedules: Option<Switch>,
    /// Whether notifications are sent: `on` or `off`.
    pub notify: Option<Switch>,
    /// Where events are kept.
    pub store: Option<String>,
    /// Settings of plugins, over those of the plugin and of the step.
    pub plugins: Option<BTreeMap<String, PluginFile>>,
    /// Settings of pipelines, over everything but parameters.
    pub pipelines: Option<BTreeMap<String, PipelineOverride>>,
}

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// It happens.
    On,
    /// It does not happen.
    Off,
}

/// What an environment changes in a pipeline.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PipelineOverride {
    /// How long an execution may take.
    pub timeout: Option<Templated<DurationText>>,
    /// What differs in its steps, by step id.
    pub steps: Option<BTreeMap<String, StepOverride>>,
}

/// What an environment changes in a step. What decides the order of steps is the same in every
/// environment.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StepOverride {
    /// How long an attempt may take.
    pub timeout: Option<Templated<DurationText>>,
    /// Environment variables.
    pub env: Option<EnvironmentMap>,
    /// What its processes may reach.
    pub capabilities: Option<Capabilities>,
    /// What its processes may use.
    pub limits: Option<Limits>,
    /// Settings of a `sync` step.
    pub sync: Option<Sync>,
    /// Settings of a `command` step.
    pub command: Option<Command>,
    /// Settings of a `plugin` step; which plugin it is stays the step's to say.
    pub plugin: Option<PluginCallSettings>,
}
