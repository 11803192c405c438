//! Rendered settings of a step as plain values, ready to be run.

use std::{fmt, path::PathBuf, time::Duration};

use serde_json::Value;
use thiserror::Error;

use crate::request::StepRequest;

/// The longest line of a sync unless the step says otherwise, in bytes.
const DEFAULT_MAX_LINE: u64 = 16 << 20;
/// The longest line that a step may ask for, in bytes.
pub(crate) const MAX_MAX_LINE: u64 = 1 << 30;

/// A step whose templates were rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedStep {
    /// Its environment variables, complete, each name once.
    pub environment: Vec<(String, String)>,
    /// How long the attempt may take, if that is limited.
    pub timeout: Option<Duration>,
    /// What its programs are to be allowed.
    pub request: StepRequest,
    /// What it does.
    pub work: RenderedWork,
}

/// What a rendered step does.
#[derive(Debug, Clone, PartialEq)]
pub enum RenderedWork {
    /// Runs a program.
    Command(CommandSettings),
    /// Moves records.
    Sync(Box<SyncSettings>),
    /// Calls a plugin.
    Plugin(Box<PluginCallSettings>),
}

/// A rendered `plugin` step.
#[derive(Clone, PartialEq)]
pub struct PluginCallSettings {
    /// The plugin.
    pub name: String,
    /// What it is to do; empty for the usual.
    pub operation: String,
    /// Its settings, a JSON object; may hold secrets.
    pub config: Value,
    /// What it works on; may hold secrets.
    pub input: Value,
}

impl fmt::Debug for PluginCallSettings {
    /// Without what may hold secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PluginCallSettings")
            .field("name", &self.name)
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

/// A rendered `command` step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSettings {
    /// What to run.
    pub program: CommandProgram,
    /// The working directory, relative to the project root.
    pub cwd: Option<PathBuf>,
    /// Exit codes that mean success.
    pub ok_exit_codes: Vec<i32>,
}

/// What a `command` step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandProgram {
    /// A program and its arguments.
    Argv(Vec<String>),
    /// A script for a shell.
    Script {
        /// Its text.
        script: String,
        /// The shell.
        shell: Shell,
    },
}

/// The shell of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shell {
    /// `bash -euo pipefail`.
    #[default]
    Bash,
    /// `sh -eu`.
    Sh,
}

/// A rendered `sync` step.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncSettings {
    /// Where records come from.
    pub tap: PluginSettings,
    /// Where they go.
    pub target: PluginSettings,
    /// The name of its bookmark.
    pub state: String,
    /// Select rules in order; empty: whatever the catalog selects.
    pub select: Vec<String>,
    /// Metadata rules in order: a glob and the keys that it sets.
    pub metadata: Vec<(String, Value)>,
    /// Schemas of fields by stream: field to JSON Schema.
    pub schema: Vec<(String, Value)>,
    /// What starts from the beginning.
    pub full_refresh: FullRefresh,
    /// What a pattern that matches nothing in the catalog does.
    pub unmatched: Unmatched,
    /// The longest line that is handed over, in bytes.
    pub max_line: u64,
}

/// A rendered tap or target.
#[derive(Clone, PartialEq)]
pub struct PluginSettings {
    /// Its name, for messages and logs.
    pub name: String,
    /// What it runs.
    pub program: PluginProgram,
    /// Its config; may hold secrets.
    pub config: Value,
    /// Environment variables besides the step's; may hold secrets.
    pub environment: Vec<(String, String)>,
}

impl fmt::Debug for PluginSettings {
    /// Without what may hold secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PluginSettings")
            .field("name", &self.name)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

/// What a plugin runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginProgram {
    /// One of the connectors that come with FlexCore, by name.
    Native(String),
    /// A program and its first arguments; relative paths start at the project root.
    Command(Vec<String>),
    /// The program of a registered plugin, by the plugin's name.
    Registered(String),
}

/// What starts from the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FullRefresh {
    /// Nothing: every stream goes on from its bookmark.
    #[default]
    No,
    /// Every stream.
    All,
    /// These streams.
    Streams(Vec<String>),
}

/// What a pattern that matches nothing in the catalog does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unmatched {
    /// The attempt fails and names the pattern.
    #[default]
    Fail,
    /// The pattern is named in the log.
    Warn,
}

