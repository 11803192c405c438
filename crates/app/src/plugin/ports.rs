//! What the application needs to call plugins.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use flexcore_plugin_protocol::{ContentDigest, Manifest, PluginKind};
use flexcore_ports::{OperatorGrants, PluginHost, PluginStore, Secrets};
use serde_json::Value;

use super::masked::MaskedHost;

/// The outside world of plugins, as the application sees it.
#[derive(Clone)]
pub struct PluginPorts {
    /// Their files.
    pub store: Arc<dyn PluginStore>,
    /// Who calls those of a kind. A kind that is not here cannot be called.
    pub hosts: BTreeMap<PluginKind, Arc<dyn PluginHost>>,
    /// Those that come with FlexCore.
    pub built_in: Vec<BuiltInPlugin>,
    /// What the operator allows.
    pub grants: Arc<dyn OperatorGrants>,
    /// Relative paths of capabilities start here.
    pub project_root: PathBuf,
    /// How much happens at a time.
    pub bounds: PluginBounds,
}

impl PluginPorts {
    /// The same with hosts whose words hold no known secret.
    pub(crate) fn masked(self, secrets: &Arc<dyn Secrets>) -> Self {
        let masked = |host| -> Arc<dyn PluginHost> {
            Arc::new(MaskedHost { host, secrets: Arc::clone(secrets) })
        };
        let hosts = self.hosts.into_iter().map(|(kind, host)| (kind, masked(host))).collect();
        Self { hosts, ..self }
    }
}

impl fmt::Debug for PluginPorts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PluginPorts").finish_non_exhaustive()
    }
}

/// How much of plugins happens at a time in one process; what is beyond it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginBounds {
    /// How many are being started.
    pub starts: usize,
    /// How many calls are running.
    pub calls: usize,
}

impl PluginBounds {
    /// For a machine with so many processors.
    pub const fn of_processors(processors: usize) -> Self {
        let starts = if processors == 0 { 2 } else { 2 * processors };
        Self { starts, calls: 256 }
    }
}

/// A plugin that comes with FlexCore and needs no registration.
#[derive(Debug, Clone)]
pub struct BuiltInPlugin {
    /// What it is.
    pub manifest: Arc<Manifest>,
    /// The text of its manifest.
    pub manifest_text: String,
    /// The JSON Schema of its settings.
    pub config_schema: Option<Value>,
    /// Where its program lies.
    pub folder: Option<PathBuf>,
}

impl BuiltInPlugin {
    /// What it is known by: its name and its version, which is FlexCore's. Where the program lies
    /// differs between the machines that share a store.
    pub fn digest(&self) -> ContentDigest {
        let Manifest { name, version, .. } = &*self.manifest;
        ContentDigest::of(format!("flexcore {name} {version}").as_bytes())
    }
}
