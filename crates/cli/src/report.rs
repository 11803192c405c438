//! Results of verbs that ask no bus: what a file says, what a tap offers, what was written.
//!
//! They are part of the interface of `--output json` as the types of `api` are.

use flexcore_api::{AttemptErrorView, BookmarkView, PluginCallView, Written};
use flexcore_pipeline_file::{Diagnostic, ParameterInfo, SettingsEntry};
use serde::Serialize;
use serde_json::Value;

/// What `validate` found.
#[derive(Debug, Serialize)]
pub(crate) struct ValidateReport {
    /// Whether no file has an error.
    pub(crate) valid: bool,
    /// The files that were looked at.
    pub(crate) files: Vec<FileReport>,
}

/// One file that was validated.
#[derive(Debug, Serialize)]
pub(crate) struct FileReport {
    /// The file as it was named or found.
    pub(crate) file: String,
    /// The pipeline's name; absent if the file cannot be used.
    pub(crate) pipeline: Option<String>,
    /// Whether it has no error.
    pub(crate) valid: bool,
    /// Everything that was found, errors and warnings.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The parsed definition, as `CreatePipeline` takes it.
    pub(crate) document: Option<Value>,
    /// What its steps ask for and nobody granted on this machine, a sentence for each step.
    pub(crate) not_granted: Vec<String>,
}

/// What `apply` did, or would do.
#[derive(Debug, Serialize)]
pub(crate) struct ApplyReport {
    /// Whether nothing was changed.
    pub(crate) dry_run: bool,
    /// Each pipeline, by name.
    pub(crate) pipelines: Vec<AppliedPipeline>,
}

/// A pipeline that was applied, or would be.
#[derive(Debug, Serialize)]
pub(crate) struct AppliedPipeline {
    /// Its name.
    pub(crate) pipeline: String,
    /// Its file; absent for one that no file defines any more.
    pub(crate) file: Option<String>,
    /// `created`, `updated`, `unchanged` or `archived`.
    pub(crate) definition: &'static str,
    /// Whether it was made active.
    pub(crate) activated: bool,
    /// Its newest version after that; absent for one that would be created.
    pub(crate) version: Option<u32>,
}

/// What a run would do.
#[derive(Debug, Serialize)]
pub(crate) struct PlanReport {
    /// The pipeline's name.
    pub(crate) pipeline: String,
    /// The environment whose settings apply.
    pub(crate) environment: String,
    /// How long an execution may take, if that is limited.
    pub(crate) timeout: Option<SettingsEntry>,
    /// Its parameters.
    pub(crate) params: Vec<ParameterInfo>,
    /// The steps, in an order in which they can be decided.
    pub(crate) steps: Vec<StepPlan>,
    /// The DAG as a Mermaid flowchart.
    pub(crate) mermaid: String,
}

/// What a run would do in a step.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StepPlan {
    /// The step's id.
    pub(crate) id: String,
    /// Its kind.
    pub(crate) kind: String,
    /// How many steps must end one after another before it is decided; steps of one number run
    /// side by side.
    pub(crate) stage: u32,
    /// What it does, in a few words.
    pub(crate) summary: String,
    /// The steps that must have ended.
    pub(crate) needs: Vec<String>,
    /// The ends of its needs with which it runs.
    pub(crate) run_on: &'static str,
    /// Its condition.
    pub(crate) when: Option<String>,
    /// How many tries there are in all.
    pub(crate) attempts: u32,
    /// Whether its failure leaves the execution's outcome alone.
    pub(crate) allow_failure: bool,
    /// How long an attempt may take, if that is limited.
    pub(crate) timeout: Option<SettingsEntry>,
    /// Its settings and where each comes from, templates unrendered.
    pub(crate) settings: Vec<SettingsEntry>,
    /// Its environment variables and where each comes from; `null` passes the host's value.
    pub(crate) variables: Vec<SettingsEntry>,
    /// What its processes ask to reach.
    pub(crate) capabilities: Vec<SettingsEntry>,
    /// What its processes may use.
    pub(crate) limits: Vec<SettingsEntry>,
    /// What it gets of what it asks for.
    pub(crate) rights: Option<RightsPlan>,
    /// What only a sync has.
    pub(crate) sync: Option<SyncPlan>,
}

/// What a step gets of what it asks for.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct RightsPlan {
    /// What it may do.
    pub(crate) granted: Vec<String>,
    /// What nobody granted: a run is refused.
    pub(crate) missing: Vec<String>,
    /// The lines for the operator's grants that grant it.
    pub(crate) lines: Option<String>,
    /// The limits that the operator lowered.
    pub(crate) lowered: Vec<String>,
    /// Why it is only known when the step starts.
    pub(crate) unknown: Option<String>,
}

/// What a run would move in a sync.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SyncPlan {
    /// The select rules; empty: whatever the tap's catalog selects.
    pub(crate) select: Vec<String>,
    /// The selected streams, as the tap's catalog has them; absent if the tap was not asked.
    pub(crate) streams: Option<Vec<StreamReport>>,
    /// Why the tap was not asked, or what it failed with.
    pub(crate) undiscovered: Option<String>,
    /// The bookmark that it would start from; absent if the store cannot be read.
    pub(crate) bookmark: Option<BookmarkView>,
}

