//! What several projections remember in the same way, each for itself: which steps the versions of
//! pipelines have, which version an execution runs, and which syncs it holds.

use std::collections::{BTreeMap, BTreeSet};

use flexcore_domain::{
    EnvironmentName, ExecutionId, ExecutionStatus, PipelineDefinition, PipelineId, PipelineStatus,
    StepId, StepKind, data_stream::DataStreamEvent, execution::ExecutionEvent,
    pipeline::PipelineEvent,
};
use flexcore_pipeline_file::{ResolvedStep, resolve};
use flexcore_ports::RowKey;
use serde_json::Value;

use super::{
    fact::{DomainEvent, Fact},
    notes::{
        ExecutionNote, Note, PipelineNote, StepNote, SyncNote, VersionNote, execution_key,
        pipeline_key, version_key,
    },
    rows::Rows,
};

/// The events that change what is remembered.
const CHANGING: [&str; 13] = [
    "PipelineCreated",
    "PipelineUpdated",
    "PipelineActivated",
    "PipelineDeactivated",
    "PipelineArchived",
    "PipelineExecutionCreated",
    "PipelineExecutionStarted",
    "PipelineExecutionCompleted",
    "PipelineExecutionFailed",
    "PipelineExecutionCancelled",
    "PipelineExecutionRetried",
    "SyncStarted",
    "SyncRecorded",
];

/// Whether an event changes what is remembered.
pub(super) fn reads(event_type: &str) -> bool {
    CHANGING.contains(&event_type)
}

/// The notes that an event is about.
pub(super) fn needs(fact: &Fact<'_>, rows: &Rows, keys: &mut BTreeSet<RowKey>) {
    let mut note = |key: String| keys.insert(RowKey::Note(key));
    match fact.event {
        DomainEvent::Pipeline(id, _) => {
            note(pipeline_key(*id));
        }
        DomainEvent::Execution(id, event) => {
            let key = execution_key(*id);
            if let Some(Note::Execution(execution)) = rows.note(&key) {
                note(execution.version.clone());
            }
            if let ExecutionEvent::Created(order) = event {
                note(version_key(order.pipeline_id, order.version));
            }
            note(key);
        }
        DomainEvent::DataStream(address, event) => {
            note(pipeline_key(address.pipeline));
            if let DataStreamEvent::SyncStarted { execution, .. }
            | DataStreamEvent::SyncRecorded { execution, .. } = event
            {
                note(execution_key(*execution));
            }
        }
        DomainEvent::Plugin(..) => {}
    }
}

/// Changes what is remembered. Whoever needs to know how it was before looks first.
pub(super) fn fold(rows: &mut Rows, fact: &Fact<'_>) -> Result<(), String> {
    match fact.event {
        DomainEvent::Pipeline(id, event) => fold_pipeline(rows, *id, event),
        DomainEvent::Execution(id, event) => fold_execution(rows, *id, event),
        DomainEvent::Plugin(..) => Ok(()),
        DomainEvent::DataStream(address, event) => {
            match event {
                DataStreamEvent::SyncStarted { execution, plugins } => {
                    let sync = SyncNote {
                        stream: fact.recorded.stream.to_string(),
                        tap: plugins.tap.clone(),
                        target: plugins.target.clone(),
                    };
                    if let Some(note) = held_by(rows, *execution) {
                        note.syncs.insert(address.state.clone(), sync);
                    }
                }
                DataStreamEvent::SyncRecorded { execution, .. } => {
                    if let Some(note) = held_by(rows, *execution) {
                        note.syncs.remove(&address.state);
                    }
                }
                _ => {}
            }
            Ok(())
        }
    }
}

