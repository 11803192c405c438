//! Attempts of `plugin` steps, and what a plugin keeps between them.
//!
//! What a plugin hands over at the end of a completed call is the bookmark of its step: it is
//! written before the step's end, so that after a crash in between the step runs again with the
//! newer one, as a sync does.

use std::sync::atomic::Ordering;

use flexcore_domain::{DataStream, JsonText, StepCounts, data_stream::DataStreamCommand};
use flexcore_eventsourcing::{Aggregate, Append, StreamName};
use flexcore_pipeline_file::PluginCallSettings;
use flexcore_plugin_protocol::Effective;
use flexcore_ports::{
    AppendError, PluginError, PluginOutput,
    attempt::{AttemptContext, AttemptEnd, AttemptError, AttemptOutcome},
};
use serde_json::{Map, Value, json};

use super::attempt::{AttemptTask, refused};
use crate::{
    UseCaseError,
    plugin::{Asker, Wish, accepts_config, error},
    repository::Loaded,
    streams,
};

/// The largest state that a plugin may keep, in bytes of JSON: it is part of an event.
const MAX_STATE: usize = 512 * 1024;

/// The key under which the bookmark holds it, so that every bookmark is a JSON object.
const STATE_KEY: &str = "plugin";

/// How often what it keeps is written anew because its stream changed meanwhile.
const ATTEMPTS_ON_CONFLICT: usize = 16;

/// An attempt that ended, what it was allowed, and what it counted.
pub(super) struct PluginAttempt {
    pub(super) end: AttemptEnd,
    /// Its rights, if it came so far.
    pub(super) rights: Option<Effective>,
    pub(super) counts: StepCounts,
}

/// Calls the plugin of a step.
pub(super) async fn run(
    task: &AttemptTask,
    context: AttemptContext,
    settings: PluginCallSettings,
) -> PluginAttempt {
    let mut rights = None;
    match call(task, context, settings, &mut rights).await {
        Ok((end, counts)) => PluginAttempt { end, rights, counts },
        Err(error) => {
            let failed = AttemptOutcome::Failed(not_called(error));
            let (end, counts) = (AttemptEnd::nothing_ran(failed), StepCounts::default());
            PluginAttempt { end, rights, counts }
        }
    }
}

async fn call(
    task: &AttemptTask,
    attempt: AttemptContext,
    settings: PluginCallSettings,
    rights: &mut Option<Effective>,
) -> Result<(AttemptEnd, StepCounts), UseCaseError> {
    let (services, context) = (task.services(), &task.context);
    let found = services.find_callable(context, &settings.name).await?;
    let step = (attempt.pipeline.as_str(), attempt.step.as_str());
    let request = Some((&task.request.capabilities, &task.request.limits));
    let asker = Asker { step: Some(step), request };
    *rights = Some(services.rights_of(&found, asker)?);
    let plugin = services.callable(context, &found, asker)?;
    accepts_config(&found, &settings.config)?;
    let stream = memory_of(task);
    let wish = Wish {
        id: attempt.marker(),
        idempotency_key: format!("{}/{}", attempt.execution, attempt.step),
        attempt: attempt.attempt,
        operation: settings.operation,
        config: settings.config,
        input: settings.input,
        state: kept(task, &stream).await?,
    };
    let cancel = task.cancel.clone();
    let end = services.call_plugin(context, (&found, &plugin), wish, attempt.log, cancel).await;
    let (outcome, counts) = match end.outcome {
        Ok(output) => {
            keep(task, &stream, output.state.as_deref()).await?;
            completed(output)
        }
        Err(error) => (ended(task, error), StepCounts::default()),
    };
    let isolation = end.isolation.into_iter().collect();
    Ok((AttemptEnd { outcome, isolation, uses: end.uses }, counts))
}

fn completed(output: PluginOutput) -> (AttemptOutcome, StepCounts) {
    let records = output.records.iter().map(|(_, records)| records.len() as u64).sum();
    let streams: Map<String, Value> =
        output.records.into_iter().map(|(name, records)| (name, Value::Array(records))).collect();
    let output = json!({ "result": output.result, "records": streams });
    (AttemptOutcome::Completed { output }, StepCounts { records, bytes: 0 })
}