/// What a tap offers, with the step's rules applied.
#[derive(Debug, Serialize)]
pub(crate) struct CatalogReport {
    /// The pipeline's name.
    pub(crate) pipeline: String,
    /// The sync step.
    pub(crate) step: String,
    /// The streams of the catalog.
    pub(crate) streams: Vec<StreamReport>,
}

/// A stream of a catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StreamReport {
    /// Its name in the catalog.
    pub(crate) stream: String,
    /// Whether it is synced.
    pub(crate) selected: bool,
    /// `FULL_TABLE`, `INCREMENTAL` or `LOG_BASED`, if the catalog says so.
    pub(crate) replication_method: Option<String>,
    /// The field that says what is new.
    pub(crate) replication_key: Option<String>,
    /// The fields that identify a record.
    pub(crate) key: Vec<String>,
    /// Its fields; nested ones by their path, parts joined by dots.
    pub(crate) fields: Vec<FieldReport>,
}

/// A field of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldReport {
    /// Its path, parts joined by dots.
    pub(crate) field: String,
    /// Its JSON Schema type.
    #[serde(rename = "type")]
    pub(crate) field_type: String,
    /// Whether it is synced.
    pub(crate) selected: bool,
    /// `available`, `automatic` or `unsupported`, if the catalog says so.
    pub(crate) inclusion: Option<String>,
}

/// The logs of an execution.
#[derive(Debug, Serialize)]
pub(crate) struct LogReport {
    /// The execution.
    pub(crate) execution: String,
    /// Its status.
    pub(crate) status: String,
    /// What failed, the first error first.
    pub(crate) errors: Vec<StepErrorReport>,
    /// The lines of the attempts, in the order in which they began.
    pub(crate) lines: Vec<LogLineReport>,
}

/// A step that failed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StepErrorReport {
    /// The step.
    pub(crate) step: String,
    /// Its error.
    pub(crate) error: AttemptErrorView,
}

/// A line of an attempt's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LogLineReport {
    /// When it was read (RFC 3339).
    pub(crate) time: String,
    /// The step.
    pub(crate) step: String,
    /// The attempt.
    pub(crate) attempt: u32,
    /// `stdout`, `stderr`, `tap`, `target` or `runner`.
    pub(crate) source: String,
    /// Its text.
    pub(crate) line: String,
}

/// What changed in a bookmark.
#[derive(Debug, Serialize)]
pub(crate) struct DifferenceReport {
    /// The bookmark before its last change and after it.
    pub(crate) bookmark: BookmarkView,
    /// The changes, down to single values.
    pub(crate) changes: Vec<ChangeReport>,
}

/// One change of a bookmark.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ChangeReport {
    /// The stream; absent for a member that belongs to none.
    pub(crate) stream: Option<String>,
    /// The path inside of the stream's bookmark, parts joined by dots.
    pub(crate) path: String,
    /// `added`, `removed` or `replaced`.
    pub(crate) change: &'static str,
    /// The value before.
    pub(crate) from: Option<Value>,
    /// The value after.
    pub(crate) to: Option<Value>,
}

/// A bookmark that was written.
#[derive(Debug, Serialize)]
pub(crate) struct BookmarkWritten {
    /// What was done, in a sentence.
    #[serde(skip)]
    pub(crate) done: String,
    /// The log's position after it.
    #[serde(flatten)]
    pub(crate) written: Written,
}

/// A starter project that was written.
#[derive(Debug, Serialize)]
pub(crate) struct InitReport {
    /// Its folder.
    pub(crate) folder: String,
    /// The files, relative to the folder.
    pub(crate) files: Vec<&'static str>,
}

/// A plugin or a connector.
#[derive(Debug, Serialize)]
pub(crate) struct PluginReport {
    /// Its name.
    pub(crate) name: String,
    /// How it is run: a plugin's kind, or `connector`.
    pub(crate) kind: String,
    /// Its version, as its author counts.
    pub(crate) version: Option<String>,
    /// Where it stands, if it is registered.
    pub(crate) status: Option<String>,
    /// Whether it comes with FlexCore.
    pub(crate) built_in: bool,
    /// What it does.
    pub(crate) description: Option<String>,
}

/// Something that was done to a plugin.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    /// What, in a sentence.
    pub(crate) done: String,
    /// What was written down.
    #[serde(flatten)]
    pub(crate) written: Written,
}

/// What a call by hand wrote.
#[derive(Debug, Serialize)]
pub(crate) struct PluginLogReport {
    /// The call.
    pub(crate) call: PluginCallView,
    /// The lines.
    pub(crate) lines: Vec<PluginLogLine>,
}

/// One line of it.
#[derive(Debug, Serialize)]
pub(crate) struct PluginLogLine {
    /// When it was read (RFC 3339).
    pub(crate) time: String,
    /// Where it came from.
    pub(crate) source: String,
    /// Its text.
    pub(crate) line: String,
}
