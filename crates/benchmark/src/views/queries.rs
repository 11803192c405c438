//! Every query of a view that a caller can send.

use flexcore_ports::{
    DataStreamFilter, ExecutionFilter, MetricFilter, PipelineFilter, PluginFilter, RowKey,
    ViewStore,
};
use flexcore_testkit::view_store_contract::{TENANT, data_stream_row, pipeline_row, plugin_row};

use super::fill::{DATA_STREAMS, EXECUTIONS, PIPELINES, PLUGINS, execution, pipeline};

/// How many rows a page has.
const PAGE: usize = 100;

/// A query.
#[derive(Debug, Clone, Copy)]
pub(super) enum Query {
    /// The newest executions.
    Newest,
    /// A page in the middle.
    Deep,
    /// Of a pipeline with very many executions, or with few.
    OfPipeline,
    /// A page of them in the middle.
    DeepOfPipeline,
    /// With a status that few have.
    Failed,
    /// With one of several statuses, a page in the middle.
    SeveralStatuses,
    /// Of a pipeline, with statuses that few or none have.
    UnfinishedOfPipeline,
    /// With an idempotency key.
    RunKey,
    /// Of a pipeline with an idempotency key.
    RunKeyOfPipeline,
    /// With a prefix of all lengths.
    Prefix,
    /// One execution.
    Execution,
    /// One pipeline.
    Pipeline,
    /// A page of pipelines.
    Pipelines,
    /// Pipelines with a text in them.
    PipelinesByText,
    /// Pipelines with a tag.
    PipelinesByTag,
    /// One plugin.
    Plugin,
    /// A page of plugins.
    Plugins,
    /// One data stream.
    DataStream,
    /// A page of data streams in the middle.
    DataStreams,
    /// Those of a pipeline in an environment.
    DataStreamsOfPipeline,
    /// A page of metrics.
    Metrics,
    /// Rows that a projection needs.
    Load,
    /// How far the projections have come.
    Projections,
}

/// All lists and single rows.
pub(super) const QUERIES: [Query; 22] = [
    Query::Newest,
    Query::Deep,
    Query::OfPipeline,
    Query::DeepOfPipeline,
    Query::Failed,
    Query::SeveralStatuses,
    Query::UnfinishedOfPipeline,
    Query::RunKey,
    Query::RunKeyOfPipeline,
    Query::Prefix,
    Query::Execution,
    Query::Pipeline,
    Query::Pipelines,
    Query::PipelinesByText,
    Query::PipelinesByTag,
    Query::Plugin,
    Query::Plugins,
    Query::DataStream,
    Query::DataStreams,
    Query::DataStreamsOfPipeline,
    Query::Metrics,
    Query::Projections,
];