fn fold_pipeline(rows: &mut Rows, id: PipelineId, event: &PipelineEvent) -> Result<(), String> {
    let key = pipeline_key(id);
    let (version, definition) = match event {
        PipelineEvent::Created { definition, .. } => (1, definition),
        PipelineEvent::Updated { version, definition } => (*version, definition),
        PipelineEvent::Activated => return set_status(rows, &key, PipelineStatus::Active),
        PipelineEvent::Deactivated => return set_status(rows, &key, PipelineStatus::Inactive),
        PipelineEvent::Archived => return set_status(rows, &key, PipelineStatus::Archived),
    };
    let outline = Outline::of(definition);
    let status = match (event, rows.note(&key)) {
        (PipelineEvent::Created { .. }, _) => PipelineStatus::Draft.as_str().to_owned(),
        (_, Some(Note::Pipeline(note))) => note.status.clone(),
        _ => return Err(UNKNOWN_PIPELINE.to_owned()),
    };
    let name = definition.name.to_string();
    let Outline { steps, taps, targets, called } = outline;
    let note = PipelineNote { name, status, taps, targets, called };
    rows.put_note(key, Some(Note::Pipeline(note)));
    let version_note = VersionNote { steps };
    rows.put_note(version_key(id, version), Some(Note::Version(version_note)));
    Ok(())
}

const UNKNOWN_PIPELINE: &str = "its pipeline was never created";
const UNKNOWN_EXECUTION: &str = "its execution was never created";

fn set_status(rows: &mut Rows, key: &str, status: PipelineStatus) -> Result<(), String> {
    match rows.note_mut(key) {
        Some(Note::Pipeline(note)) => {
            status.as_str().clone_into(&mut note.status);
            Ok(())
        }
        _ => Err(UNKNOWN_PIPELINE.to_owned()),
    }
}

fn fold_execution(rows: &mut Rows, id: ExecutionId, event: &ExecutionEvent) -> Result<(), String> {
    let key = execution_key(id);
    if let ExecutionEvent::Created(order) = event {
        let note = ExecutionNote {
            version: version_key(order.pipeline_id, order.version),
            pipeline: order.pipeline.to_string(),
            status: ExecutionStatus::Queued.as_str().to_owned(),
            syncs: BTreeMap::new(),
        };
        rows.put_note(key, Some(Note::Execution(note)));
        return Ok(());
    }
    let Some(status) = status_after(event) else { return Ok(()) };
    if status == ExecutionStatus::Completed {
        // Nothing follows but what is refused.
        rows.put_note(key, None);
        return Ok(());
    }
    let Some(Note::Execution(note)) = rows.note_mut(&key) else {
        return Err(UNKNOWN_EXECUTION.to_owned());
    };
    status.as_str().clone_into(&mut note.status);
    if status.has_ended() {
        note.syncs.clear();
    }
    Ok(())
}

/// The status that an execution has after an event; `None`: the one that it had.
pub(super) fn status_after(event: &ExecutionEvent) -> Option<ExecutionStatus> {
    match event {
        ExecutionEvent::Created(_) | ExecutionEvent::Retried { .. } => {
            Some(ExecutionStatus::Queued)
        }
        ExecutionEvent::Started { .. } => Some(ExecutionStatus::Running),
        ExecutionEvent::Completed => Some(ExecutionStatus::Completed),
        ExecutionEvent::Failed { .. } => Some(ExecutionStatus::Failed),
        ExecutionEvent::Cancelled => Some(ExecutionStatus::Cancelled),
        _ => None,
    }
}

fn held_by(rows: &mut Rows, id: ExecutionId) -> Option<&mut ExecutionNote> {
    match rows.note_mut(&execution_key(id)) {
        Some(Note::Execution(note)) => Some(note),
        _ => None,
    }
}

/// What is remembered of a pipeline.
pub(super) fn pipeline(rows: &Rows, id: PipelineId) -> Result<&PipelineNote, String> {
    match rows.note(&pipeline_key(id)) {
        Some(Note::Pipeline(note)) => Ok(note),
        _ => Err(UNKNOWN_PIPELINE.to_owned()),
    }
}

/// What is remembered of an execution that did not complete.
pub(super) fn execution(rows: &Rows, id: ExecutionId) -> Result<&ExecutionNote, String> {
    match rows.note(&execution_key(id)) {
        Some(Note::Execution(note)) => Ok(note),
        _ => Err(UNKNOWN_EXECUTION.to_owned()),
    }
}