fn ended(task: &AttemptTask, error: PluginError) -> AttemptOutcome {
    if error.cancelled && task.cancel.is_cancelled() {
        return AttemptOutcome::Cancelled;
    }
    AttemptOutcome::Failed(AttemptError {
        class: error.class,
        message: format!("{} [{}]", error.message, error.code),
        exit_code: None,
        stderr_tail: error.stderr_tail,
    })
}

/// An attempt in which the plugin was not called, or what it kept was not taken.
fn not_called(error: UseCaseError) -> AttemptError {
    let code = error.code();
    match error {
        UseCaseError::Plugin(error) => AttemptError {
            class: error.class,
            message: format!("{} [{code}]", error.message),
            exit_code: None,
            stderr_tail: error.stderr_tail,
        },
        error => refused(format!("{error} [{code}]")),
    }
}

/// The event stream of what the step keeps.
fn memory_of(task: &AttemptTask) -> StreamName {
    let order = &task.execution;
    let (tenant, step) = (&task.context.tenant, task.step.as_str());
    streams::data_stream(tenant, &order.environment, order.pipeline_id, step, None)
}

/// What the plugin kept at the end of the last completed call of this step; nothing in an
/// execution that starts over.
async fn kept(task: &AttemptTask, stream: &StreamName) -> Result<Option<String>, UseCaseError> {
    use flexcore_domain::FullRefresh as Refresh;
    let starts_over = match &task.execution.full_refresh {
        Refresh::All => true,
        Refresh::Steps(parts) => parts.iter().any(|(step, _)| *step == task.step),
        Refresh::AsDefined => false,
    };
    if starts_over {
        return Ok(None);
    }
    let Loaded { state, .. } = task.services().load::<DataStream>(stream).await?;
    let Some(bookmark) = state.and_then(|memory| memory.bookmark) else { return Ok(None) };
    let state: Value = serde_json::from_str(bookmark.state.as_str())
        .map_err(|error| UseCaseError::refused(format!("the stored bookmark: {error}")))?;
    Ok(state.get(STATE_KEY).map(ToString::to_string))
}

/// Writes down what the plugin wants to find at its next call, guarded by the owner's epoch on the
/// execution's stream.
async fn keep(
    task: &AttemptTask,
    stream: &StreamName,
    state: Option<&str>,
) -> Result<(), UseCaseError> {
    let Some(text) = state else { return Ok(()) };
    let state: Value = serde_json::from_str(text).map_err(|error| {
        UseCaseError::refused(format!("what the plugin wants to keep is no JSON: {error}"))
    })?;
    let text = json!({ STATE_KEY: state }).to_string();
    if text.len() > MAX_STATE {
        let message = format!(
            "what the plugin wants to keep has {} bytes, more than the {MAX_STATE} that a step may \
             keep",
            text.len()
        );
        return Err(error::refused(error::STATE_TOO_LARGE, message).into());
    }
    let (services, ownership) = (task.services(), &task.ownership);
    if services.ports.secrets.mask().finds(&text) {
        let message = "what the plugin wants to keep holds the value of a secret, and what a step \
                       keeps is part of an event that is read forever; keep something else"
            .to_owned();
        return Err(error::refused(error::SECRET_IN_STATE, message).into());
    }
    let set = DataStreamCommand::Set { state: JsonText(text.clone()) };
    for _ in 0..ATTEMPTS_ON_CONFLICT {
        let Loaded { state, version } = services.load::<DataStream>(stream).await?;
        let known = state.as_ref().and_then(|memory| memory.bookmark.as_ref());
        if known.is_some_and(|bookmark| bookmark.state.as_str() == text) {
            return Ok(());
        }
        let events = DataStream::decide(state.as_ref(), &set, services.ports.clock.now())?;
        let events = services.envelopes(&task.context, &events);
        let guard = ownership.guard.load(Ordering::Acquire);
        let append = Append::to(stream.clone(), version, events).guarded(
            ownership.stream.clone(),
            guard,
            Some(ownership.epoch),
        );
        match services.ports.store.append(append).await {
            Ok(_) => return Ok(()),
            // The execution moved on, which only the fence minds, or somebody changed the bookmark.
            Err(AppendError::Conflict { stream, actual, .. }) => {
                if stream == ownership.stream {
                    ownership.guard.fetch_max(actual, Ordering::AcqRel);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(UseCaseError::Busy { stream: stream.clone() })
}
