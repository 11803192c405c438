//! Plugins, data streams and metrics; lists of executions in all their orders; retention.

use flexcore_domain::{EnvironmentName, ExecutionId, PipelineId};
use flexcore_eventsourcing::{StreamName, Timestamp};
use flexcore_ports::{
    BookmarkSummary, DataStreamFilter, DataStreamRow, ExecutionFilter, ExecutionRow, Expiring,
    KEPT_FROM_NOTE, MetricFilter, MetricKey, MetricRow, NoteRow, PluginFilter, PluginKey,
    PluginRole, PluginRow, RowKey, SchemaSummary, SyncSummary, ViewRow, ViewStore,
};
use uuid::Uuid;

use super::{TENANT, apply, execution_row, pipeline_name};

/// A row of the plugin inventory view.
pub fn plugin_row(name: &str) -> PluginRow {
    PluginRow {
        key: PluginKey { tenant: TENANT.into(), name: name.to_owned(), role: PluginRole::Tap },
        pipelines: 2,
        attempts: 7,
        failures: 1,
        last_used_at: Some(Timestamp::from_micros(70)),
        last_failed_at: None,
        last_error: Some("exit code 1: \"no\"".to_owned()),
    }
}

/// A row of the data stream view.
pub fn data_stream_row(pipeline: &str, state: &str, item: Option<&str>) -> DataStreamRow {
    let pipeline_id = PipelineId(Uuid::from_u128(1));
    let id = pipeline_id.to_string();
    let key = ["default", &id, state].into_iter().chain(item);
    let bookmark = BookmarkSummary {
        streams: vec!["orders".to_owned(), "it's \"quoted\"".to_owned()],
        positions: 3,
        updated_at: Timestamp::from_micros(40),
        execution: Some(ExecutionId(Uuid::from_u128(4))),
    };
    let sync = SyncSummary {
        execution: ExecutionId(Uuid::from_u128(5)),
        outcome: "completed".to_owned(),
        started_at: Timestamp::from_micros(30),
        ended_at: Some(Timestamp::from_micros(41)),
        records: 6,
        bytes: 600,
    };
    let schema = |stream: &str, versions| SchemaSummary {
        stream: stream.to_owned(),
        versions,
        seen_at: Timestamp::from_micros(8),
    };
    DataStreamRow {
        stream: StreamName::new(TENANT, "data-stream", key).expect("a legal name"),
        environment: EnvironmentName::default(),
        pipeline_id,
        pipeline: pipeline_name(pipeline),
        state: state.to_owned(),
        item: item.map(str::to_owned),
        tap: Some("tap-csv".to_owned()),
        target: Some("shop (python3)".to_owned()),
        holder: item.map(|_| ExecutionId(Uuid::from_u128(5))),
        bookmark: item.is_none().then_some(bookmark),
        syncs: 9,
        records: 1_000_000_000_000,
        bytes: 90_000_000_000_000,
        schemas: vec![schema("ordérs", 2), schema("it's \"quoted\"", 1)],
        last_sync: item.is_none().then_some(sync),
    }
}

/// A row of the system metrics view.
pub fn metric_row(name: &str, labels: &[(&str, &str)], value: i64) -> MetricRow {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let key = MetricKey { name: name.to_owned(), labels: labels.collect() };
    MetricRow { key, value, updated_at: Timestamp::from_micros(9) }
}

async fn executions(views: &dyn ViewStore, filter: &ExecutionFilter, limit: usize) -> Vec<u128> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = views.list_executions(filter, limit, after.as_deref()).await;
        let page = page.expect("it can be read");
        assert!(page.items.len() <= limit);
        ids.extend(page.items.iter().map(|row| row.id.0.as_u128()));
        after = page.next;
        if after.is_none() {
            return ids;
        }
    }
}