/// A step as the version that the execution runs defines it.
pub(super) fn step<'a>(
    rows: &'a Rows,
    execution: &ExecutionNote,
    step: &StepId,
) -> Option<&'a StepNote> {
    match rows.note(&execution.version) {
        Some(Note::Version(version)) => version.steps.get(step.as_str()),
        _ => None,
    }
}

/// The sync that a step of an execution holds, if it does.
pub(super) fn sync<'a>(rows: &'a Rows, id: ExecutionId, name: &StepId) -> Option<&'a SyncNote> {
    let execution = execution(rows, id).ok()?;
    let state = step(rows, execution, name)?.state.as_deref();
    execution.syncs.get(state.unwrap_or(name.as_str()))
}

/// The taps and the targets that a definition names, and the plugins that its steps call.
pub(super) fn plugins_of(definition: &PipelineDefinition) -> [Vec<String>; 3] {
    let Outline { taps, targets, called, .. } = Outline::of(definition);
    [taps, targets, called]
}

/// The plugins that the steps of one version of a pipeline call.
pub(super) fn called_by_version<'a>(rows: &'a Rows, key: &str) -> impl Iterator<Item = &'a str> {
    let version = match rows.note(key) {
        Some(Note::Version(version)) => Some(version),
        _ => None,
    };
    version
        .into_iter()
        .flat_map(|version| version.steps.values())
        .filter_map(|step| step.plugin.as_deref())
}

/// The plugin that a step of an execution calls, if it is such a step.
pub(super) fn called<'a>(rows: &'a Rows, id: ExecutionId, name: &StepId) -> Option<&'a str> {
    step(rows, execution(rows, id).ok()?, name)?.plugin.as_deref()
}

/// What a definition says about its steps and plugins.
struct Outline {
    steps: BTreeMap<String, StepNote>,
    taps: Vec<String>,
    targets: Vec<String>,
    called: Vec<String>,
}

impl Outline {
    /// Read in the environment `default`: an environment that puts other plugins in their place
    /// shows when a sync uses them. A document that cannot be resolved names no plugins.
    fn of(definition: &PipelineDefinition) -> Self {
        let kinds = definition.steps.iter().map(|step| {
            let kind = step.kind.as_str().to_owned();
            let note = StepNote { kind, state: None, plugin: None };
            (step.id.to_string(), note)
        });
        let (taps, targets, called) = (vec![], vec![], vec![]);
        let mut outline = Self { steps: kinds.collect(), taps, targets, called };
        let resolved = resolve(&definition.document, &EnvironmentName::default());
        let (mut taps, mut targets) = (BTreeSet::new(), BTreeSet::new());
        let mut called = BTreeSet::new();
        for step in resolved.iter().flat_map(|resolved| &resolved.steps) {
            if let Some(plugin) = step.called_plugin() {
                if let Some(note) = outline.steps.get_mut(step.id.as_str()) {
                    note.plugin = Some(plugin.to_owned());
                }
                called.insert(plugin.to_owned());
            }
            if step.kind != StepKind::Sync {
                continue;
            }
            let state = step.bookmark_name();
            if let Some(note) = outline.steps.get_mut(step.id.as_str()) {
                note.state = (state != step.id.as_str()).then_some(state);
            }
            let [tap, target] = identities(step);
            taps.extend(tap);
            targets.extend(target);
        }
        outline.taps = taps.into_iter().collect();
        outline.targets = targets.into_iter().collect();
        outline.called = called.into_iter().collect();
        outline
    }
}

/// The names of a sync's plugins as bookmarks have them. A program whose path is a template keeps
/// the template: what it renders to is not known before it runs.
fn identities(step: &ResolvedStep) -> [Option<String>; 2] {
    let settings = step.settings.value();
    let text = |pointer: &str| settings.pointer(pointer).and_then(Value::as_str);
    let natives = step.native_connectors();
    let identity = |index: usize, end: &str| {
        if let Some(native) = natives[index] {
            return Some(native.to_owned());
        }
        let name = text(&format!("/{end}/plugin"))?;
        let command = text(&format!("/{end}/command/0")).or(text(&format!("/{end}/command")));
        Some(format!("{name} ({})", command.unwrap_or_default()))
    };
    [identity(0, "tap"), identity(1, "target")]
}
