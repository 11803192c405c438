//! `flexcore plugin list|used|show|run`

use std::{ffi::OsString, process::ExitCode};

use clap::Subcommand;
use flexcore_api::{GetPlugin, ListActivePlugins, PluginPage};

use crate::{
    ConnectorDescription, Exit,
    failure::Failure,
    report::PluginReport,
    session::Session,
    text::{Align, Table, plugin_page_text, plugin_text},
};

/// Verbs of plugins.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginVerb {
    /// List the connectors that come with FlexCore
    List,
    /// List the taps and targets that pipelines name or syncs have used
    Used(ListActivePlugins),
    /// Show how often a tap or target was used, and how it failed last
    Show(GetPlugin),
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
        match self {
            Self::List => list(session).map(ExitCode::from),
            Self::Used(query) => used(session, query).await.map(ExitCode::from),
            Self::Show(query) => show(session, query).await.map(ExitCode::from),
            Self::Run { name, arguments } => Ok(session.host.run_connector(&name, arguments)),
        }
    }
}

async fn used(session: &Session<'_>, query: ListActivePlugins) -> Result<Exit, Failure> {
    let page = match session.read_if_there(&session.here()?.place).await? {
        Some(reader) => session.ask(&reader, query).await?,
        None => PluginPage { items: vec![], next: None },
    };
    session.output.result(&page, plugin_page_text)?;
    Ok(Exit::Completed)
}

async fn show(session: &Session<'_>, query: GetPlugin) -> Result<Exit, Failure> {
    let reader = session.host.read(&session.here()?.place).await?;
    let view = session.ask(&reader, query).await?;
    session.output.result(&view, plugin_text)?;
    Ok(Exit::Completed)
}

fn list(session: &Session<'_>) -> Result<Exit, Failure> {
    let report = |connector: ConnectorDescription| PluginReport {
        name: connector.name,
        description: connector.description,
    };
    let plugins: Vec<PluginReport> = session.host.connectors().into_iter().map(report).collect();
    session.output.result(&plugins, |plugins, style| {
        let mut table = Table::new([("plugin", Align::Left), ("what it does", Align::Left)]);
        for plugin in plugins {
            table.row([plugin.name, plugin.description]);
        }
        table.text(style)
    })?;
    Ok(Exit::Completed)
}
