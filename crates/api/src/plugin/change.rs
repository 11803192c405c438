//! Taking plugins in, and letting them be called or not.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Command, Route, Written};

/// Takes a plugin in, or another version of one: its files are verified and kept, and what it may
/// do is worked out and written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterPlugin {
    /// Where it comes from.
    pub source: PluginSourceView,
    /// The idempotency key. Registering the same files again changes nothing in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// Where a plugin comes from. Paths are those of the machine that keeps the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PluginSourceView {
    /// A folder with a `plugin.toml`.
    Folder(String),
    /// An archive of such a folder: `.tar`, `.tar.gz` or `.zip`.
    Archive(String),
    /// A package of the Python Package Index.
    Pypi {
        /// The package.
        name: String,
        /// Its exact version.
        version: String,
    },
    /// What was taken in before: the digest of its files, 64 hexadecimal digits.
    Digest(String),
}

impl Command for RegisterPlugin {
    type Reply = PluginRegistered;
    const NAME: &'static str = "RegisterPlugin";
    const PERMISSION: &'static str = "plugin.register";
    const ROUTE: Option<Route> =
        Some(Route::post("plugins/register").replying(201).keyed_by("idempotency_key"));

    fn idempotency_key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }
}

/// What registering a plugin came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginRegistered {
    /// Its name.
    pub name: String,
    /// Its version, as its author counts.
    pub version: String,
    /// How it is run.
    pub kind: String,
    /// What its files are.
    pub sha256: String,
    /// The id of the trusted key that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// What it may do.
    pub granted: Vec<String>,
    /// What it asks for and was not granted; it is not called until it is.
    pub missing: Vec<String>,
    /// The lines for `grants.toml` that would grant it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub grant_lines: String,
    /// Whether there was anything to write down.
    pub changed: bool,
    /// The log's position after it; 0 if there was nothing to write down.
    pub position: u64,
}

/// A request about one plugin that is answered with no more than that it was written down.
macro_rules! change {
    ($(#[$doc:meta])* $name:ident, $permission:literal, $route:expr, {
        $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Its name
            pub name: String,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Command for $name {
            type Reply = Written;
            const NAME: &'static str = stringify!($name);
            const PERMISSION: &'static str = $permission;
            const ROUTE: Option<Route> = Some($route);
        }
    };
}

change!(
    /// Lets nobody call a plugin until it is enabled again.
    DisablePlugin, "plugin.manage", Route::post("plugins/{name}/disable"), {
        /// Why; whoever is refused reads it
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }
);
change!(
    /// Lets a plugin be called again that was disabled, or is in quarantine.
    EnablePlugin, "plugin.manage", Route::post("plugins/{name}/enable"), {}
);
change!(
    /// Forgets a plugin. Its history stays in the log.
    UnregisterPlugin, "plugin.register", Route::delete("plugins/{name}"), {
        /// Remove its files from this machine as well
        #[arg(long)]
        #[serde(default)]
        remove_files: bool,
    }
);
