//! `flexcore plugin run|list`

use std::{ffi::OsString, process::ExitCode};

use clap::Subcommand;

use crate::{
    ConnectorDescription, Exit,
    failure::Failure,
    report::PluginReport,
    session::Session,
    text::{Align, Table},
};

/// Verbs of plugins.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginVerb {
    /// List the connectors that come with FlexCore
    List,
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
    pub(super) fn execute(self, session: &Session<'_>) -> Result<ExitCode, Failure> {
        match self {
            Self::List => list(session).map(ExitCode::from),
            Self::Run { name, arguments } => Ok(session.host.run_connector(&name, arguments)),
        }
    }
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
