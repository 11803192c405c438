//! What the short answers of a service mean.

use flexcore_plugin_protocol::Manifest;
use flexcore_ports::{ConfigProblem, PluginDescription, PluginSchema};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{fault::Fault, problem};

#[derive(Deserialize, Default)]
struct HealthAnswer {
    status: Option<String>,
    name: Option<String>,
    version: Option<String>,
    detail: Option<String>,
}

#[derive(Deserialize)]
struct ValidateAnswer {
    problems: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    pointer: String,
    message: String,
    #[serde(default)]
    warning: bool,
}

#[derive(Deserialize)]
struct SchemaAnswer {
    #[serde(default)]
    config: Option<Value>,
    #[serde(default)]
    data_streams: Map<String, Value>,
}

/// What a service says of itself, held against its manifest.
pub(crate) fn description(answer: Value, manifest: &Manifest) -> Result<PluginDescription, Fault> {
    let said = health(answer)?;
    let name = said.name.unwrap_or_else(|| manifest.name.clone());
    let version = said.version.unwrap_or_else(|| manifest.version.clone());
    if name != manifest.name || version != manifest.version {
        let (name, version) = (problem::line(&name), problem::line(&version));
        return Err(Fault::unusable(format!(
            "it says that it is `{name}` {version}, and the manifest is of `{}` {}",
            manifest.name, manifest.version
        )));
    }
    let detail = problem::line(&said.detail.unwrap_or_default());
    Ok(PluginDescription { name, version, detail })
}

fn health(answer: Value) -> Result<HealthAnswer, Fault> {
    let said: HealthAnswer = match answer {
        Value::Object(_) => read(answer)?,
        // Many services say `"ok"` or nothing.
        _ => HealthAnswer::default(),
    };
    match said.status.as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("unhealthy" | "down" | "error" | "fail" | "failed" | "unavailable") => {
            let detail = said.detail.as_deref().unwrap_or("it does not say why");
            Err(Fault::Refused { status: Some(503), what: problem::line(detail) })
        }
        _ => Ok(said),
    }
}

/// Whether a service that answered is well.
pub(crate) fn is_well(answer: Value) -> Result<(), Fault> {
    health(answer).map(|_| ())
}

pub(crate) fn problems(answer: Value) -> Result<Vec<ConfigProblem>, Fault> {
    let answer: ValidateAnswer = read(answer)?;
    let problem = |problem: Problem| ConfigProblem {
        pointer: problem::line(&problem.pointer),
        message: problem::line(&problem.message),
        warning: problem.warning,
    };
    Ok(answer.problems.into_iter().map(problem).collect())
}

pub(crate) fn schema(answer: Value) -> Result<PluginSchema, Fault> {
    let answer: SchemaAnswer = read(answer)?;
    let config = answer.config.filter(|schema| !schema.is_null());
    Ok(PluginSchema { config, data_streams: answer.data_streams.into_iter().collect() })
}

fn read<T: for<'de> Deserialize<'de>>(answer: Value) -> Result<T, Fault> {
    serde_json::from_value(answer).map_err(|error| Fault::unusable(error.to_string()))
}
