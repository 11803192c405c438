//! The rows of the views.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use flexcore_domain::{EnvironmentName, ExecutionId, InvalidName, PipelineId, PipelineName};
use flexcore_eventsourcing::{StreamName, Timestamp};

/// A row of the pipeline status view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineRow {
    /// The pipeline.
    pub id: PipelineId,
    /// Whose it is.
    pub tenant: Arc<str>,
    /// Its name.
    pub name: PipelineName,
    /// `draft`, `active`, `inactive` or `archived`.
    pub status: String,
    /// The newest version of its definition.
    pub version: u32,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// How many steps it has.
    pub steps: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its definition or status changed last.
    pub updated_at: Timestamp,
}

/// A row of the execution history view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionRow {
    /// The execution.
    pub id: ExecutionId,
    /// Whose it is.
    pub tenant: Arc<str>,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The pipeline's name.
    pub pipeline: PipelineName,
    /// The version that it runs.
    pub version: u32,
    /// `queued`, `running`, `completed`, `failed` or `cancelled`.
    pub status: String,
    /// Its environment.
    pub environment: EnvironmentName,
    /// The idempotency key that it was started with.
    pub run_key: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its first owner began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it failed, the first error.
    pub error: Option<String>,
}

/// Which end of a sync a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PluginRole {
    /// Where records come from.
    Tap,
    /// Where records go to.
    Target,
    /// A plugin that is registered or comes with FlexCore, and is called.
    Plugin,
}

impl PluginRole {
    /// Its word in views and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tap => "tap",
            Self::Target => "target",
            Self::Plugin => "plugin",
        }
    }
}

impl fmt::Display for PluginRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for PluginRole {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        [Self::Tap, Self::Target, Self::Plugin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| InvalidName {
                text: text.to_owned(),
                expected: "`tap`, `target` or `plugin`",
            })
    }
}

/// Which plugin is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginKey {
    /// Whose it is: tenants register and use plugins each for itself.
    pub tenant: Arc<str>,
    /// Its name as bookmarks have it: a connector's, or `name (program)`.
    pub name: String,
    /// Which end of a sync it is.
    pub role: PluginRole,
}

/// A row of the plugin inventory view: a tap or target that pipelines name or syncs have used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginRow {
    /// The plugin.
    pub key: PluginKey,
    /// How many pipelines that are not archived name it, in the environment `default`.
    pub pipelines: u64,
    /// How many attempts of syncs ran it.
    pub attempts: u64,
    /// How many of them failed, whichever end was to blame.
    pub failures: u64,
    /// When an attempt began with it last.
    pub last_used_at: Option<Timestamp>,
    /// When an attempt with it failed last.
    pub last_failed_at: Option<Timestamp>,
    /// Why, in one line.
    pub last_error: Option<String>,
}

/// What is known of a bookmark, without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookmarkSummary {
    /// The Singer streams that it has a position for.
    pub streams: Vec<String>,
    /// How many positions there are in them.
    pub positions: u64,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// The execution that changed it; `None`: a person.
    pub execution: Option<ExecutionId>,
}

/// A Singer stream's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaSummary {
    /// The Singer stream.
    pub stream: String,
    /// How many versions of its schema were seen.
    pub versions: u64,
    /// When the newest of them was seen first.
    pub seen_at: Timestamp,
}

/// A sync that ran on a data stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncSummary {
    /// The execution.
    pub execution: ExecutionId,
    /// `running`, `completed`, `failed` or `cancelled`.
    pub outcome: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The records that it moved, known when it completed.
    pub records: u64,
    /// Their bytes, known when it completed.
    pub bytes: u64,
}

/// A row of the data stream view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataStreamRow {
    /// Its event stream, which begins with its tenant.
    pub stream: StreamName,
    /// Its environment.
    pub environment: EnvironmentName,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The pipeline's name.
    pub pipeline: PipelineName,
    /// Its state name: the step's id unless the sync names another.
    pub state: String,
    /// The key of a `for_each` item.
    pub item: Option<String>,
    /// The tap that ran last.
    pub tap: Option<String>,
    /// The target that ran last.
    pub target: Option<String>,
    /// The execution that holds it now.
    pub holder: Option<ExecutionId>,
    /// How far it got.
    pub bookmark: Option<BookmarkSummary>,
    /// How many syncs completed.
    pub syncs: u64,
    /// The records of all that completed.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The schemas that were seen, by Singer stream.
    pub schemas: Vec<SchemaSummary>,
    /// Its newest sync.
    pub last_sync: Option<SyncSummary>,
}

/// Which metric is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricKey {
    /// Its name.
    pub name: String,
    /// What is counted separately: `status` = `failed`, `day` = `2026-03-01`.
    pub labels: BTreeMap<String, String>,
}

/// A row of the system metrics view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricRow {
    /// The metric.
    pub key: MetricKey,
    /// Its value now.
    pub value: i64,
    /// When the event occurred that changed it last.
    pub updated_at: Timestamp,
}

/// Something that a projection remembers for itself between pages, because later events do not
/// repeat it. Nobody else reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteRow {
    /// What it is about.
    pub key: String,
    /// What is remembered; `None` forgets it.
    pub value: Option<String>,
}

/// A row to insert or replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewRow {
    /// In the pipeline status view.
    Pipeline(PipelineRow),
    /// In the execution history view.
    Execution(ExecutionRow),
    /// In the plugin inventory view.
    Plugin(PluginRow),
    /// In the data stream view.
    DataStream(DataStreamRow),
    /// In the system metrics view.
    Metric(MetricRow),
    /// Among the projection's own notes.
    Note(NoteRow),
}

/// What finds a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKey {
    /// In the pipeline status view.
    Pipeline(PipelineId),
    /// In the execution history view.
    Execution(ExecutionId),
    /// In the plugin inventory view.
    Plugin(PluginKey),
    /// In the data stream view.
    DataStream(StreamName),
    /// In the system metrics view.
    Metric(MetricKey),
    /// Among the projection's own notes.
    Note(String),
}

impl ViewRow {
    /// What finds it.
    pub fn key(&self) -> RowKey {
        match self {
            Self::Pipeline(row) => RowKey::Pipeline(row.id),
            Self::Execution(row) => RowKey::Execution(row.id),
            Self::Plugin(row) => RowKey::Plugin(row.key.clone()),
            Self::DataStream(row) => RowKey::DataStream(row.stream.clone()),
            Self::Metric(row) => RowKey::Metric(row.key.clone()),
            Self::Note(row) => RowKey::Note(row.key.clone()),
        }
    }
}
