//! What projections remember, because later events do not repeat it.

use std::collections::BTreeMap;

use flexcore_domain::{ExecutionId, PipelineId};
use flexcore_ports::KEPT_FROM_NOTE;
use serde::{Deserialize, Serialize};

/// One thing remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    /// Of a pipeline.
    Pipeline(PipelineNote),
    /// Of one version of a pipeline.
    Version(VersionNote),
    /// Of an execution that did not complete.
    Execution(ExecutionNote),
    /// The store keeps executions that ended since some time only.
    KeptFrom(i64),
}

/// A pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PipelineNote {
    pub(super) name: String,
    pub(super) status: String,
    /// The plugins that its newest version names.
    pub(super) taps: Vec<String>,
    pub(super) targets: Vec<String>,
    /// Those that its `plugin` steps call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) called: Vec<String>,
}

/// One version of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VersionNote {
    pub(super) steps: BTreeMap<String, StepNote>,
}

/// A step of one version of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StepNote {
    /// Its kind.
    pub(super) kind: String,
    /// The state name of a sync, if it is not the step's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<String>,
    /// The plugin that a `plugin` step calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) plugin: Option<String>,
}

/// An execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ExecutionNote {
    /// The key of its version's note.
    pub(super) version: String,
    /// The pipeline's name.
    pub(super) pipeline: String,
    pub(super) status: String,
    /// The syncs that it holds, by state name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) syncs: BTreeMap<String, SyncNote>,
}

/// A sync that an execution holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SyncNote {
    /// Its event stream.
    pub(super) stream: String,
    pub(super) tap: String,
    pub(super) target: String,
}

/// The key of a pipeline's note.
pub(super) fn pipeline_key(id: PipelineId) -> String {
    format!("pipeline/{id}")
}

/// The key of the note of one version of a pipeline.
pub(super) fn version_key(id: PipelineId, version: u32) -> String {
    format!("version/{id}/{version}")
}

/// The key of an execution's note.
pub(super) fn execution_key(id: ExecutionId) -> String {
    format!("execution/{id}")
}

impl Note {
    /// The note that a text is; its key says which kind.
    pub(super) fn read(key: &str, text: &str) -> Option<Self> {
        match key.split('/').next()? {
            "pipeline" => serde_json::from_str(text).ok().map(Self::Pipeline),
            "version" => serde_json::from_str(text).ok().map(Self::Version),
            "execution" => serde_json::from_str(text).ok().map(Self::Execution),
            KEPT_FROM_NOTE => text.parse().ok().map(Self::KeptFrom),
            _ => None,
        }
    }

    /// Its text.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Pipeline(note) => serde_json::to_string(note),
            Self::Version(note) => serde_json::to_string(note),
            Self::Execution(note) => serde_json::to_string(note),
            Self::KeptFrom(time) => Ok(time.to_string()),
        }
        .expect("keys are texts and writing to memory cannot fail, so every note serialises")
    }
}
