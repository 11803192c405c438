//! What is in the views.

use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{ExecutionRow, ViewRow, ViewStore};
use flexcore_testkit::view_store_contract::{
    checkpoint, data_stream_row, execution_row, fold_at, metric_row, pipeline_row, plugin_row,
};
use uuid::Uuid;

/// How many executions there are.
pub(super) const EXECUTIONS: u128 = 1_000_000;
/// How many pipelines.
pub(super) const PIPELINES: u128 = 2_000;
/// How many data streams.
pub(super) const DATA_STREAMS: u128 = 20_000;
/// How many plugins.
pub(super) const PLUGINS: u128 = 200;
/// How many days of metrics.
pub(super) const DAYS: u128 = 365;

/// How many rows one transaction writes.
const AT_ONCE: u128 = 10_000;

/// The first execution, in microseconds; the others follow over a year.
const BEGIN: u128 = 1_700_000_000_000_000;
const YEAR: u128 = 365 * 86_400_000_000;

/// The name of a pipeline.
pub(super) fn pipeline(number: u128) -> String {
    format!("pipeline-{number:04}")
}

/// An execution. One pipeline has half of them; one in a thousand failed, and a few run.
pub(super) fn execution(number: u128) -> ExecutionRow {
    let time = BEGIN + YEAR * number / EXECUTIONS;
    let of = if number.is_multiple_of(2) { 0 } else { number % PIPELINES };
    let mut row = execution_row(0, &pipeline(of), i64::try_from(time).unwrap_or(i64::MAX));
    // As ids of version 7: milliseconds first.
    row.id.0 = Uuid::from_u128((time / 1_000) << 80 | (7 << 76) | (2 << 62) | number);
    let status = match number % 1_000 {
        1 => "failed",
        2 => "cancelled",
        _ if number + 100 > EXECUTIONS => "running",
        _ => "completed",
    };
    status.clone_into(&mut row.status);
    row.run_key = number.is_multiple_of(10).then(|| format!("key-{number}"));
    row.ended_at = Some(Timestamp::from_micros(row.created_at.as_micros() + 60_000_000));
    row
}

/// Fills all five views.
pub(super) async fn fill(views: &dyn ViewStore) -> anyhow::Result<()> {
    let mut position = 0;
    let mut begin = 0;
    while begin < EXECUTIONS {
        let rows = (begin..begin + AT_ONCE).map(|number| ViewRow::Execution(execution(number)));
        begin += AT_ONCE;
        position += 1;
        fold_at(views, checkpoint(position), rows.collect()).await?;
    }
    let pipelines =
        (0..PIPELINES).map(|number| ViewRow::Pipeline(pipeline_row(number, &pipeline(number))));
    let plugins =
        (0..PLUGINS).map(|number| ViewRow::Plugin(plugin_row(&format!("tap-{number:03}"))));
    let streams = (0..DATA_STREAMS).map(|number| {
        let state = format!("state-{number:05}");
        ViewRow::DataStream(data_stream_row(&pipeline(number % PIPELINES), &state, None))
    });
    let metrics = (0..DAYS).flat_map(|day| {
        let day = format!("day-{day:03}");
        ["completed", "failed", "cancelled"].map(|status| {
            let labels = [("day", day.as_str()), ("status", status)];
            ViewRow::Metric(metric_row("executions_ended_by_day", &labels, 7))
        })
    });
    let rest: Vec<_> = pipelines.chain(plugins).chain(streams).chain(metrics).collect();
    for rows in rest.chunks(usize::try_from(AT_ONCE)?) {
        position += 1;
        fold_at(views, checkpoint(position), rows.to_vec()).await?;
    }
    Ok(())
}
