//! Settings from several sources, laid over each other.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use flexcore_cli::{HostError, SettingFlags};
use serde_json::{Map, Value};

use super::{PATHS, Settings, file, refused, variables};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said otherwise.
    Default,
    /// A line of a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A variable of the environment.
    Variable(String),
    /// An argument of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Variable(name) => formatter.write_str(name),
            Self::Flag(name) => formatter.write_str(name),
        }
    }
}

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Its key, sections included.
    pub(crate) key: String,
    /// Its variable in the environment.
    pub(crate) variable: String,
    /// What holds; null if it is unset.
    pub(crate) value: Value,
    /// Where that came from.
    pub(crate) origin: Origin,
}

/// The settings so far.
pub(super) struct Layers {
    values: Value,
    /// Every key that there is.
    origins: BTreeMap<String, Origin>,
}

impl Layers {
    pub(super) fn of_defaults() -> Result<Self, HostError> {
        let values = serde_json::to_value(Settings::default())
            .map_err(|error| refused("FC0772", format!("the defaults are wrong: {error}"), None))?;
        let mut keys = vec![];
        collect_keys(&values, "", &mut keys);
        let origins = keys.into_iter().map(|key| (key, Origin::Default)).collect();
        Ok(Self { values, origins })
    }

    pub(super) fn read_file(&mut self, path: &Path, text: &str) -> Result<(), HostError> {
        let known = |key: &str| self.origins.contains_key(key);
        let found = file::read(path, text, &known, &self.keys())?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        for file::Found { key, value, line } in found {
            let origin = Origin::File { path: path.to_owned(), line };
            self.put(&key, based(&key, value, folder), origin);
        }
        self.check().map(drop)
    }

    pub(super) fn read_variables(
        &mut self,
        environment: &BTreeMap<String, String>,
        folder: &Path,
    ) -> Result<(), HostError> {
        let of_variables: BTreeMap<String, String> =
            self.origins.keys().map(|key| (variables::variable_of(key), key.clone())).collect();
        for (name, text) in environment {
            match of_variables.get(name) {
                Some(key) if !text.is_empty() => self.read_variable(key, name, text, folder)?,
                Some(_) => {}
                None if !variables::is_ours(name) || variables::is_other(name) => {}
                None => return Err(unknown_variable(name, of_variables.keys())),
            }
        }
        Ok(())
    }

    /// The first meaning of a text that its setting takes: the text itself, a number or a truth
    /// value, a list.
    fn read_variable(
        &mut self,
        key: &str,
        name: &str,
        text: &str,
        folder: &Path,
    ) -> Result<(), HostError> {
        let origin = Origin::Variable(name.to_owned());
        let before = self.values.clone();
        let mut first = None;
        for meaning in meanings(text) {
            self.put(key, based(key, meaning, folder), origin.clone());
            match self.check() {
                Ok(_) => return Ok(()),
                Err(error) => first = first.or(Some(error)),
            }
            self.values = before.clone();
        }
        first.map_or(Ok(()), Err)
    }

    pub(super) fn put_flags(
        &mut self,
        flags: &SettingFlags,
        folder: &Path,
    ) -> Result<(), HostError> {
        for flag in &flags.values {
            let value = based(flag.key, flag.value.clone(), folder);
            self.put(flag.key, value, Origin::Flag(flag.flag));
        }
        self.check().map(drop)
    }

    pub(super) fn finish(self) -> Result<(Settings, Vec<Entry>), HostError> {
        let settings = self.check()?;
        let shown = serde_json::to_value(&settings).unwrap_or(self.values);
        let entry = |(key, origin): (String, Origin)| Entry {
            variable: variables::variable_of(&key),
            value: shown.pointer(&pointer(&key)).cloned().unwrap_or_default(),
            key,
            origin,
        };
        Ok((settings, self.origins.into_iter().map(entry).collect()))
    }

    fn keys(&self) -> Vec<&str> {
        self.origins.keys().map(String::as_str).collect()
    }

    fn put(&mut self, key: &str, value: Value, origin: Origin) {
        let (sections, name) = key.rsplit_once('.').unwrap_or(("", key));
        let start = Some(&mut self.values);
        let parts = sections.split('.').filter(|part| !part.is_empty());
        let section = parts.fold(start, |value, part| value?.get_mut(part));
        if let Some(Value::Object(section)) = section {
            section.insert(name.to_owned(), value);
        }
        self.origins.insert(key.to_owned(), origin);
    }

    /// The typed settings. What is wrong is said of the source that said it.
    fn check(&self) -> Result<Settings, HostError> {
        serde_path_to_error::deserialize(&self.values).map_err(|error| {
            let path = error.path().to_string();
            // `server.roles[0]` is a part of `server.roles`.
            let key = path.split('[').next().unwrap_or_default();
            let origin = self.origins.get(key).unwrap_or(&Origin::Default);
            let message = format!("{origin}: `{key}` cannot be that: {}", error.inner());
            let hint = "docs/configuration.md has every setting with what it takes".to_owned();
            refused("FC0772", message, Some(hint))
        })
    }
}

fn collect_keys(value: &Value, prefix: &str, keys: &mut Vec<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => descend(map, prefix, keys),
        _ => keys.push(prefix.to_owned()),
    }
}

fn descend(map: &Map<String, Value>, prefix: &str, keys: &mut Vec<String>) {
    for (name, below) in map {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        collect_keys(below, &key, keys);
    }
}

fn pointer(key: &str) -> String {
    format!("/{}", key.replace('.', "/"))
}

/// A path from where it starts; everything else as it is.
fn based(key: &str, value: Value, folder: &Path) -> Value {
    match value {
        Value::String(path) if PATHS.contains(&key) => {
            Value::String(folder.join(path).display().to_string())
        }
        value => value,
    }
}

/// What a text may mean, the plainest meaning first.
fn meanings(text: &str) -> Vec<Value> {
    let truth = match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "on" | "yes" => Some(true),
        "0" | "false" | "off" | "no" => Some(false),
        _ => None,
    };
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let list = items.map(|item| Value::String(item.to_owned())).collect();
    let number = serde_json::from_str(text).ok().filter(Value::is_number);
    let plain = Value::String(text.to_owned());
    [Some(plain), number, truth.map(Value::Bool), Some(Value::Array(list))]
        .into_iter()
        .flatten()
        .collect()
}

fn unknown_variable<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> HostError {
    let others = variables::others().map(|name| -> &str { name });
    let known: Vec<&str> = known.map(|name| -> &str { name }).chain(others).collect();
    let hint = file::nearest(name, &known).map_or_else(
        || "docs/configuration.md has every variable; unset this one".to_owned(),
        |near| format!("did you mean {near}? If not, unset it"),
    );
    refused("FC0771", format!("nobody knows the variable {name}"), Some(hint))
}
