//! The plugin inventory view: what pipelines name, what steps and syncs have used, and what is
//! registered, as far as the events of pipelines, executions, data streams and plugins tell. Taps and
//! targets have no events of their own, so that one which was never named or used is not in it, and
//! an error counts for both ends of its sync.

use std::{collections::BTreeSet, sync::Arc};

use flexcore_domain::{
    FailureReason, PipelineStatus, data_stream::DataStreamEvent, execution::ExecutionEvent,
    pipeline::PipelineEvent, plugin::PluginEvent,
};
use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{PluginKey, PluginRole, PluginRow, RowKey, ViewRow};

use super::{
    Projection, View,
    fact::{DomainEvent, Fact},
    known,
    notes::{PipelineNote, SyncNote, version_key},
    rows::Rows,
};

/// Folds plugins.
pub(super) struct PluginInventory;

impl Projection for PluginInventory {
    fn name(&self) -> &'static str {
        View::Plugins.name()
    }

    fn reads(&self, event_type: &str) -> bool {
        known::reads(event_type)
            || matches!(event_type, "StepStarted" | "StepFailed" | "PluginRegistered")
            || event_type.starts_with("PluginExecution")
    }

    fn needs(&self, fact: &Fact<'_>, rows: &Rows, keys: &mut BTreeSet<RowKey>) {
        known::needs(fact, rows, keys);
        let tenant = fact.tenant();
        match fact.event {
            DomainEvent::Pipeline(id, event) => {
                let named = match event {
                    PipelineEvent::Created { definition, .. }
                    | PipelineEvent::Updated { definition, .. } => known::plugins_of(definition),
                    _ => [vec![], vec![], vec![]],
                };
                let of = |note| keys_of_note(note, &tenant);
                let former = known::pipeline(rows, *id).ok().map(of);
                let all =
                    plugin_keys(&named, &tenant).into_iter().chain(former.into_iter().flatten());
                keys.extend(all.map(RowKey::Plugin));
            }
            DomainEvent::DataStream(_, DataStreamEvent::SyncStarted { plugins, .. }) => {
                keys.extend(ends(&plugins.tap, &plugins.target, &tenant).map(RowKey::Plugin));
            }
            DomainEvent::Execution(
                id,
                ExecutionEvent::StepStarted { step, .. } | ExecutionEvent::StepFailed { step, .. },
            ) => {
                if let Some(sync) = known::sync(rows, *id, step) {
                    keys.extend(ends(&sync.tap, &sync.target, &tenant).map(RowKey::Plugin));
                }
                keys.extend(
                    known::called(rows, *id, step).map(called_by(&tenant)).map(RowKey::Plugin),
                );
            }
            // Its steps may start in the same page, when nothing is known of it yet.
            DomainEvent::Execution(_, ExecutionEvent::Created(order)) => {
                let version = version_key(order.pipeline_id, order.version);
                let plugins = known::called_by_version(rows, &version);
                keys.extend(plugins.map(called_by(&tenant)).map(RowKey::Plugin));
            }
            DomainEvent::Plugin(name, _) => {
                keys.insert(RowKey::Plugin(called(name.as_str(), &tenant)));
            }
            _ => {}
        }
    }

    fn fold(&self, rows: &mut Rows, fact: &Fact<'_>) -> Result<(), String> {
        let tenant = fact.tenant();
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
                    used(rows, &sync, fact);
                }
                if let Some(key) = known::called(rows, *id, step).map(called_by(&tenant)) {
                    began(row(rows, &key), fact.at());
                }
            }
            DomainEvent::Execution(id, ExecutionEvent::StepFailed { step, error, .. }) => {
                let sync = known::sync(rows, *id, step).cloned();
                if let Some(sync) = sync.filter(|_| error.reason != FailureReason::NodeLost) {
                    let line = &error.message;
                    for key in ends(&sync.tap, &sync.target, &tenant) {
                        failed(row(rows, &key), line, fact.at());
                    }
                }
                let key = known::called(rows, *id, step).map(called_by(&tenant));
                if let Some(key) = key.filter(|_| error.reason != FailureReason::NodeLost) {
                    failed(row(rows, &key), &error.message, fact.at());
                }
            }
            DomainEvent::Plugin(name, event) => {
                let row = row(rows, &called(name.as_str(), &tenant));
                match event {
                    PluginEvent::ExecutionStarted { .. } => began(row, fact.at()),
                    PluginEvent::ExecutionFailed { error, .. } => {
                        failed(row, &error.message, fact.at());
                    }
                    _ => {}
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
                    used(rows, &sync, fact);
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
    note.map(|note| keys_of_note(note, &fact.tenant())).unwrap_or_default()
}

fn keys_of_note(note: &PipelineNote, tenant: &Arc<str>) -> BTreeSet<PluginKey> {
    plugin_keys(&[note.taps.clone(), note.targets.clone(), note.called.clone()], tenant)
}

/// The taps, the targets and the plugins that steps call.
fn plugin_keys(
    [taps, targets, called]: &[Vec<String>; 3],
    tenant: &Arc<str>,
) -> BTreeSet<PluginKey> {
    let key = |role: PluginRole| move |name: &String| plugin_key(name, role, tenant);
    let taps = taps.iter().map(key(PluginRole::Tap));
    let called = called.iter().map(key(PluginRole::Plugin));
    taps.chain(targets.iter().map(key(PluginRole::Target))).chain(called).collect()
}

fn plugin_key(name: &str, role: PluginRole, tenant: &Arc<str>) -> PluginKey {
    PluginKey { tenant: Arc::clone(tenant), name: name.to_owned(), role }
}

/// A plugin that is called.
fn called(name: &str, tenant: &Arc<str>) -> PluginKey {
    plugin_key(name, PluginRole::Plugin, tenant)
}

/// The key of a plugin that a tenant calls.
fn called_by(tenant: &Arc<str>) -> impl Fn(&str) -> PluginKey {
    move |name| called(name, tenant)
}

fn ends(tap: &str, target: &str, tenant: &Arc<str>) -> [PluginKey; 2] {
    [(tap, PluginRole::Tap), (target, PluginRole::Target)]
        .map(|(name, role)| plugin_key(name, role, tenant))
}

fn used(rows: &mut Rows, sync: &SyncNote, fact: &Fact<'_>) {
    for key in ends(&sync.tap, &sync.target, &fact.tenant()) {
        began(row(rows, &key), fact.at());
    }
}

fn began(row: &mut PluginRow, at: Timestamp) {
    row.attempts += 1;
    row.last_used_at = row.last_used_at.max(Some(at));
}

fn failed(row: &mut PluginRow, message: &str, at: Timestamp) {
    row.failures += 1;
    row.last_failed_at = row.last_failed_at.max(Some(at));
    row.last_error = Some(message.lines().next().unwrap_or_default().to_owned());
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