/// Forty executions: number n is created at n/3, status by n mod 4, pipeline by n mod 2.
fn many_executions() -> Vec<ExecutionRow> {
    (1..=40_u8)
        .map(|number| {
            let pipeline = if number % 2 == 0 { "even" } else { "odd" };
            let mut row = execution_row(number.into(), pipeline, i64::from(number / 3));
            row.status =
                ["running", "completed", "failed", "cancelled"][usize::from(number % 4)].to_owned();
            row.run_key = (number % 5 == 0).then(|| "nightly".to_owned());
            row
        })
        .collect()
}

/// Several statuses are one list, with every other filter and any size of page.
pub async fn a_list_of_several_statuses_is_in_order(views: &dyn ViewStore) {
    let rows = many_executions();
    apply(views, 1, rows.iter().cloned().map(ViewRow::Execution).collect()).await;
    let statuses = |some: &[&str]| some.iter().map(|status| (*status).to_owned()).collect();
    let filters = [
        (statuses(&["failed", "completed", "failed"]), None, None),
        (statuses(&["failed", "cancelled", "running", "queued"]), Some("even"), None),
        (statuses(&["failed"]), Some("even"), None),
        (statuses(&["completed"]), Some("even"), None),
        (statuses(&["failed", "running"]), Some("even"), Some("nightly")),
        (vec![], Some("odd"), Some("nightly")),
    ];
    for (statuses, pipeline, run_key) in filters {
        let filter = ExecutionFilter {
            tenant: TENANT.into(),
            statuses,
            pipeline: pipeline.map(pipeline_name),
            run_key: run_key.map(str::to_owned),
            id_prefix: None,
        };
        let mut expected: Vec<_> = rows.iter().filter(|row| matches(row, &filter)).collect();
        expected.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.id)));
        let expected: Vec<_> = expected.iter().map(|row| row.id.0.as_u128()).collect();
        for limit in [1, 3, 100] {
            assert_eq!(executions(views, &filter, limit).await, expected, "{filter:?}");
        }
    }
}

fn matches(row: &ExecutionRow, filter: &ExecutionFilter) -> bool {
    (filter.statuses.is_empty() || filter.statuses.contains(&row.status))
        && filter.pipeline.as_ref().is_none_or(|name| *name == row.pipeline)
        && (filter.run_key.is_none() || filter.run_key == row.run_key)
}

/// Ids come in their own order, with every other filter.
pub async fn an_id_prefix_gives_pages_too(views: &dyn ViewStore) {
    let rows = many_executions();
    apply(views, 1, rows.into_iter().map(ViewRow::Execution).collect()).await;
    let prefix = Some(format!("ex_{}", "0".repeat(31)));
    let filter = ExecutionFilter { id_prefix: prefix, ..ExecutionFilter::of(TENANT) };
    let expected: Vec<u128> = (1..=15).rev().collect();
    for limit in [1, 4, 100] {
        assert_eq!(executions(views, &filter, limit).await, expected);
    }
    let even = ExecutionFilter { pipeline: Some(pipeline_name("even")), ..filter.clone() };
    assert_eq!(executions(views, &even, 2).await, [14, 12, 10, 8, 6, 4, 2]);
    let failed = ExecutionFilter { statuses: vec!["failed".to_owned()], ..filter.clone() };
    assert_eq!(executions(views, &failed, 2).await, [14, 10, 6, 2]);
    let keyed = ExecutionFilter { run_key: Some("nightly".to_owned()), ..filter };
    assert_eq!(executions(views, &keyed, 2).await, [15, 10, 5]);
}

