//! Rows of several tenants beside each other.

use flexcore_domain::PipelineId;
use flexcore_eventsourcing::{StreamName, Timestamp};
use flexcore_ports::{
    DataStreamFilter, DataStreamRow, ExecutionFilter, ExecutionRow, Expiring, PipelineFilter,
    PipelineRow, PluginFilter, PluginKey, PluginRow, ViewRow, ViewStore,
};
use uuid::Uuid;

use super::{TENANT, apply, data_stream_row, execution_row, pipeline_row, plugin_row};

/// The same of another tenant.
struct Other;

impl Other {
    const NAME: &'static str = "acme & søns";

    fn pipeline(number: u128, name: &str) -> PipelineRow {
        PipelineRow { tenant: Self::NAME.into(), ..pipeline_row(number, name) }
    }

    fn execution(number: u128, pipeline: &str, time: i64) -> ExecutionRow {
        ExecutionRow { tenant: Self::NAME.into(), ..execution_row(number, pipeline, time) }
    }

    fn plugin(name: &str) -> PluginRow {
        let row = plugin_row(name);
        let key = PluginKey { tenant: Self::NAME.into(), ..row.key };
        PluginRow { key, attempts: 70, ..row }
    }

    fn data_stream(pipeline: &str, state: &str) -> DataStreamRow {
        let row = data_stream_row(pipeline, state, None);
        let id = row.pipeline_id.to_string();
        let key = ["default", id.as_str(), state];
        let stream = StreamName::new(Self::NAME, "data-stream", key).expect("a legal name");
        DataStreamRow { stream, ..row }
    }
}

/// Names repeat from one tenant to another; each finds and lists its own.
pub async fn tenants_with_the_same_names_see_their_own(views: &dyn ViewStore) {
    let mut keyed = execution_row(3, "flights", 5);
    keyed.run_key = Some("nightly".to_owned());
    let mut others_keyed = Other::execution(4, "flights", 5);
    others_keyed.run_key = Some("nightly".to_owned());
    let rows = vec![
        ViewRow::Pipeline(pipeline_row(1, "flights")),
        ViewRow::Pipeline(Other::pipeline(2, "flights")),
        ViewRow::Execution(keyed.clone()),
        ViewRow::Execution(others_keyed.clone()),
        ViewRow::Plugin(plugin_row("tap-csv")),
        ViewRow::Plugin(Other::plugin("tap-csv")),
        ViewRow::DataStream(data_stream_row("flights", "load", None)),
        ViewRow::DataStream(Other::data_stream("flights", "load")),
    ];
    apply(views, 1, rows).await;
    assert_eq!(views.tenants().await.expect("it can be read"), [Other::NAME, TENANT]);
    let seen = [
        (TENANT, pipeline_row(1, "flights"), keyed.clone(), plugin_row("tap-csv")),
        (Other::NAME, Other::pipeline(2, "flights"), others_keyed, Other::plugin("tap-csv")),
    ];
    for (tenant, pipeline, execution, plugin) in seen {
        let found = views.find_pipeline(tenant, &pipeline.name).await.expect("it can be read");
        assert_eq!(found.as_ref(), Some(&pipeline));
        let page = views.list_pipelines(&PipelineFilter::of(tenant), 9, None).await;
        assert_eq!(page.expect("it can be read").items.as_slice(), std::slice::from_ref(&pipeline));
        let prefix = execution.id.to_string()[..5].to_owned();
        let filters = [
            ExecutionFilter::of(tenant),
            ExecutionFilter { pipeline: Some(pipeline.name), ..ExecutionFilter::of(tenant) },
            ExecutionFilter { run_key: Some("nightly".into()), ..ExecutionFilter::of(tenant) },
            ExecutionFilter { statuses: vec!["running".into()], ..ExecutionFilter::of(tenant) },
            ExecutionFilter { id_prefix: Some(prefix), ..ExecutionFilter::of(tenant) },
        ];
        for filter in filters {
            let page = views.list_executions(&filter, 9, None).await.expect("it can be read");
            assert_eq!(page.items.as_slice(), std::slice::from_ref(&execution), "{filter:?}");
        }
        let page = views.list_plugins(&PluginFilter::of(tenant), 9, None).await;
        assert_eq!(page.expect("it can be read").items.as_slice(), std::slice::from_ref(&plugin));
        let found = views.find_plugin(&plugin.key).await.expect("it can be read");
        assert_eq!(found, Some(plugin));
        let page = views.list_data_streams(&DataStreamFilter::of(tenant), 9, None).await;
        let tenants = page.expect("it can be read").items;
        let tenants: Vec<_> = tenants.iter().map(|row| row.stream.tenant()).collect();
        assert_eq!(tenants, [tenant]);
    }
    let foreign = views.find_execution(Other::NAME, keyed.id).await;
    assert_eq!(foreign.expect("it can be read"), None);
    let foreign = views.find_pipeline_by_id(Other::NAME, PipelineId(Uuid::from_u128(1))).await;
    assert_eq!(foreign.expect("it can be read"), None);
    let page = views.list_executions(&ExecutionFilter::of("nobody"), 9, None).await;
    assert_eq!(page.expect("it can be read").items, []);
}

