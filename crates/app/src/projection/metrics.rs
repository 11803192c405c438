//! The system metrics view.
//!
//! | metric | labels | what it is |
//! |---|---|---|
//! | `pipelines` | `status` | pipelines that have this status now |
//! | `executions` | `status` | executions that have this status now |
//! | `pipeline_executions` | `tenant`, `pipeline`, `status` | the same of one pipeline |
//! | `executions_ended_by_day` | `day`, `status` | executions that ended so on that day (UTC) |
//! | `attempts` | `kind`, `outcome` | attempts of steps that were `started`, `completed`, `failed` |
//! | `records_moved`, `bytes_moved` | | what completed attempts counted |
//! | `records_moved_by_day`, `bytes_moved_by_day` | `day` | the same of one day (UTC) |
//! | `events_folded` | | events of the log that this view has seen |

use std::collections::{BTreeMap, BTreeSet};

use flexcore_domain::{ExecutionId, StepCounts, StepId, execution::ExecutionEvent};
use flexcore_eventsourcing::{RecordedEvent, Timestamp};
use flexcore_ports::{MetricKey, RowKey};

use super::{
    Projection, View,
    fact::{DomainEvent, Fact},
    known,
    rows::Rows,
};
use crate::format_time;

/// Folds metrics.
pub(super) struct SystemMetrics;

impl Projection for SystemMetrics {
    fn name(&self) -> &'static str {
        View::Metrics.name()
    }

    fn reads(&self, event_type: &str) -> bool {
        let of_steps = matches!(event_type, "StepStarted" | "StepCompleted" | "StepFailed");
        of_steps || (known::reads(event_type) && !event_type.starts_with("Sync"))
    }

    fn needs(&self, fact: &Fact<'_>, rows: &Rows, keys: &mut BTreeSet<RowKey>) {
        known::needs(fact, rows, keys);
    }

    fn fold(&self, rows: &mut Rows, fact: &Fact<'_>) -> Result<(), String> {
        let at = fact.at();
        match fact.event {
            DomainEvent::Pipeline(id, _) => {
                let status =
                    |rows: &Rows| known::pipeline(rows, *id).ok().map(|n| n.status.clone());
                let former = status(rows);
                known::fold(rows, fact)?;
                move_on(rows, at, former, status(rows), |status| {
                    metric("pipelines", &[("status", status)])
                });
                Ok(())
            }
            DomainEvent::Execution(id, event) => match event {
                ExecutionEvent::StepStarted { step, .. } => attempt(rows, *id, step, "started", at),
                ExecutionEvent::StepFailed { step, .. } => attempt(rows, *id, step, "failed", at),
                ExecutionEvent::StepCompleted { step, counts, .. } => {
                    moved(rows, *counts, at);
                    attempt(rows, *id, step, "completed", at)
                }
                event => status(rows, fact, *id, event),
            },
            DomainEvent::DataStream(..) | DomainEvent::Plugin(..) => Ok(()),
        }
    }

    fn see(&self, rows: &mut Rows, events: &[RecordedEvent]) {
        let newest = events.iter().map(|event| event.event.occurred_at).max();
        if let Some(at) = newest {
            add(rows, "events_folded", &[], events.len() as u64, at);
        }
    }
}

/// An execution has another status.
fn status(
    rows: &mut Rows,
    fact: &Fact<'_>,
    id: ExecutionId,
    event: &ExecutionEvent,
) -> Result<(), String> {
    let Some(status) = known::status_after(event) else { return Ok(()) };
    let (former, pipeline) = if let ExecutionEvent::Created(order) = event {
        (None, order.pipeline.to_string())
    } else {
        let note = known::execution(rows, id)?;
        (Some(note.status.clone()), note.pipeline.clone())
    };
    let present = Some(status.as_str().to_owned());
    let (at, tenant) = (fact.at(), fact.tenant());
    move_on(rows, at, former.clone(), present.clone(), |status| {
        metric("executions", &[("status", status)])
    });
    move_on(rows, at, former, present, |status| {
        let labels = [("tenant", &*tenant), ("pipeline", &*pipeline), ("status", status)];
        metric("pipeline_executions", &labels)
    });
    if status.has_ended() {
        let labels = [("day", &*day(at)), ("status", status.as_str())];
        add(rows, "executions_ended_by_day", &labels, 1, at);
    }
    known::fold(rows, fact)
}

/// Something left one status for another.
fn move_on(
    rows: &mut Rows,
    at: Timestamp,
    former: Option<String>,
    present: Option<String>,
    key: impl Fn(&str) -> MetricKey,
) {
    if former == present {
        return;
    }
    if let Some(former) = former {
        rows.add(key(&former), -1, at);
    }
    if let Some(present) = present {
        rows.add(key(&present), 1, at);
    }
}

fn attempt(
    rows: &mut Rows,
    id: ExecutionId,
    step: &StepId,
    outcome: &str,
    at: Timestamp,
) -> Result<(), String> {
    let execution = known::execution(rows, id)?;
    let kind = known::step(rows, execution, step).map_or("unknown", |step| &step.kind).to_owned();
    add(rows, "attempts", &[("kind", &kind), ("outcome", outcome)], 1, at);
    Ok(())
}

fn moved(rows: &mut Rows, counts: StepCounts, at: Timestamp) {
    if counts.records + counts.bytes == 0 {
        return;
    }
    let day = day(at);
    add(rows, "records_moved", &[], counts.records, at);
    add(rows, "bytes_moved", &[], counts.bytes, at);
    add(rows, "records_moved_by_day", &[("day", &day)], counts.records, at);
    add(rows, "bytes_moved_by_day", &[("day", &day)], counts.bytes, at);
}

fn add(rows: &mut Rows, name: &str, labels: &[(&str, &str)], more: u64, at: Timestamp) {
    rows.add(metric(name, labels), i64::try_from(more).unwrap_or(i64::MAX), at);
}

/// The key of a metric.
pub(crate) fn metric(name: &str, labels: &[(&str, &str)]) -> MetricKey {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    MetricKey { name: name.to_owned(), labels: labels.collect::<BTreeMap<_, _>>() }
}

/// The day of a time, in UTC.
fn day(at: Timestamp) -> String {
    let time = format_time(at);
    time.split_once('T').map_or_else(|| time.clone(), |(day, _)| day.to_owned())
}
