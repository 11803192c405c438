//! ExecutePlugin: a call by hand, with what it used in the plugin's event stream.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use flexcore_api::{ExecutePlugin, PluginExecuted};
use flexcore_domain::{
    ExecutionId, Plugin, PluginCallId, PluginStatus, StepId,
    plugin::{PluginCallEnd, PluginCallFailure, PluginCommand, PluginEvent, PluginRegistration},
};
use flexcore_eventsourcing::StreamName;
use flexcore_ports::{CallablePlugin, PluginEnd, PluginError, PluginOutput};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    call::{Wish, accepts_config},
    find::{Asker, FoundPlugin, hash_of},
};
use crate::{
    HandleCommand, RequestContext, Services, UseCaseError,
    execution::audit::{isolation_view, use_view},
    repository::decode,
    streams,
};

/// The step under which the log of a call by hand lies: there is none, so nothing else lies there.
const LOG_STEP: &str = "call";

/// The namespace of ids of calls that derive from an idempotency key.
const KEYS: Uuid = Uuid::from_u128(0x61b7_0c2d_95ae_4d0c_8f43_5e92_0ab6_d71f);

/// Where the log of a call by hand lies: where that of an execution with the same number would.
pub fn log_of_call(call: PluginCallId) -> (ExecutionId, StepId, u32) {
    (ExecutionId(call.0), LOG_STEP.parse().expect("it is a legal step id"), 1)
}

#[async_trait]
impl HandleCommand<ExecutePlugin> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: ExecutePlugin,
    ) -> Result<PluginExecuted, UseCaseError> {
        let found = self.find_callable(context, &command.name).await?;
        accepts_config(&found, &command.config)?;
        let plugin = self.callable(context, &found, Asker::default())?;
        let found = self.with_events(context, found).await?;
        self.note_rights(context, &found, &plugin).await;
        let stream = streams::plugin(&context.tenant, &parsed_name(&found)?);
        let call = self.call_id(context, &stream, command.idempotency_key.as_deref()).await?;
        let (execution, step, attempt) = log_of_call(call);
        let log = self
            .ports
            .logs
            .open(execution, &step, attempt)
            .map_err(|error| UseCaseError::refused(format!("the call has no log: {error}")))?;
        let start = PluginCommand::StartExecution { call, operation: command.operation.clone() };
        self.record_call(context, &stream, start).await?;
        let wish = Wish {
            id: call.to_string(),
            idempotency_key: call.to_string(),
            attempt,
            operation: command.operation,
            config: command.config,
            input: command.input,
            state: None,
        };
        let begun = Instant::now();
        let cancel = CancellationToken::new();
        let end = self.call_plugin(context, (&found, &plugin), wish, log, cancel).await;
        let duration = begun.elapsed();
        let ended = PluginCommand::EndExecution(call_end(call, duration, &end));
        self.record_call(context, &stream, ended).await?;
        executed(call, duration, end)
    }
}

impl Services {
    /// A new call's id. That of a call with a key derives from it, so that the log tells whether the
    /// call was made before.
    async fn call_id(
        &self,
        context: &RequestContext,
        stream: &StreamName,
        key: Option<&str>,
    ) -> Result<PluginCallId, UseCaseError> {
        let Some(key) = key else { return Ok(PluginCallId(self.ports.ids.next())) };
        let name = format!("{}/{stream}/{key}", context.tenant);
        let call = PluginCallId(Uuid::new_v5(&KEYS, name.as_bytes()));
        let recorded = self.history(stream, 1).await?;
        let was_made = decode::<PluginEvent>(stream, &recorded)?.into_iter().any(|event| {
            matches!(event, PluginEvent::ExecutionStarted { call: made, .. } if made == call)
        });
        if was_made {
            return Err(UseCaseError::KeyUsed { what: "call", found: call.to_string() });
        }
        Ok(call)
    }

    /// A plugin that has events. One that comes with FlexCore gets its first ones, so that what
    /// its calls use is in the log like that of all others.
    pub(super) async fn with_events(
        &self,
        context: &RequestContext,
        found: FoundPlugin,
    ) -> Result<FoundPlugin, UseCaseError> {
        if !found.is_built_in {
            return Ok(found);
        }
        let known = found.aggregate.as_ref();
        let known = known.filter(|plugin| plugin.status != PluginStatus::Unregistered);
        if known.is_some_and(|plugin| plugin.registration.digest == hash_of(&found.digest)) {
            return Ok(found);
        }
        let effective = self.rights_of(&found, Asker::default())?;
        let registration: PluginRegistration = found.registration(&effective);
        let name = parsed_name(&found)?;
        let stream = streams::plugin(&context.tenant, &name);
        let register = PluginCommand::Register(registration);
        self.change::<Plugin>(context, &stream, &register).await?;
        let aggregate = self.load_plugin(context, &name).await?;
        Ok(FoundPlugin { aggregate, ..found })
    }

    /// Notes what it may do, if the operator's grants changed since it was noted last.
    pub(super) async fn note_rights(
        &self,
        context: &RequestContext,
        found: &FoundPlugin,
        plugin: &CallablePlugin,
    ) {
        let rights = found.registration(&plugin.effective).rights;
        let known = found.aggregate.as_ref().map(|plugin| &plugin.registration.rights);
        if known.is_some_and(|known| *known != rights) {
            self.tell(context, found, PluginCommand::Grant(rights)).await;
        }
    }
}

pub(super) fn parsed_name(
    found: &FoundPlugin,
) -> Result<flexcore_domain::PluginName, UseCaseError> {
    let name = found.manifest.name.parse();
    name.map_err(|error: flexcore_domain::InvalidName| UseCaseError::invalid(error.to_string()))
}

fn call_end(call: PluginCallId, duration: Duration, end: &PluginEnd) -> PluginCallEnd {
    let records = |output: &PluginOutput| {
        output.records.iter().map(|(_, records)| records.len() as u64).sum()
    };
    let failure = |error: &PluginError| PluginCallFailure {
        class: error.class,
        code: error.code.to_owned(),
        message: error.message.clone(),
        cancelled: error.cancelled,
    };
    PluginCallEnd {
        call,
        duration,
        outcome: end.outcome.as_ref().map(records).map_err(failure),
        isolation: end.isolation.clone(),
        uses: end.uses.clone(),
    }
}

fn executed(
    call: PluginCallId,
    duration: Duration,
    end: PluginEnd,
) -> Result<PluginExecuted, UseCaseError> {
    let output = end.outcome?;
    Ok(PluginExecuted {
        call: call.to_string(),
        result: output.result,
        records: output.records.into_iter().collect(),
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        isolation: end.isolation.as_ref().map(isolation_view),
        uses: end.uses.iter().map(use_view).collect(),
    })
}
