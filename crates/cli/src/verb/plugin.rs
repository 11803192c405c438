//! `flexcore plugin …`

mod call;
mod conformance;
mod discover;
mod install;
mod list;
mod logs;
mod manage;
mod new;
mod test;

use std::{ffi::OsString, process::ExitCode};

use clap::Subcommand;
use flexcore_api::{
    DisablePlugin, EnablePlugin, GetPlugin, InitializePlugin, ListActivePlugins, ListPluginCalls,
    UnregisterPlugin,
};

use crate::{failure::Failure, session::Session};

/// Verbs of plugins.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginVerb {
    /// List what can be called and run: registered plugins, those of FlexCore's own, connectors
    List,
    /// List plugins with how often steps and calls used them
    Used(ListActivePlugins),
    /// Show one plugin: where it stands, what it may do, how often it was used
    Show(GetPlugin),
    /// Bring a plugin's files into the plugin store, verified: a folder, an archive, or a package of
    /// the Python Package Index with its environment
    Install(install::InstallArguments),
    /// List the plugins that folders offer, with what is wrong with them
    Discover(discover::DiscoverArguments),
    /// Try a tap or a registered plugin out: it finds its data streams and hands over a few records,
    /// or starts and is well; nothing is stored
    Test(test::TestArguments),
    /// Take a plugin in, or another version of one
    Register(manage::RegisterArguments),
    /// Forget a plugin; its history stays in the log
    Unregister(UnregisterPlugin),
    /// Let nobody call a plugin
    Disable(DisablePlugin),
    /// Let a plugin be called again that was disabled or is in quarantine
    Enable(EnablePlugin),
    /// Start a plugin and ask whether it is well
    Initialize(InitializePlugin),
    /// Call a plugin by hand
    Execute(call::ExecuteArguments),
    /// Check settings by a plugin's schema, and in its own eyes
    Validate(call::ValidateArguments),
    /// Show the JSON Schemas of a plugin
    Schema(call::SchemaArguments),
    /// List the calls of a plugin by hand
    Calls(ListPluginCalls),
    /// Show what a call by hand wrote
    Logs(logs::LogsArguments),
    /// Make a plugin to begin with
    New(new::NewArguments),
    /// Check whether a plugin keeps the protocol of process plugins
    Conformance(conformance::ConformanceArguments),
    /// Run a connector by hand, as the Singer program that it is; the exit code is its own
    Run {
        /// The connector, for example tap-csv
        name: String,
        /// Its arguments, for example --config config.json --discover
        #[arg(last = true, value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
}

impl PluginVerb {
    /// A connector is a program of its own: it takes the streams, and its exit code counts.
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<ExitCode, Failure> {
        let exit = match self {
            Self::Run { name, arguments } => {
                return Ok(session.host.run_connector(&name, arguments));
            }
            Self::Install(arguments) => arguments.execute(session).await,
            Self::Discover(arguments) => arguments.execute(session).await,
            Self::Test(arguments) => arguments.execute(session).await,
            Self::List => list::list(session).await,
            Self::Used(query) => list::used(session, query).await,
            Self::Show(query) => list::show(session, query).await,
            Self::Register(arguments) => arguments.execute(session).await,
            Self::Unregister(command) => manage::unregister(session, command).await,
            Self::Disable(command) => manage::disable(session, command).await,
            Self::Enable(command) => manage::enable(session, command).await,
            Self::Initialize(command) => call::initialize(session, command).await,
            Self::Execute(arguments) => arguments.execute(session).await,
            Self::Validate(arguments) => arguments.execute(session).await,
            Self::Schema(arguments) => arguments.execute(session).await,
            Self::Calls(query) => logs::calls(session, query).await,
            Self::Logs(arguments) => arguments.execute(session).await,
            Self::New(arguments) => arguments.execute(session),
            Self::Conformance(arguments) => arguments.execute(session).await,
        };
        exit.map(ExitCode::from)
    }
}
