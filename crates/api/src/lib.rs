//! One type per command, query and reply: what the buses take and every face shares.
//!
//! A use case has one request type here, with its stable name, its permission, its JSON form and
//! its command-line form; the buses, the command line, the control socket and later faces are fed
//! by the two lists [`for_each_command!`] and [`for_each_query!`]. `--output json` prints only
//! types of this crate.
//!
//! # What this crate must not know
//!
//! How anything is done: no store, no runner, no domain type. Ids and times are texts here, in the
//! form in which people and other programs see them.
//!
//! # How to add a use case
//!
//! Write its request and reply in the file of its subject, implement [`Command`] or [`Query`] with
//! the [`Route`] at which REST has it, name it in the list below, and add the handler in `app` under the same relative path.

mod access;
mod aggregate;
mod bookmark;
mod data_stream;
mod event;
mod execution;
mod health;
mod log_level;
mod pipeline;
mod plugin;
mod request;
mod route;
mod sandbox;
mod setting;
mod store;
mod view;
mod views_rebuild;

pub use access::{
    ApiKeyCreated, ApiKeyPage, ApiKeyView, AuditPage, AuditRecordView, CallerView, CreateApiKey,
    DefineRole, ListApiKeys, ListAudit, ListRoles, OWN_SUBJECT, RemoveRole, RevokeApiKey, RoleList,
    RoleView, WhoAmI, is_of_the_system, permissions,
};
pub use aggregate::{AggregateView, GetAggregate};
pub use bookmark::{
    BookmarkAddress, BookmarkList, BookmarkView, GetBookmark, KeepBookmark, ListBookmarks,
    ResetBookmark, SetBookmark,
};
pub use data_stream::{
    BookmarkOutline, DataStreamPage, DataStreamView, GetDataStream, ListDataStreams, SchemaOutline,
    SyncOutline,
};
pub use event::{
    CheckpointComparison, CheckpointKeyPair, EventPage, EventView, GetLogStatistics, LogCopied,
    LogFault, LogStatistics, ReadEvents, RefusedCheckpoint, SignedCheckpoint, TypeCount, VerifyLog,
    VerifyReply,
};
pub use execution::{
    AttemptErrorView, CancelExecution, ExecutePipeline, ExecutionAccepted, ExecutionLogLine,
    ExecutionLogPage, ExecutionPage, ExecutionRefresh, ExecutionSummary, ExecutionView,
    GetExecution, GetExecutionLogs, GetExecutionTimeline, ListExecutions, LogElsewhere,
    RetryExecution, StepView, TimelineEntry, TimelinePage,
};
pub use health::{ServerHealth, ServerHealthCheck};
pub use log_level::{LogLevelSet, SetLogLevel};
pub use pipeline::{
    ActivatePipeline, ArchivePipeline, CreatePipeline, DeactivatePipeline, GetPipeline,
    GetPipelineStatus, ListPipelineExecutions, ListPipelineSteps, ListPipelineVersions,
    ListPipelines, PipelinePage, PipelineSaved, PipelineStatusChanged, PipelineStatusView,
    PipelineStepList, PipelineSummary, PipelineVersionPage, PipelineVersionView, PipelineView,
    StepOutline, UpdatePipeline,
};
pub use plugin::{
    ConfigProblemView, DisablePlugin, EnablePlugin, ExecutePlugin, GetPlugin, GetPluginSchema,
    InitializePlugin, ListActivePlugins, ListPluginCalls, PluginCallCounts, PluginCallList,
    PluginCallView, PluginConfigValidated, PluginExecuted, PluginInitialized, PluginPage,
    PluginRegistered, PluginSchemaView, PluginSourceView, PluginView, RegisterPlugin,
    RegisteredView, UnregisterPlugin, ValidatePluginConfig,
};
pub use request::{Command, CommandEnvelope, ErrorBody, Query, QueryEnvelope, Written};
pub use route::{Method, Route};
pub use sandbox::{
    CapabilityUseView, ControlView, DoctorCheck, DoctorReport, DoctorState, IsolationView,
    ProbedControl, SandboxReportView, StepSandboxView,
};
pub use setting::{SettingList, SettingView};
pub use store::{LogsPruned, PipelinePruned, PruneStore, StorePruned};
pub use view::{
    GetSystemMetrics, GetViews, MetricView, SystemMetrics, ViewList, ViewStatus, ViewStopped,
};
pub use views_rebuild::{RebuildViews, RebuiltView, ViewsRebuilt};

/// Calls a macro with every command type, so that no list of them stands anywhere else.
#[macro_export]
macro_rules! for_each_command {
    ($callback:ident) => {
        $callback! {
            CreatePipeline, UpdatePipeline,
            ActivatePipeline, DeactivatePipeline, ArchivePipeline,
            ExecutePipeline, CancelExecution, RetryExecution,
            ResetBookmark, SetBookmark, KeepBookmark,
            RebuildViews, PruneStore, SetLogLevel,
            RegisterPlugin, InitializePlugin, ExecutePlugin,
            DisablePlugin, EnablePlugin, UnregisterPlugin,
            CreateApiKey, RevokeApiKey, DefineRole, RemoveRole,
        }
    };
}

/// Calls a macro with every query type, so that no list of them stands anywhere else.
#[macro_export]
macro_rules! for_each_query {
    ($callback:ident) => {
        $callback! {
            GetPipeline, ListPipelines, GetPipelineStatus,
            ListPipelineVersions, ListPipelineSteps, ListPipelineExecutions,
            GetExecution, ListExecutions, GetExecutionTimeline, GetExecutionLogs,
            GetBookmark, ListBookmarks,
            ReadEvents, GetLogStatistics, VerifyLog, GetAggregate,
            ListActivePlugins, GetPlugin, ListPluginCalls, GetPluginSchema, ValidatePluginConfig,
            ListDataStreams, GetDataStream,
            GetSystemMetrics, GetViews,
            ListApiKeys, ListRoles, ListAudit, WhoAmI,
        }
    };
}
