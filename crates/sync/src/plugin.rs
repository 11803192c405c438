//! The two programs of a sync, and how each is started.

use std::{
    ffi::{OsStr, OsString},
    fmt,
};

use flexcore_ports::{
    LogSource,
    attempt::{AttemptContext, PluginSettings},
};
use flexcore_sandbox::{SpawnRequest, Stdin};

/// Which end of the sync a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Where records come from.
    Tap,
    /// Where they go.
    Target,
}

impl Role {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tap => "tap",
            Self::Target => "target",
        }
    }

    /// Where its stderr goes in the log.
    pub(crate) const fn log_source(self) -> LogSource {
        match self {
            Self::Tap => LogSource::Tap,
            Self::Target => LogSource::Target,
        }
    }
}

/// A program in its role; displays as people call it: tap `tap-csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PluginName {
    role: Role,
    name: String,
}

impl PluginName {
    pub(crate) fn new(role: Role, settings: &PluginSettings) -> Self {
        Self { role, name: settings.name.clone() }
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} `{}`", self.role.as_str(), self.name)
    }
}

/// A start of a plugin.
pub(crate) struct Invocation<'a> {
    pub(crate) context: &'a AttemptContext,
    pub(crate) settings: &'a PluginSettings,
    /// Tells this process from the attempt's others: `tap`, `target`, `discover`.
    pub(crate) process: &'static str,
    /// The Singer flags.
    pub(crate) arguments: Vec<OsString>,
    pub(crate) stdin: Stdin,
}

impl Invocation<'_> {
    /// The request for the launcher. Its environment is the step's, then the work folder, then the
    /// plugin's own, then `extra`; later ones win.
    pub(crate) fn request(self, extra: Option<(&str, &str)>) -> SpawnRequest {
        let Self { context, settings, process, arguments, stdin } = self;
        let work = (OsString::from("FLEXCORE_WORK"), context.work_folder.clone().into());
        let extra = extra.map(|(name, value)| (name.into(), value.into()));
        let shared = context.environment.iter().cloned().chain([work]);
        let mut environment: Vec<(OsString, OsString)> = Vec::new();
        for (name, value) in shared.chain(settings.environment.iter().cloned()).chain(extra) {
            environment.retain(|(other, _)| *other != name);
            environment.push((name, value));
        }
        SpawnRequest {
            argv: settings.argv.iter().cloned().chain(arguments).collect(),
            cwd: context.project_root.clone(),
            environment,
            stdin,
            attempt: format!("{}/{process}", context.marker()),
        }
    }
}

/// Flags and their values as arguments; those without a value are left out.
pub(crate) fn flags<'a>(
    pairs: impl IntoIterator<Item = (&'a str, Option<&'a OsStr>)>,
) -> Vec<OsString> {
    let given = pairs.into_iter().filter_map(|(flag, value)| Some((flag, value?)));
    given.flat_map(|(flag, value)| [flag.into(), value.to_owned()]).collect()
}
