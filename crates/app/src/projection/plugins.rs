//! The plugin inventory view: what pipelines name and what syncs have used, as far as the events of
//! pipelines, executions and data streams tell. Plugins have no events of their own, so that one
//! which was never named or used is not in it, and an error counts for both ends of its sync.

use std::collections::BTreeSet;

use flexcore_domain::{
    FailureReason, PipelineStatus, data_stream::DataStreamEvent, execution::ExecutionEvent,
    pipeline::PipelineEvent,
};
use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{PluginKey, PluginRole, PluginRow, RowKey, ViewRow};

use super::{
    Projection, View,
    fact::{DomainEvent, Fact},
    known,
    notes::SyncNote,
    rows::Rows,
};

/// Folds plugins.
pub(super) struct PluginInventory;

impl Projection for PluginInventory {
    fn name(&self) -> &'static str {
        View::Plugins.name()
    }

    fn reads(&self, event_type: &str) -> bool {
        known::reads(event_type) || matches!(event_type, "StepStarted" | "StepFailed")
    }

    fn needs(&self, fact: &Fact<'_>, rows: &Rows, keys: &mut BTreeSet<RowKey>) {
        known::needs(fact, rows, keys);
        match fact.event {
            DomainEvent::Pipeline(id, event) => {
                let (taps, targets) = match event {
                    PipelineEvent::Created { definition, .. }
                    | PipelineEvent::Updated { definition, .. } => known::plugins_of(definition),
                    _ => (vec![], vec![]),
                };
                let former = known::pipeline(rows, *id).ok();
                let former = former.map(|note| plugin_keys(&note.taps, &note.targets));
                let all =
                    plugin_keys(&taps, &targets).into_iter().chain(former.into_iter().flatten());
                keys.extend(all.map(RowKey::Plugin));
            }
            DomainEvent::DataStream(_, DataStreamEvent::SyncStarted { plugins, .. }) => {
                keys.extend(ends(&plugins.tap, &plugins.target).map(RowKey::Plugin));
            }
            DomainEvent::Execution(
                id,
                ExecutionEvent::StepStarted { step, .. } | ExecutionEvent::StepFailed { step, .. },
            ) => {
                if let Some(sync) = known::sync(rows, *id, step) {
                    keys.extend(ends(&sync.tap, &sync.target).map(RowKey::Plugin));
                }
            }
            _ => {}
        }
    }

    fn fold(&self, rows: &mut Rows, fact: &Fact<'_>) -> Result<(), String> {
        match fact.event {
            DomainEvent::Pipeline(..) => {
                let former = named_by(rows, fact);
                known::fold(rows, fact)?;
                let present = named_by(rows, fact);
                for key in former.difference(&present) {
                    let row = row(rows, key);
                    row.pipelines = row.pipelines.saturating_sub(1);
                }
                for key in present.difference(&former) {
                    row(rows, key).pipelines += 1;
                }
                return Ok(());
            }
            // Until a sync has begun nobody knows which plugins it will run; a later attempt of the
            // same execution does not begin the sync again.
            DomainEvent::Execution(id, ExecutionEvent::StepStarted { step, .. }) => {
                if let Some(sync) = known::sync(rows, *id, step).cloned() {
                    used(rows, &sync, fact.at());
                }
            }
            DomainEvent::Execution(id, ExecutionEvent::StepFailed { step, error, .. }) => {
                let sync = known::sync(rows, *id, step).cloned();
                if let Some(sync) = sync.filter(|_| error.reason != FailureReason::NodeLost) {
                    let line = error.message.lines().next().unwrap_or_default();
                    for key in ends(&sync.tap, &sync.target) {
                        let row = row(rows, &key);
                        row.failures += 1;
                        row.last_failed_at = row.last_failed_at.max(Some(fact.at()));
                        row.last_error = Some(line.to_owned());
                    }
                }
            }
            DomainEvent::DataStream(
                address,
                DataStreamEvent::SyncStarted { execution, plugins },
            ) => {
                let sync = SyncNote {
                    stream: fact.recorded.stream.to_string(),
                    tap: plugins.tap.clone(),
                    target: plugins.target.clone(),
                };
                let held = known::execution(rows, *execution).ok();
                let held = held.and_then(|note| note.syncs.get(&address.state));
                if held != Some(&sync) {
                    used(rows, &sync, fact.at());
                }
            }
            _ => {}
        }
        known::fold(rows, fact)
    }
}

/// The plugins that a pipeline names now; none once it is archived.
fn named_by(rows: &Rows, fact: &Fact<'_>) -> BTreeSet<PluginKey> {
    let DomainEvent::Pipeline(id, _) = fact.event else { return BTreeSet::new() };
    let note = known::pipeline(rows, *id).ok();
    let note = note.filter(|note| note.status != PipelineStatus::Archived.as_str());
    note.map(|note| plugin_keys(&note.taps, &note.targets)).unwrap_or_default()
}

fn plugin_keys(taps: &[String], targets: &[String]) -> BTreeSet<PluginKey> {
    let key = |role: PluginRole| move |name: &String| PluginKey { name: name.clone(), role };
    let taps = taps.iter().map(key(PluginRole::Tap));
    taps.chain(targets.iter().map(key(PluginRole::Target))).collect()
}

fn ends(tap: &str, target: &str) -> [PluginKey; 2] {
    [(tap, PluginRole::Tap), (target, PluginRole::Target)]
        .map(|(name, role)| PluginKey { name: name.to_owned(), role })
}

fn used(rows: &mut Rows, sync: &SyncNote, at: Timestamp) {
    for key in ends(&sync.tap, &sync.target) {
        let row = row(rows, &key);
        row.attempts += 1;
        row.last_used_at = row.last_used_at.max(Some(at));
    }
}

/// A plugin's row, made if there is none.
fn row<'a>(rows: &'a mut Rows, key: &PluginKey) -> &'a mut PluginRow {
    if rows.plugin(key.clone()).is_none() {
        rows.put(ViewRow::Plugin(PluginRow {
            key: key.clone(),
            pipelines: 0,
            attempts: 0,
            failures: 0,
            last_used_at: None,
            last_failed_at: None,
            last_error: None,
        }));
    }
    rows.plugin(key.clone()).expect("it was put there a line above, if it was missing")
}