/// A rendered value that its key does not take. The value itself is not shown, since it may hold a
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{key}` of {subject} takes {expected}, and was rendered to {found}")]
pub struct SettingsError {
    /// What it is a setting of, for a person: ``step `load` ``.
    pub subject: String,
    /// The keys that lead to the value, joined by dots.
    pub key: String,
    /// What it takes.
    pub expected: &'static str,
    /// What it is: `a text`, `a list`, …
    pub found: &'static str,
}

/// Reads one rendered step; every error names the step and the key.
pub(crate) struct Reader {
    /// What the settings are of: ``step `load` ``.
    pub(crate) subject: String,
}

impl Reader {
    /// A `command` step.
    pub(crate) fn command(&self, value: &Value) -> Result<CommandSettings, SettingsError> {
        let program = match present(value, "argv") {
            Some(argv) => CommandProgram::Argv(self.texts("command.argv", argv)?),
            None => CommandProgram::Script {
                script: self.text("command.run", &value["run"])?,
                shell: self.shell(value)?,
            },
        };
        let cwd = present(value, "cwd").map(|cwd| self.text("command.cwd", cwd)).transpose()?;
        let codes = present(value, "ok_exit_codes");
        Ok(CommandSettings {
            program,
            cwd: cwd.map(PathBuf::from),
            ok_exit_codes: codes.map_or_else(|| Ok(vec![0]), |codes| self.exit_codes(codes))?,
        })
    }

    /// A `plugin` step.
    pub(crate) fn plugin_call(&self, value: &Value) -> Result<PluginCallSettings, SettingsError> {
        let config = present(value, "config").cloned();
        let config = config.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        if !config.is_object() {
            return Err(self.wrong("plugin.config", "a map", &config));
        }
        let operation = present(value, "operation");
        let operation = operation.map(|text| self.text("plugin.operation", text)).transpose()?;
        Ok(PluginCallSettings {
            name: self.text("plugin.name", &value["name"])?,
            operation: operation.unwrap_or_default(),
            config,
            input: value.get("input").cloned().unwrap_or(Value::Null),
        })
    }

    /// A `sync` step.
    pub(crate) fn sync(
        &self,
        value: &Value,
        natives: &crate::resolve::Ends,
        state: String,
    ) -> Result<SyncSettings, SettingsError> {
        let list = |key: &str| present(value, key);
        let select = list("select").map(|rules| self.texts("sync.select", rules)).transpose()?;
        let max_line = list("max_line").map(|size| self.max_line(size)).transpose()?;
        Ok(SyncSettings {
            tap: self.plugin("tap", &value["tap"], natives.tap.as_deref())?,
            target: self.plugin("target", &value["target"], natives.target.as_deref())?,
            state,
            select: select.unwrap_or_default(),
            metadata: self.metadata(&value["metadata"])?,
            schema: self.schema(&value["schema"])?,
            full_refresh: self.full_refresh(&value["full_refresh"])?,
            unmatched: self.unmatched(&value["unmatched"])?,
            max_line: max_line.unwrap_or(DEFAULT_MAX_LINE),
        })
    }

    /// A duration of a step: `timeout`.
    pub(crate) fn duration(&self, key: &str, value: &Value) -> Result<Duration, SettingsError> {
        let parsed = value.as_str().and_then(crate::units::parse_duration);
        parsed.ok_or_else(|| self.wrong(key, crate::units::DURATION_EXAMPLES, value))
    }

    /// A text; a number or boolean stands for its text.
    pub(crate) fn text(&self, key: &str, value: &Value) -> Result<String, SettingsError> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(value) => Ok(value.to_string()),
            _ => Err(self.wrong(key, "a text", value)),
        }
    }

    fn texts(&self, key: &str, value: &Value) -> Result<Vec<String>, SettingsError> {
        let items = value.as_array().ok_or_else(|| self.wrong(key, "a list of texts", value))?;
        let texts = items.iter().enumerate();
        texts.map(|(index, item)| self.text(&format!("{key}[{index}]"), item)).collect()
    }

    fn shell(&self, value: &Value) -> Result<Shell, SettingsError> {
        match value["shell"].as_str() {
            None if value["shell"].is_null() => Ok(Shell::default()),
            Some("bash") => Ok(Shell::Bash),
            Some("sh") => Ok(Shell::Sh),
            _ => Err(self.wrong("command.shell", "`bash` or `sh`", &value["shell"])),
        }
    }

    fn exit_codes(&self, value: &Value) -> Result<Vec<i32>, SettingsError> {
        const KEY: &str = "command.ok_exit_codes";
        let wrong = |value: &Value| self.wrong(KEY, "a list of exit codes", value);
        let items = value.as_array().ok_or_else(|| wrong(value))?;
        let code = |item: &Value| {
            let code = item.as_i64().and_then(|code| i32::try_from(code).ok());
            code.ok_or_else(|| wrong(item))
        };
        items.iter().map(code).collect()
    }

    fn plugin(
        &self,
        end: &str,
        value: &Value,
        native: Option<&str>,
    ) -> Result<PluginSettings, SettingsError> {
        let program = match (present(value, "command"), native) {
            _ if present(value, "registered").is_some() => {
                let name = &value["registered"];
                PluginProgram::Registered(self.text(&format!("sync.{end}.registered"), name)?)
            }
            (Some(command), _) => {
                PluginProgram::Command(self.texts(&format!("sync.{end}.command"), command)?)
            }
            (None, Some(native)) => PluginProgram::Native(native.to_owned()),
            (None, None) => {
                return Err(self.wrong(&format!("sync.{end}"), "a plugin", &Value::Null));
            }
        };
        let config = present(value, "config").cloned();
        let config = config.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        Ok(PluginSettings {
            name: self.text(&format!("sync.{end}.plugin"), &value["plugin"])?,
            program,
            config,
            environment: Vec::new(),
        })
    }

    fn metadata(&self, value: &Value) -> Result<Vec<(String, Value)>, SettingsError> {
        let pairs = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let rule = |pair: &Value| match (pair[0].as_str(), pair[1].is_object()) {
            (Some(pattern), true) => Ok((pattern.to_owned(), pair[1].clone())),
            _ => Err(self.wrong("sync.metadata", "a map of maps", pair)),
        };
        pairs.iter().map(rule).collect()
    }

    fn schema(&self, value: &Value) -> Result<Vec<(String, Value)>, SettingsError> {
        let streams = value.as_object().into_iter().flatten();
        let rule = |(stream, fields): (&String, &Value)| {
            if fields.is_object() {
                Ok((stream.clone(), fields.clone()))
            } else {
                Err(self.wrong(&format!("sync.schema.{stream}"), "a map of fields", fields))
            }
        };
        streams.map(rule).collect()
    }

    fn full_refresh(&self, value: &Value) -> Result<FullRefresh, SettingsError> {
        match value {
            Value::Null | Value::Bool(false) => Ok(FullRefresh::No),
            Value::Bool(true) => Ok(FullRefresh::All),
            Value::Array(streams) if streams.is_empty() => Ok(FullRefresh::No),
            Value::Array(_) => self.texts("sync.full_refresh", value).map(FullRefresh::Streams),
            _ => {
                Err(self.wrong("sync.full_refresh", "`true`, `false` or a list of streams", value))
            }
        }
    }

    fn unmatched(&self, value: &Value) -> Result<Unmatched, SettingsError> {
        match value.as_str() {
            None if value.is_null() => Ok(Unmatched::default()),
            Some("fail") => Ok(Unmatched::Fail),
            Some("warn") => Ok(Unmatched::Warn),
            _ => Err(self.wrong("sync.unmatched", "`fail` or `warn`", value)),
        }
    }

    fn max_line(&self, value: &Value) -> Result<u64, SettingsError> {
        let size = value.as_str().and_then(crate::units::parse_size);
        size.filter(|size| (1..=MAX_MAX_LINE).contains(size)).ok_or_else(|| {
            self.wrong("sync.max_line", "a size such as `16MiB`, at most `1GiB`", value)
        })
    }

    fn wrong(&self, key: &str, expected: &'static str, value: &Value) -> SettingsError {
        let found = match value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "another text",
            Value::Array(_) => "a list",
            Value::Object(_) => "a map",
        };
        SettingsError { subject: self.subject.clone(), key: key.to_owned(), expected, found }
    }
}

fn present<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    value.get(key).filter(|value| !value.is_null())
}
