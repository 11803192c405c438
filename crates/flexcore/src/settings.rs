//! The settings of a server: what its operator decides, as opposed to what a project says.
//!
//! A file of TOML, then the environment, then flags; each later one wins, and every value knows
//! where it came from. A key or a variable that nobody knows is an error: a setting that was
//! mistyped is one that does not hold. Secrets are not settings: what is secret lies in a file that
//! a setting names, and a URL with a password is shown without it.
//!
//! To add a setting, put a field with its default into the struct of its section. Its key, its
//! variable (`variables`) and its place in `config show` follow; `docs/configuration.md` needs its
//! row, which a test looks for.

pub(crate) mod auth;
mod file;
mod layers;
pub(crate) mod limits;
pub(crate) mod secrets;
pub(crate) mod server;
pub(crate) mod store;
pub(crate) mod telemetry;
mod units;
mod variables;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use flexcore_cli::{HostError, HostErrorKind, SettingFlags};
use serde::{Deserialize, Serialize};

pub(crate) use layers::Entry;
pub(crate) use server::{Role, ServerSettings};

use auth::AuthSettings;
use layers::Layers;
use limits::LimitSettings;
use secrets::SecretSettings;
use store::StoreSettings;
use telemetry::TelemetrySettings;

/// The file in the state folder that is read unless another one is named.
const FILE: &str = "server.toml";

/// The variable that names another file.
const FILE_VARIABLE: &str = "FLEXCORE_CONFIG";

/// Settings that are paths. In a file they start at the file's folder, elsewhere at the working
/// directory.
const PATHS: [&str; 8] = [
    "server.tls.certificate",
    "server.tls.key",
    "server.tls.client_ca",
    "auth.jwt.jwks_file",
    "auth.jwt.secret_file",
    "auth.jwt.public_key_file",
    "secrets.vault.token_file",
    "secrets.vault.ca",
];

/// Everything that an operator decides about a server, section by section.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub(crate) server: ServerSettings,
    pub(crate) auth: AuthSettings,
    pub(crate) limits: LimitSettings,
    pub(crate) telemetry: TelemetrySettings,
    pub(crate) store: StoreSettings,
    pub(crate) secrets: SecretSettings,
}

/// Where settings are read from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// The environment of the process.
    pub(crate) environment: &'a BTreeMap<String, String>,
    /// What relative paths of variables and flags start at.
    pub(crate) current_folder: &'a Path,
    /// Where the file lies unless it is named.
    pub(crate) state_folder: &'a Path,
    /// What was said on the command line.
    pub(crate) flags: &'a SettingFlags,
}

/// Settings, and where each of them came from.
#[derive(Debug, Clone)]
pub(crate) struct LoadedSettings {
    /// The settings.
    pub(crate) settings: Settings,
    /// Every setting, in the order of its key.
    pub(crate) entries: Vec<Entry>,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
}

impl Settings {
    /// Reads every source.
    ///
    /// # Errors
    /// A source that cannot be read, a key that nobody knows, or a value that cannot be.
    pub(crate) fn load(sources: Sources<'_>) -> Result<LoadedSettings, HostError> {
        let mut layers = Layers::of_defaults()?;
        let file = sources.file()?;
        if let Some((path, text)) = &file {
            layers.read_file(path, text)?;
        }
        layers.read_variables(sources.environment, sources.current_folder)?;
        layers.put_flags(sources.flags, sources.current_folder)?;
        let (settings, entries) = layers.finish()?;
        Ok(LoadedSettings { settings, entries, file: file.map(|(path, _)| path) })
    }

    /// Reads the file alone, for verbs that serve nothing and want to know what the server of this
    /// place stands on.
    ///
    /// # Errors
    /// As for [`Self::load`].
    pub(crate) fn of_file(sources: Sources<'_>) -> Result<Self, HostError> {
        let mut layers = Layers::of_defaults()?;
        if let Some((path, text)) = sources.file()? {
            layers.read_file(&path, &text)?;
        }
        Ok(layers.finish()?.0)
    }
}

impl Sources<'_> {
    /// The file and its text; one that is named must be there.
    fn file(&self) -> Result<Option<(PathBuf, String)>, HostError> {
        let variable = self.environment.get(FILE_VARIABLE).filter(|name| !name.is_empty());
        let named = self.flags.config.as_deref().or(variable.map(Path::new));
        let path = match named {
            Some(named) => self.current_folder.join(named),
            None => self.state_folder.join(FILE),
        };
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some((path, text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(None),
            Err(error) => {
                let message = format!("the settings in {} cannot be read: {error}", path.display());
                Err(refused("FC0773", message, None))
            }
        }
    }
}

fn refused(code: &'static str, message: String, hint: Option<String>) -> HostError {
    HostError { kind: HostErrorKind::Refused, code, message, hint }
}

#[cfg(test)]
mod tests;