/// Whoever drives executions finds those of everybody, the oldest first.
pub async fn unfinished_executions_of_all_tenants_are_found(views: &dyn ViewStore) {
    let with = |mut row: ExecutionRow, status: &str| {
        status.clone_into(&mut row.status);
        ViewRow::Execution(row)
    };
    let rows = vec![
        with(execution_row(1, "flights", 9), "queued"),
        with(Other::execution(2, "flights", 3), "running"),
        with(execution_row(3, "weather", 5), "failed"),
        with(Other::execution(4, "weather", 7), "queued"),
    ];
    apply(views, 1, rows).await;
    let found = async |limit| {
        let rows = views.unfinished_executions(limit).await.expect("it can be read");
        rows.iter().map(|row| (row.id.0.as_u128(), row.tenant.to_string())).collect::<Vec<_>>()
    };
    let other = Other::NAME.to_owned();
    let all = [(2, other.clone()), (4, other.clone()), (1, TENANT.to_owned())];
    assert_eq!(found(9).await, all);
    assert_eq!(found(1).await, [(2, other)]);
}

/// A pipeline can keep its executions for another time than all others.
pub async fn old_executions_of_one_pipeline_are_removed(views: &dyn ViewStore) {
    const MONTH: i64 = 31 * 86_400_000_000;
    let id = PipelineId(Uuid::from_u128(7));
    let row = |mut row: ExecutionRow, pipeline_id: PipelineId| {
        row.pipeline_id = pipeline_id;
        "completed".clone_into(&mut row.status);
        ViewRow::Execution(row)
    };
    let former = PipelineId(Uuid::from_u128(8));
    let rows = vec![
        row(execution_row(1, "flights", MONTH), id),
        row(execution_row(2, "flights", 5 * MONTH), id),
        // A pipeline that had the name before, one of another tenant, and any other one.
        row(execution_row(3, "flights", MONTH), former),
        row(Other::execution(4, "flights", MONTH), PipelineId(Uuid::from_u128(9))),
        row(execution_row(5, "weather", MONTH), PipelineId(Uuid::from_u128(1))),
    ];
    apply(views, 1, rows).await;
    let of_flights =
        Expiring::OfPipeline { tenant: TENANT.into(), name: pipeline_row(1, "flights").name, id };
    let left = async || {
        let mut ids = Vec::new();
        for tenant in [TENANT, Other::NAME] {
            let page = views.list_executions(&ExecutionFilter::of(tenant), 9, None).await;
            ids.extend(page.expect("it can be read").items.iter().map(|row| row.id.0.as_u128()));
        }
        ids.sort_unstable();
        ids
    };
    let time = Timestamp::from_micros(3 * MONTH);
    let old = views.count_executions_before(time, &of_flights).await.expect("it can be read");
    let gone = views.remove_executions_before(time, &of_flights).await.expect("it can be done");
    assert_eq!((old, gone), (1, 1));
    assert_eq!(left().await, [2, 3, 4, 5]);
    let others = Expiring::AllBut(vec![id, former]);
    let time = Timestamp::from_micros(9 * MONTH);
    let old = views.count_executions_before(time, &others).await.expect("it can be read");
    let gone = views.remove_executions_before(time, &others).await.expect("it can be done");
    assert_eq!((old, gone), (2, 2));
    assert_eq!(left().await, [2, 3]);
}
