//! `flexcore config show`

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::{
    Exit, SettingFlag, SettingFlags, failure::Failure, session::Session, text::settings_text,
};

/// Verbs of settings.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Show every setting of a server and where it came from
    Show(SettingArguments),
}

/// Settings of a server that the command line may say. They win over the environment, which wins
/// over the file.
#[derive(Debug, Args)]
pub(crate) struct SettingArguments {
    /// The file of settings [default: FLEXCORE_CONFIG, else server.toml in the state folder]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen at [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    /// The port to listen at; 0 for any that is free [default: 8080]
    #[arg(long, value_name = "NUMBER")]
    port: Option<u16>,
    /// A name under which the server is reached besides localhost; may be repeated
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// What this process does; several may share a store [default: all of them]
    #[arg(long, value_enum, value_delimiter = ',')]
    roles: Vec<Role>,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Answers requests; without it only /live, /ready and /health
    Api,
    /// Drives executions as they are asked for
    Worker,
    /// Keeps the views up to date as the log grows; without it a list brings them up to date
    Projection,
    /// Drives on what is due and has nobody: executions whose process is gone, or that no worker
    /// took
    Scheduler,
}

impl SettingArguments {
    /// The file that is named.
    pub(super) fn file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The same for the host.
    pub(super) fn flags(&self) -> SettingFlags {
        let roles = self.roles.iter().filter_map(ValueEnum::to_possible_value);
        let roles: Vec<String> = roles.map(|role| role.get_name().to_owned()).collect();
        let list = |items: &[String]| (!items.is_empty()).then(|| json!(items));
        let said = [
            ("server.address", "--address", self.address.map(|address| json!(address))),
            ("server.port", "--port", self.port.map(Value::from)),
            ("server.allow_hosts", "--allow-host", list(&self.allow_host)),
            ("server.roles", "--roles", list(&roles)),
        ];
        let values = said
            .into_iter()
            .filter_map(|(key, flag, value)| Some(SettingFlag { key, flag, value: value? }))
            .collect();
        SettingFlags { config: self.config.clone(), values }
    }
}

impl ConfigVerb {
    pub(super) fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let Self::Show(arguments) = self;
        let settings = session.host.settings(&session.here()?.place, &arguments.flags())?;
        session.output.result(&settings, settings_text)?;
        Ok(Exit::Completed)
    }
}
