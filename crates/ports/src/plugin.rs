//! Calling a plugin, whatever its kind.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use flexcore_domain::{CapabilityUse, ErrorClass, Isolation};
use flexcore_plugin_protocol::{ContentDigest, Effective, Manifest, SecretName};
use serde_json::Value;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::{logs::AttemptLog, trace::TraceContext};

/// A plugin that can be called: what was registered, and what it may do.
#[derive(Debug, Clone)]
pub struct CallablePlugin {
    /// What it says of itself.
    pub manifest: Arc<Manifest>,
    /// What its files are; equal digests are equal plugins.
    pub digest: ContentDigest,
    /// Where its verified files lie on this node, read-only; `None` for a service elsewhere.
    pub folder: Option<PathBuf>,
    /// What it may do and use: the meet of manifest, step and grants.
    pub effective: Effective,
    /// The tenant that it is called for.
    pub tenant: String,
}

/// What a plugin is asked to do.
#[derive(Clone)]
pub struct PluginCall {
    /// What names this call everywhere: `<execution>/<step>/<attempt>`, or the id of a call by
    /// hand.
    pub id: String,
    /// The same for every try of the same work: `<execution>/<step>`.
    pub idempotency_key: String,
    /// Which try it is, from 1.
    pub attempt: u32,
    /// What to do, where the plugin can do several things; empty for the usual one.
    pub operation: String,
    /// The settings, a JSON object.
    pub config: Value,
    /// What goes in: an array is the records of one data stream, `input`; anything else is
    /// parameters.
    pub input: Value,
    /// What the plugin kept at the end of its last completed call, a JSON text.
    pub state: Option<String>,
    /// The values of the secrets that it was granted.
    pub secrets: Vec<(SecretName, String)>,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// The span of this call, if it is part of a trace: what the plugin does hangs from it.
    pub trace: Option<TraceContext>,
}

impl std::fmt::Debug for PluginCall {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Settings, input and secrets may hold secret values.
        formatter
            .debug_struct("PluginCall")
            .field("id", &self.id)
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

/// What came out of a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PluginOutput {
    /// What the plugin answered as a whole.
    pub result: Option<Value>,
    /// The records that it sent, by data stream, in the order of first appearance.
    pub records: Vec<(String, Vec<Value>)>,
    /// What it wants to find at its next call, a JSON text.
    pub state: Option<String>,
}

/// How a call ended, and what is to be known of it afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginEnd {
    /// What came out.
    pub outcome: Result<PluginOutput, PluginError>,
    /// What held the plugin; `None` if it never ran.
    pub isolation: Option<Isolation>,
    /// What it used of its rights, and what it tried in vain.
    pub uses: Vec<CapabilityUse>,
}

impl PluginEnd {
    /// A call that ended before anything ran.
    pub fn refused(error: PluginError) -> Self {
        Self { outcome: Err(error), isolation: None, uses: vec![] }
    }
}

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PluginDescription {
    /// Its name; held against the manifest.
    pub name: String,
    /// Its version; held against the manifest.
    pub version: String,
    /// Anything else that it says, for a person.
    pub detail: String,
}

/// Something that is wrong with settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The JSON pointer of the setting; empty if the settings as a whole are meant.
    pub pointer: String,
    /// What is wrong and what to do.
    pub message: String,
    /// Whether the settings can be used nevertheless.
    pub warning: bool,
}

/// The schemas that a plugin has.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PluginSchema {
    /// The JSON Schema of its settings; `None` if it has none.
    pub config: Option<Value>,
    /// Its data streams with the JSON Schemas of their records.
    pub data_streams: Vec<(String, Value)>,
}

/// Why a plugin could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct PluginError {
    /// The class that retry policies name.
    pub class: ErrorClass,
    /// The stable code; the page is in `docs/errors`.
    pub code: &'static str,
    /// What happened and what to do, for a person.
    pub message: String,
    /// Whether the plugin is to blame rather than who called it: such errors open the circuit.
    pub is_fault: bool,
    /// Whether it ended because the caller cancelled it.
    pub cancelled: bool,
    /// The last lines that it wrote to stderr, at most 20.
    pub stderr_tail: Vec<String>,
}

/// Calls plugins of one kind.
///
/// Whoever implements it keeps processes, connections and compiled code as it likes, keyed by
/// digest and effective rights; `release` lets go of them. Backoff, circuit and quarantine are the
/// caller's: each method tries once.
#[async_trait]
pub trait PluginHost: Send + Sync {
    /// Makes the plugin ready and asks what it is: starts what its pool keeps warm, compiles what
    /// has to be compiled.
    ///
    /// # Errors
    /// [`PluginError`] if it cannot be started, or is not what its manifest says.
    async fn initialize(&self, plugin: &CallablePlugin) -> Result<PluginDescription, PluginError>;

    /// What is wrong with settings.
    ///
    /// # Errors
    /// [`PluginError`] if it gives no answer.
    async fn validate(
        &self,
        plugin: &CallablePlugin,
        config: &Value,
    ) -> Result<Vec<ConfigProblem>, PluginError>;

    /// Its schemas; data streams only if settings are given with which they can be looked for.
    ///
    /// # Errors
    /// [`PluginError`] if it gives no answer.
    async fn schema(
        &self,
        plugin: &CallablePlugin,
        config: Option<&Value>,
    ) -> Result<PluginSchema, PluginError>;

    /// Carries out one call. When `cancel` fires the plugin is asked to stop, and ended soon after.
    async fn execute(
        &self,
        plugin: &CallablePlugin,
        call: PluginCall,
        log: Arc<dyn AttemptLog>,
        cancel: CancellationToken,
    ) -> PluginEnd;

    /// Whether it can be called.
    ///
    /// # Errors
    /// [`PluginError`] if it cannot, or gives no answer.
    async fn health(&self, plugin: &CallablePlugin) -> Result<(), PluginError>;

    /// Ends everything that is kept for the plugin. Calls that are running end by themselves.
    async fn release(&self, digest: &ContentDigest);
}