/// Newer rows do not shift what a cursor gives.
pub async fn pages_continue_where_they_ended_while_rows_come(views: &dyn ViewStore) {
    let row =
        |number: u8| ViewRow::Execution(execution_row(number.into(), "flights", i64::from(number)));
    apply(views, 1, (1..=6).map(row).collect()).await;
    let all = ExecutionFilter::of(TENANT);
    let page = views.list_executions(&all, 3, None).await.expect("it can be read");
    apply(views, 2, (7..=9).map(row).collect()).await;
    let next = views.list_executions(&all, 3, page.next.as_deref()).await;
    let next = next.expect("it can be read");
    let ids: Vec<_> = next.items.iter().map(|row| row.id.0.as_u128()).collect();
    assert_eq!((ids, next.next), (vec![3, 2, 1], None));
}

/// Retention takes what has ended and is old, and tells the projection of executions.
pub async fn executions_that_ended_long_ago_are_removed(views: &dyn ViewStore) {
    const MONTH: i64 = 31 * 86_400_000_000;
    let row = |number: u8, months: i64, status: &str| {
        let mut row = execution_row(number.into(), "flights", months * MONTH);
        row.status = status.to_owned();
        ViewRow::Execution(row)
    };
    let rows = [
        row(1, 1, "completed"),
        row(2, 2, "running"),
        row(3, 3, "failed"),
        row(4, 3, "cancelled"),
        row(5, 9, "completed"),
        row(6, 9, "queued"),
    ];
    apply(views, 1, rows.to_vec()).await;
    let kept_from = async || {
        let keys = vec![RowKey::Note(KEPT_FROM_NOTE.to_owned())];
        views.load("any", keys).await.expect("it can be read")
    };
    assert_eq!(kept_from().await, []);
    let time = Timestamp::from_micros(6 * MONTH);
    let all = Expiring::AllBut(vec![]);
    let old = async |time| views.count_executions_before(time, &all).await.expect("it can be read");
    assert_eq!(old(time).await, 3);
    assert_eq!(views.remove_executions_before(time, &all).await.expect("it can be done"), 3);
    assert_eq!(old(time).await, 0);
    assert_eq!(executions(views, &ExecutionFilter::of(TENANT), 100).await, [6, 5, 2]);
    let note =
        NoteRow { key: KEPT_FROM_NOTE.to_owned(), value: Some(time.as_micros().to_string()) };
    assert_eq!(kept_from().await, [ViewRow::Note(note.clone())]);
    let earlier = Timestamp::from_micros(MONTH);
    assert_eq!(views.remove_executions_before(earlier, &all).await.expect("it can be done"), 0);
    assert_eq!(kept_from().await, [ViewRow::Note(note)], "the time never goes back");
    apply(views, 2, vec![row(7, 2, "completed")]).await;
    assert_eq!(executions(views, &ExecutionFilter::of(TENANT), 100).await, [6, 5, 7, 2]);
}

/// Order, filter and pages of plugins; a row is replaced.
pub async fn plugins_are_listed_by_name(views: &dyn ViewStore) {
    let target = |name: &str| PluginRow {
        key: PluginKey { tenant: TENANT.into(), name: name.to_owned(), role: PluginRole::Target },
        ..plugin_row(name)
    };
    let mut rows = [plugin_row("b (x/y)"), plugin_row("a"), target("a"), target("c")];
    apply(views, 1, rows.iter().cloned().map(ViewRow::Plugin).collect()).await;
    let list = async |role: Option<PluginRole>| {
        let filter = PluginFilter { role, ..PluginFilter::of(TENANT) };
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let page = views.list_plugins(&filter, 1, after.as_deref()).await;
            let page = page.expect("it can be read");
            keys.extend(page.items.iter().map(|row| format!("{} {}", row.key.name, row.key.role)));
            after = page.next;
            if after.is_none() {
                return keys;
            }
        }
    };
    assert_eq!(list(None).await, ["a tap", "a target", "b (x/y) tap", "c target"]);
    assert_eq!(list(Some(PluginRole::Target)).await, ["a target", "c target"]);
    rows[1].attempts += 1;
    rows[1].last_failed_at = Some(Timestamp::from_micros(99));
    apply(views, 2, vec![ViewRow::Plugin(rows[1].clone())]).await;
    let found = views.find_plugin(&rows[1].key).await.expect("it can be read");
    assert_eq!(found.as_ref(), Some(&rows[1]));
    let absent = PluginKey { tenant: TENANT.into(), name: "d".to_owned(), role: PluginRole::Tap };
    assert_eq!(views.find_plugin(&absent).await.expect("it can be read"), None);
    assert!(views.list_plugins(&PluginFilter::of(TENANT), 1, Some("garbage")).await.is_err());
}

