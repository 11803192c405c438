//! What an author writes.

use std::{collections::BTreeMap, future::Future, path::PathBuf};

use flexcore_plugin_protocol::protobuf::v1;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Call, Failure, Records, Secret, Sink};

/// A plugin. The host asks [`info`](Self::info) once, then [`initialize`](Self::initialize) with
/// settings, then [`execute`](Self::execute) any number of times.
///
/// Methods are written as `async fn`. They run on one thread, so that a plugin starts fast and
/// stays small: work that keeps the processor busy for long, or blocks, goes to
/// [`blocking`](crate::blocking).
pub trait Plugin: Send + Sync + 'static {
    /// What `initialize` makes of the settings and `execute` works with: clients, compiled
    /// programs, open files. `()` if there is nothing.
    type Session: Send + Sync + 'static;

    /// What the plugin is; the host holds it against `plugin.toml`.
    fn info(&self) -> PluginInfo;

    /// The JSON Schema (draft 2020-12) of the settings. Takes any object unless given.
    fn config_schema(&self) -> Value {
        json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"})
    }

    /// The data streams that there are with these settings; none unless given.
    ///
    /// # Errors
    /// [`Failure`] if they cannot be found out.
    fn data_streams(
        &self,
        config: &Value,
    ) -> impl Future<Output = Result<Vec<DataStream>, Failure>> + Send {
        let _ = config;
        async { Ok(Vec::new()) }
    }

    /// What is wrong with settings, beyond what their schema says. Reaches nothing outside.
    fn validate(&self, config: &Value) -> impl Future<Output = Vec<Problem>> + Send {
        let _ = config;
        async { Vec::new() }
    }

    /// Opens what the plugin needs. May come again with other settings: calls that still run keep
    /// the session that they began with.
    ///
    /// # Errors
    /// [`Failure`] if the settings are wrong or something cannot be reached.
    fn initialize(
        &self,
        setup: Setup,
    ) -> impl Future<Output = Result<Self::Session, Failure>> + Send;

    /// Carries out one call: takes records, sends records, and answers with the result of the call
    /// as a whole; [`Value::Null`] if there is none.
    ///
    /// When the host cancels, the future is given a second to end by itself, and is then dropped.
    /// A panic fails the call and makes the plugin unhealthy, so that the host replaces it.
    ///
    /// # Errors
    /// [`Failure`], whose class says whether another try may succeed.
    fn execute(
        &self,
        session: &Self::Session,
        call: &Call,
        records: &mut Records,
        sink: &mut Sink,
    ) -> impl Future<Output = Result<Value, Failure>> + Send;

    /// Whether the plugin can be called; `session` is there once it was initialized.
    ///
    /// # Errors
    /// Why it cannot, for a person.
    fn health(
        &self,
        session: Option<&Self::Session>,
    ) -> impl Future<Output = Result<(), String>> + Send {
        let _ = session;
        async { Ok(()) }
    }

    /// Lets go of what the plugin holds. The process ends when it answers.
    fn shutdown(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// What a plugin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginInfo {
    /// Its name, as in `plugin.toml`.
    pub name: String,
    /// Its version, as in `plugin.toml`.
    pub version: String,
    /// What it does with records.
    pub plugin_type: PluginType,
    /// How many calls it can carry out at the same time; at least 1.
    pub max_concurrent_executions: u32,
    /// Whether it keeps nothing between calls, so that several tenants may share a process.
    pub stateless: bool,
}

impl PluginInfo {
    /// A plugin that takes one call at a time and may keep something between calls.
    pub fn new(
        name: impl Into<String>,
        version: impl Into<String>,
        plugin_type: PluginType,
    ) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            plugin_type,
            max_concurrent_executions: 1,
            stateless: false,
        }
    }

    /// It can carry out this many calls at the same time.
    pub fn concurrent(mut self, executions: u32) -> Self {
        self.max_concurrent_executions = executions.max(1);
        self
    }

    /// It keeps nothing between calls.
    pub fn stateless(mut self) -> Self {
        self.stateless = true;
        self
    }
}

/// What a plugin does with records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginType {
    /// Takes them from somewhere.
    Extractor,
    /// Brings them somewhere.
    Loader,
    /// Makes others of them.
    Transformer,
    /// Does something else.
    Processor,
}

impl From<PluginType> for v1::PluginType {
    fn from(plugin_type: PluginType) -> Self {
        match plugin_type {
            PluginType::Extractor => Self::Extractor,
            PluginType::Loader => Self::Loader,
            PluginType::Transformer => Self::Transformer,
            PluginType::Processor => Self::Processor,
        }
    }
}

/// A data stream that a plugin has.
#[derive(Debug, Clone, PartialEq)]
pub struct DataStream {
    /// Its name.
    pub name: String,
    /// The JSON Schema of its records.
    pub schema: Value,
    /// The properties that tell records apart, if there are any.
    pub key_properties: Vec<String>,
}

/// Something that is wrong with settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The JSON pointer of the setting, such as `/rules/0`; empty for the settings as a whole.
    pub pointer: String,
    /// What is wrong and what to do, for a person. Without secrets.
    pub message: String,
    /// Whether the settings can be used nevertheless.
    pub warning: bool,
}

impl Problem {
    /// Something for which the settings cannot be used.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), warning: false }
    }

    /// Something that somebody should look at.
    pub fn warning(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { warning: true, ..Self::new(pointer, message) }
    }
}

/// What a plugin is initialized with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The settings, a JSON object.
    pub config: Value,
    /// The values of the secrets that the plugin was granted, by name.
    pub secrets: BTreeMap<String, Secret>,
    /// A folder that belongs to the plugin alone and ends with it, if there is one.
    pub scratch_folder: Option<PathBuf>,
}

impl Setup {
    /// The settings as a type of the author's.
    ///
    /// # Errors
    /// A [`Failure`] of class configuration that says what is wrong with them.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        T::deserialize(&self.config)
            .map_err(|error| Failure::configuration(format!("the settings are wrong: {error}")))
    }

    /// The value of a secret.
    ///
    /// # Errors
    /// A [`Failure`] of class configuration that names the secret and says where it is asked for.
    pub fn secret(&self, name: &str) -> Result<&Secret, Failure> {
        self.secrets.get(name).ok_or_else(|| {
            Failure::configuration(format!(
                "the secret `{name}` is not there; plugin.toml asks for it with \
                 `[capabilities] secrets = [\"{name}\"]`, and the operator grants and sets it"
            ))
        })
    }
}
