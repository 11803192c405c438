//! The verbs: a file each.

mod apply;
mod audit;
mod bookmark;
mod catalog;
mod completions;
mod config;
mod data_stream;
mod events;
mod execution;
mod health;
mod init;
mod key;
mod log_level;
mod logs;
mod pipeline;
mod plan;
mod plugin;
mod role;
mod run;
mod sandbox;
mod schema;
mod select;
mod serve;
mod store;
mod system;
mod validate;

use std::{path::Path, process::ExitCode};

use clap::Subcommand;
use flexcore_api::{GetSystemMetrics, GetViews, ListAudit, SetLogLevel};
#[cfg(test)]
pub(crate) use {plugin::PluginVerb, run::OnUnfinished};

use crate::{failure::Failure, session::Session};

/// What FlexCore is asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run a pipeline to its end
    Run(run::RunArguments),
    /// Check pipeline files and their project without running anything
    Validate(validate::ValidateArguments),
    /// Show what a run would do: the DAG, the settings and where each comes from, streams,
    /// bookmarks
    Plan(plan::PlanArguments),
    /// Register pipelines and make them active
    Apply(apply::ApplyArguments),
    /// Show what the steps of an execution wrote
    Logs(logs::LogsArguments),
    /// Pipelines that the store knows
    #[command(subcommand)]
    Pipeline(pipeline::PipelineVerb),
    /// Executions: what ran, how it went, cancel, retry
    #[command(subcommand)]
    Execution(execution::ExecutionVerb),
    /// Show which streams and fields a sync selects from its tap's catalog
    Select(select::SelectArguments),
    /// Bookmarks: how far each sync got
    #[command(subcommand)]
    Bookmark(bookmark::BookmarkVerb),
    /// Data streams: what each sync remembers, and what it came to
    #[command(subcommand)]
    DataStream(data_stream::DataStreamVerb),
    /// The event log: read it, follow it, prove it
    #[command(subcommand)]
    Events(events::EventsVerb),
    /// What was counted: pipelines, executions, attempts, records, bytes
    Metrics(GetSystemMetrics),
    /// How far the views follow the log
    Views(GetViews),
    /// Change how much a running server's own log says
    LogLevel(SetLogLevel),
    /// The store: what holds of it, and its schema
    #[command(subcommand)]
    Store(store::StoreVerb),
    /// Plugins
    #[command(subcommand)]
    Plugin(plugin::PluginVerb),
    /// API keys: who may send requests to a server
    #[command(subcommand)]
    Key(key::KeyVerb),
    /// Roles: what keys and tokens allow
    #[command(subcommand)]
    Role(role::RoleVerb),
    /// Show what was asked by whom, and what came of it
    Audit(ListAudit),
    /// Look at everything that a run needs on this machine
    Doctor,
    /// The jails in which programs run
    #[command(subcommand)]
    Sandbox(sandbox::SandboxVerb),
    /// Serve REST and live streams, and drive executions
    Serve(serve::ServeArguments),
    /// Ask a server whether it is well
    Health,
    /// The settings of a server
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Write a starter project that runs as it is
    Init(init::InitArguments),
    /// Print the completions of a shell
    Completions(completions::CompletionsArguments),
    /// Print the JSON Schema of pipeline or project files, for editors
    Schema(schema::SchemaArguments),
}

impl Verb {
    /// The file of settings, if it names one.
    pub(crate) fn settings_file(&self) -> Option<&Path> {
        match self {
            Self::Serve(arguments) => arguments.settings.file(),
            Self::Config(config::ConfigVerb::Show(arguments)) => arguments.file(),
            _ => None,
        }
    }

    /// Carries it out.
    pub(crate) async fn execute(self, session: &Session<'_>) -> Result<ExitCode, Failure> {
        let exit = match self {
            Self::Run(arguments) => arguments.execute(session).await,
            Self::Validate(arguments) => arguments.execute(session),
            Self::Plan(arguments) => arguments.execute(session).await,
            Self::Apply(arguments) => arguments.execute(session).await,
            Self::Logs(arguments) => arguments.execute(session).await,
            Self::Pipeline(verb) => verb.execute(session).await,
            Self::Execution(verb) => verb.execute(session).await,
            Self::Select(arguments) => arguments.execute(session).await,
            Self::Bookmark(verb) => verb.execute(session).await,
            Self::Events(verb) => verb.execute(session).await,
            Self::DataStream(verb) => verb.execute(session).await,
            Self::Metrics(query) => system::metrics(session, query).await,
            Self::Views(query) => system::views(session, query).await,
            Self::LogLevel(command) => log_level::set(session, command).await,
            Self::Store(verb) => verb.execute(session).await,
            Self::Plugin(verb) => return verb.execute(session).await,
            Self::Key(verb) => verb.execute(session).await,
            Self::Role(verb) => verb.execute(session).await,
            Self::Audit(query) => audit::list(session, query).await,
            Self::Serve(arguments) => arguments.execute(session).await,
            Self::Health => health::health(session).await,
            Self::Config(verb) => verb.execute(session),
            Self::Doctor => sandbox::doctor(session).await,
            Self::Sandbox(verb) => verb.execute(session).await,
            Self::Init(arguments) => arguments.execute(session),
            Self::Completions(arguments) => arguments.execute(session),
            Self::Schema(arguments) => arguments.execute(session),
        };
        exit.map(ExitCode::from)
    }
}