/// Order, filters and pages of data streams; a row is replaced.
pub async fn data_streams_are_listed_by_pipeline(views: &dyn ViewStore) {
    let mut staging = data_stream_row("flights", "staged", None);
    staging.environment = "staging".parse().expect("a legal name");
    let mut rows = [
        data_stream_row("weather", "a", None),
        data_stream_row("flights", "load", Some("x")),
        data_stream_row("flights", "load", None),
        staging,
    ];
    // The streams of two pipelines differ in the pipeline's id.
    rows[0].pipeline_id = PipelineId(Uuid::from_u128(2));
    apply(views, 1, rows.iter().cloned().map(ViewRow::DataStream).collect()).await;
    let list = async |filter: DataStreamFilter| {
        let (mut states, mut after) = (Vec::new(), None);
        loop {
            let page = views.list_data_streams(&filter, 1, after.as_deref()).await;
            let page = page.expect("it can be read");
            states.extend(page.items.iter().map(|row| match &row.item {
                Some(item) => format!("{}/{item}", row.state),
                None => row.state.clone(),
            }));
            after = page.next;
            if after.is_none() {
                return states;
            }
        }
    };
    let all = DataStreamFilter::of(TENANT);
    assert_eq!(list(all.clone()).await, ["load", "load/x", "staged", "a"]);
    let pipeline = Some(pipeline_name("flights"));
    let flights = DataStreamFilter { pipeline, ..all.clone() };
    assert_eq!(list(flights.clone()).await, ["load", "load/x", "staged"]);
    let environment = Some("staging".parse().expect("a legal name"));
    assert_eq!(list(DataStreamFilter { environment, ..flights }).await, ["staged"]);
    rows[1].bookmark = rows[2].bookmark.take();
    apply(views, 2, rows[1..3].iter().cloned().map(ViewRow::DataStream).collect()).await;
    for row in &rows {
        let found = views.find_data_stream(&row.stream).await.expect("it can be read");
        assert_eq!(found.as_ref(), Some(row));
    }
    assert!(views.list_data_streams(&all, 1, Some("garbage")).await.is_err());
}

/// Order, filter and pages of metrics; a value is replaced.
pub async fn metrics_are_listed_by_name(views: &dyn ViewStore) {
    let rows = [
        metric_row("executions", &[("status", "running")], 3),
        metric_row("executions", &[("status", "failed")], -1),
        metric_row("attempts", &[("kind", "it's \"a/b\""), ("outcome", "failed")], i64::MAX),
        metric_row("bytes_moved", &[], 0),
    ];
    apply(views, 1, rows.iter().cloned().map(ViewRow::Metric).collect()).await;
    let list = async |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = views
                .list_metrics(&MetricFilter { names: Clone::clone(&names) }, 1, after.as_deref())
                .await;
            let page = page.expect("it can be read");
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    };
    let expected = [&rows[2], &rows[3], &rows[1], &rows[0]].map(Clone::clone);
    assert_eq!(list(&[]).await, expected);
    assert_eq!(list(&["executions", "none"]).await, expected[2..]);
    let more = metric_row("bytes_moved", &[], 70);
    apply(views, 2, vec![ViewRow::Metric(more.clone())]).await;
    assert_eq!(list(&["bytes_moved"]).await, [more]);
    assert!(views.list_metrics(&MetricFilter::default(), 1, Some("garbage")).await.is_err());
}
