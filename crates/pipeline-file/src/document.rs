//! The stored form of a definition: the pipeline file and what it refers to in the project file.
//!
//! A document is plain JSON and needs no file beside it, so that an execution that was interrupted
//! goes on with the version it started with, whatever happened to the files. It keeps the lines of
//! its values for messages; [`same_definition`] leaves them out of the comparison.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::{file::ParsedFile, layers::FilePart, shape::escape};

/// The version of the document's form; a change needs a new number and the old reader beside it.
const FORMAT: u64 = 1;

/// Keys of the pipeline file that say nothing about the pipeline.
const NOT_DEFINITION: &[&str] = &["flexcore"];

/// Why a stored document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// It was stored by a newer FlexCore, or is damaged.
    #[error("the stored definition cannot be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// The environment does not exist in it.
    #[error(
        "there is no environment `{environment}` in this version of the pipeline; it has {known}"
    )]
    UnknownEnvironment {
        /// What was asked for.
        environment: String,
        /// The environments that there are, for a person.
        known: String,
    },
}

/// Whether two documents define the same pipeline. Lines, file names, comments, the order of keys
/// and everything else in the files that the pipeline does not use make no difference.
pub fn same_definition(one: &Value, other: &Value) -> bool {
    let definition = |document: &Value| {
        let content = |part: &str| document.pointer(&format!("/{part}/content")).cloned();
        (
            document.get("format").cloned(),
            content("pipeline"),
            content("project"),
            document.get("connectors").cloned(),
        )
    };
    definition(one) == definition(other)
}

/// Makes the document of a pipeline file and of the parts of the project file that it uses.
/// `plugins` names all plugins of the project that its syncs can come to use in any environment;
/// `connectors` the native ones among what they end at.
pub(crate) fn document(
    pipeline: &ParsedFile,
    project: Option<&ParsedFile>,
    plugins: &BTreeSet<String>,
    connectors: &BTreeSet<String>,
) -> Value {
    let mut content = pipeline.shaped.value.clone();
    if let Some(map) = content.as_object_mut() {
        map.retain(|key, _| !NOT_DEFINITION.contains(&key.as_str()) && !key.starts_with("x-"));
    }
    let name = content.get("pipeline").and_then(Value::as_str).unwrap_or_default().to_owned();
    let project = project.map(|file| {
        let content = project_content(&file.shaped.value, &name, plugins);
        file_part(file, &content)
    });
    json!({
        "format": FORMAT,
        "pipeline": file_part(pipeline, &content),
        "project": project,
        "connectors": connectors,
    })
}

fn file_part(file: &ParsedFile, content: &Value) -> Value {
    let lines: Map<String, Value> = file
        .shaped
        .lines
        .iter()
        .filter(|(pointer, _)| content.pointer(pointer).is_some())
        .map(|(pointer, line)| (pointer.clone(), (*line).into()))
        .collect();
    json!({ "file": file.source.name, "content": content, "lines": lines })
}

/// What a pipeline can come to use of the project file.
fn project_content(project: &Value, pipeline: &str, plugins: &BTreeSet<String>) -> Value {
    let chosen = |map: Option<&Value>, wanted: &dyn Fn(&str) -> bool| -> Value {
        let entries = map.and_then(Value::as_object).into_iter().flatten();
        let entries = entries.filter(|(key, _)| wanted(key));
        Value::Object(entries.map(|(key, value)| (key.clone(), value.clone())).collect())
    };
    let used = |name: &str| plugins.contains(name);
    let environments = project.get("environments").and_then(Value::as_object);
    let environments = environments.into_iter().flatten().map(|(name, environment)| {
        let content = json!({
            "plugins": chosen(environment.get("plugins"), &used),
            "pipelines": chosen(environment.get("pipelines"), &|name| name == pipeline),
        });
        (name.clone(), content)
    });
    json!({
        "env_allow": project.get("env_allow").cloned().unwrap_or_else(|| json!([])),
        "plugins": chosen(project.get("plugins"), &used),
        "environments": environments.collect::<Map<_, _>>(),
    })
}

/// A document that was read back.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    pub(crate) pipeline: FilePart<'a>,
    pub(crate) project: Option<FilePart<'a>>,
    pub(crate) connectors: BTreeSet<&'a str>,
}

impl<'a> Document<'a> {
    pub(crate) fn read(document: &'a Value) -> Result<Self, DocumentError> {
        let unreadable = |reason: &str| DocumentError::Unreadable { reason: reason.to_owned() };
        match document.get("format").and_then(Value::as_u64) {
            Some(FORMAT) => {}
            Some(newer) => {
                let reason = format!("its form {newer} is newer than this FlexCore");
                return Err(DocumentError::Unreadable { reason });
            }
            None => return Err(unreadable("it does not say which form it has")),
        }
        let pipeline = document.get("pipeline").and_then(part);
        let project = document.get("project").filter(|project| !project.is_null());
        let connectors = document.get("connectors").and_then(Value::as_array);
        Ok(Self {
            pipeline: pipeline.ok_or_else(|| unreadable("it has no pipeline"))?,
            project: project
                .map(|project| part(project).ok_or_else(|| unreadable("its project is damaged")))
                .transpose()?,
            connectors: connectors.into_iter().flatten().filter_map(Value::as_str).collect(),
        })
    }

    /// The value at a pointer of the project's content.
    pub(crate) fn project_value(&self, pointer: &str) -> Option<&'a Value> {
        self.project.as_ref()?.content.pointer(pointer)
    }

    /// The environments that it knows, in order.
    pub(crate) fn environments(&self) -> Vec<&'a str> {
        let environments = self.project_value("/environments").and_then(Value::as_object);
        environments.into_iter().flat_map(Map::keys).map(String::as_str).collect()
    }
}

fn part(part: &Value) -> Option<FilePart<'_>> {
    let file = part.get("file")?.as_str()?.to_owned();
    let lines = part.get("lines")?.as_object()?;
    let lines = lines.iter().filter_map(|(pointer, line)| {
        Some((pointer.as_str(), u32::try_from(line.as_u64()?).ok()?))
    });
    Some(FilePart { file, content: part.get("content")?, lines: lines.collect() })
}

/// The pointer of a plugin in the project's content.
pub(crate) fn plugin_pointer(name: &str) -> String {
    format!("/plugins/{}", escape(name))
}

/// The pointer of a plugin's settings in an environment.
pub(crate) fn environment_plugin_pointer(environment: &str, name: &str) -> String {
    format!("/environments/{}/plugins/{}", escape(environment), escape(name))
}

/// The pointer of a pipeline's settings in an environment.
pub(crate) fn environment_pipeline_pointer(environment: &str, pipeline: &str) -> String {
    format!("/environments/{}/pipelines/{}", escape(environment), escape(pipeline))
}