impl Query {
    /// Its name in the results.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Newest => "newest executions",
            Self::Deep => "executions in the middle",
            Self::OfPipeline => "executions of a pipeline",
            Self::DeepOfPipeline => "executions of a pipeline in the middle",
            Self::Failed => "failed executions",
            Self::SeveralStatuses => "executions of several statuses",
            Self::UnfinishedOfPipeline => "unfinished executions of a pipeline",
            Self::RunKey => "executions with a key",
            Self::RunKeyOfPipeline => "executions of a pipeline with a key",
            Self::Prefix => "executions with a prefix",
            Self::Execution => "one execution",
            Self::Pipeline => "one pipeline",
            Self::Pipelines => "pipelines",
            Self::PipelinesByText => "pipelines with a text",
            Self::PipelinesByTag => "pipelines with a tag",
            Self::Plugin => "one plugin",
            Self::Plugins => "plugins",
            Self::DataStream => "one data stream",
            Self::DataStreams => "data streams",
            Self::DataStreamsOfPipeline => "data streams of a pipeline",
            Self::Metrics => "metrics",
            Self::Load => "1,000 rows by key",
            Self::Projections => "projections",
        }
    }

    /// Asks it; `round` chooses the rows.
    pub(super) async fn ask(self, views: &dyn ViewStore, round: usize) -> anyhow::Result<()> {
        match self {
            Self::Plugin => {
                let number = round as u128 * 7 % PLUGINS;
                let key = plugin_row(&format!("tap-{number:03}")).key;
                found(views.find_plugin(&key).await?.is_some())
            }
            Self::Plugins => found(
                !views.list_plugins(&PluginFilter::of(TENANT), PAGE, None).await?.items.is_empty(),
            ),
            Self::DataStream | Self::DataStreams | Self::DataStreamsOfPipeline => {
                self.data_streams(views, round as u128 * 499).await
            }
            Self::Metrics => {
                let page = views.list_metrics(&MetricFilter::default(), PAGE, None).await?;
                found(page.items.len() == PAGE)
            }
            Self::Load => {
                let first = round as u128 * 20_000;
                let keys = (first..first + 1_000).map(|n| RowKey::Execution(execution(n).id));
                found(views.load("status", keys.collect()).await?.len() == 1_000)
            }
            Self::Projections => found(!views.projections().await?.is_empty()),
            Self::Pipeline | Self::Pipelines | Self::PipelinesByText | Self::PipelinesByTag => {
                self.pipelines(views, round as u128 * 47 % PIPELINES).await
            }
            _ => self.executions(views, round as u128 * 23_456 % EXECUTIONS).await,
        }
    }

    async fn executions(self, views: &dyn ViewStore, number: u128) -> anyhow::Result<()> {
        let row = execution(number);
        if let Self::Execution = self {
            return found(views.find_execution(TENANT, row.id).await?.is_some());
        }
        let cursor = format!("{}/{}", row.created_at.as_micros(), row.id.0.simple());
        let statuses = |some: &[&str]| some.iter().map(|status| (*status).to_owned()).collect();
        let all = ExecutionFilter::of(TENANT);
        let of_pipeline =
            || ExecutionFilter { pipeline: Some(row.pipeline.clone()), ..all.clone() };
        let keyed = execution(number / 10 * 10);
        let (filter, after) = match self {
            Self::Deep => (all, Some(cursor)),
            Self::OfPipeline => (of_pipeline(), None),
            Self::DeepOfPipeline => (of_pipeline(), Some(cursor)),
            Self::Failed => (ExecutionFilter { statuses: statuses(&["failed"]), ..all }, None),
            Self::SeveralStatuses => {
                let statuses = statuses(&["completed", "failed", "cancelled"]);
                (ExecutionFilter { statuses, ..all }, Some(cursor))
            }
            Self::UnfinishedOfPipeline => {
                let statuses = statuses(&["queued", "running"]);
                (ExecutionFilter { statuses, ..of_pipeline() }, None)
            }
            Self::RunKey => (ExecutionFilter { run_key: keyed.run_key, ..all }, None),
            Self::RunKeyOfPipeline => {
                let pipeline = Some(keyed.pipeline);
                (ExecutionFilter { run_key: keyed.run_key, pipeline, ..all }, None)
            }
            Self::Prefix => {
                let mut prefix = row.id.to_string();
                prefix.truncate(3 + usize::try_from(number % 33)?);
                (ExecutionFilter { id_prefix: Some(prefix), ..all }, None)
            }
            _ => (all, None),
        };
        let page = views.list_executions(&filter, PAGE, after.as_deref()).await?;
        let may_be_empty = matches!(self, Self::UnfinishedOfPipeline) || number == 0;
        found(may_be_empty || !page.items.is_empty())
    }

    async fn pipelines(self, views: &dyn ViewStore, number: u128) -> anyhow::Result<()> {
        let name = pipeline(number);
        let all = PipelineFilter::of(TENANT);
        let filter = match self {
            Self::Pipeline => {
                let name = pipeline_row(number, &name).name;
                return found(views.find_pipeline(TENANT, &name).await?.is_some());
            }
            Self::PipelinesByText => PipelineFilter { text: Some(name), ..all },
            Self::PipelinesByTag => PipelineFilter { tag: Some("daily".to_owned()), ..all },
            _ => all,
        };
        found(!views.list_pipelines(&filter, PAGE, None).await?.items.is_empty())
    }

    async fn data_streams(self, views: &dyn ViewStore, number: u128) -> anyhow::Result<()> {
        let number = number % DATA_STREAMS;
        let name = pipeline(number % PIPELINES);
        let row = data_stream_row(&name, &format!("state-{number:05}"), None);
        let all = DataStreamFilter::of(TENANT);
        let (filter, after) = match self {
            Self::DataStream => {
                return found(views.find_data_stream(&row.stream).await?.is_some());
            }
            Self::DataStreamsOfPipeline => {
                let environment = Some(row.environment);
                (DataStreamFilter { pipeline: Some(row.pipeline), environment, ..all }, None)
            }
            _ => (all, Some(format!("{}/{}", row.pipeline, row.stream))),
        };
        let page = views.list_data_streams(&filter, PAGE, after.as_deref()).await?;
        found(after.is_some() || !page.items.is_empty())
    }
}

/// An answer without rows would be fast and worth nothing.
fn found(found: bool) -> anyhow::Result<()> {
    anyhow::ensure!(found, "it did not find what is there");
    Ok(())
}
