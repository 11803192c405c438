//! Calling a plugin, and telling the log what that says about it.

use std::sync::Arc;

use flexcore_domain::{Plugin, PluginStatus, plugin::PluginCommand};
use flexcore_plugin_protocol::{Capability, LimitName, SecretName};
use flexcore_ports::{AttemptLog, CallablePlugin, PluginCall, PluginEnd, PluginError, metric};
use jsonschema::Validator;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    count,
    error::{self, refused},
    find::FoundPlugin,
    lifecycle::Asked,
};
use crate::{RequestContext, Services, UseCaseError, streams};

/// How many problems of settings a message names.
const SHOWN_PROBLEMS: usize = 10;

/// What somebody wants of a plugin.
pub(crate) struct Wish {
    pub(crate) id: String,
    pub(crate) idempotency_key: String,
    pub(crate) attempt: u32,
    pub(crate) operation: String,
    pub(crate) config: Value,
    pub(crate) input: Value,
    pub(crate) state: Option<String>,
}

impl Services {
    /// Calls a plugin: resolves the secrets that it was granted, carries the call out, and notes
    /// in the log what it says about the plugin.
    pub(crate) async fn call_plugin(
        &self,
        context: &RequestContext,
        (found, plugin): (&FoundPlugin, &CallablePlugin),
        wish: Wish,
        log: Arc<dyn AttemptLog>,
        cancel: CancellationToken,
    ) -> PluginEnd {
        let lifecycle = match self.plugins() {
            Ok(lifecycle) => lifecycle,
            Err(error) => return PluginEnd::refused(error),
        };
        let secrets = match self.secrets_of(plugin).await {
            Ok(secrets) => secrets,
            Err(error) => return PluginEnd::refused(error),
        };
        let call = PluginCall {
            id: wish.id,
            idempotency_key: wish.idempotency_key,
            attempt: wish.attempt,
            operation: wish.operation,
            config: wish.config,
            input: wish.input,
            state: wish.state,
            secrets,
            timeout: plugin.effective.limits.duration(LimitName::Execute),
            trace: context.trace.map(|parent| parent.child("call")),
        };
        let kind = plugin.manifest.kind.as_str();
        let span = traced_span!(
            "plugin call",
            call.trace,
            context.trace.map(|parent| parent.span()),
            otel.kind = "client",
            plugin = %plugin.manifest.name,
            kind,
            call = %call.id,
            error.code = tracing::field::Empty,
        );
        let counted = count::Call::begin(kind);
        let asked = lifecycle.execute(plugin, call, log, cancel).instrument(span.clone()).await;
        if let Err(error) = &asked.answer.outcome {
            span.record("error.code", error.code);
        }
        counted.ended(asked.answer.outcome.as_ref().err());
        drop(span);
        self.note(context, found, asked).await
    }

    /// Notes what asking a plugin says about it, and gives back the answer.
    pub(crate) async fn note<T>(
        &self,
        context: &RequestContext,
        found: &FoundPlugin,
        asked: Asked<T>,
    ) -> T {
        let Asked { answer, started, crash_loop } = asked;
        let is_new = *found.status() == PluginStatus::Registered;
        if let Some(detail) = started.filter(|_| is_new) {
            self.tell(context, found, PluginCommand::Initialize { detail }).await;
        }
        if let Some(reason) = crash_loop {
            tracing::warn!(plugin = %found.manifest.name, %reason, "a plugin goes into quarantine");
            metrics::counter!(metric::PLUGIN_QUARANTINES.name).increment(1);
            self.tell(context, found, PluginCommand::Quarantine { reason }).await;
            if let Ok(lifecycle) = self.plugins() {
                lifecycle.release(&found.digest).await;
            }
        }
        answer
    }

    /// Tells the event stream of a plugin. What is told here happened: a log that does not take it
    /// is reported and stops nothing.
    pub(super) async fn tell(
        &self,
        context: &RequestContext,
        found: &FoundPlugin,
        command: PluginCommand,
    ) {
        let has_events = found
            .aggregate
            .as_ref()
            .is_some_and(|plugin| plugin.status != PluginStatus::Unregistered);
        let Ok(name) = found.manifest.name.parse() else { return };
        if !has_events {
            return;
        }
        let stream = streams::plugin(&context.tenant, &name);
        if let Err(error) = self.change::<Plugin>(context, &stream, &command).await {
            tracing::warn!(plugin = %name, %error, "what became of a plugin is not in the log");
        }
    }

    async fn secrets_of(
        &self,
        plugin: &CallablePlugin,
    ) -> Result<Vec<(SecretName, String)>, PluginError> {
        let mut secrets = Vec::new();
        for capability in plugin.effective.capabilities.iter() {
            let Capability::Secret(name) = capability else { continue };
            let value = self.ports.secrets.get(name.as_str()).await.map_err(|error| {
                let plugin = &plugin.manifest.name;
                refused(error::NO_SECRET, format!("plugin `{plugin}` cannot be called: {error}"))
            })?;
            secrets.push((name.clone(), value));
        }
        Ok(secrets)
    }
}

/// What the schema of a plugin says against settings: JSON pointer and message each.
pub(crate) fn schema_problems(
    schema: Option<&Value>,
    config: &Value,
) -> Result<Vec<(String, String)>, String> {
    if !config.is_object() {
        return Ok(vec![(String::new(), "settings are a JSON object".to_owned())]);
    }
    let Some(schema) = schema else { return Ok(vec![]) };
    let validator: Validator = jsonschema::validator_for(schema)
        .map_err(|error| format!("its `config.schema` is no JSON Schema: {error}"))?;
    let problem = |error: jsonschema::ValidationError<'_>| {
        // Values may be secret: the message names the rule, not what was given.
        (error.instance_path().to_string(), error.masked().to_string())
    };
    Ok(validator.iter_errors(config).map(problem).collect())
}

/// The settings are what the plugin's schema says.
pub(crate) fn accepts_config(found: &FoundPlugin, config: &Value) -> Result<(), UseCaseError> {
    let name = &found.manifest.name;
    let problems = schema_problems(found.config_schema.as_ref(), config)
        .map_err(|reason| refused(error::WRONG_CONFIG, format!("plugin `{name}`: {reason}")))?;
    if problems.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = problems
        .iter()
        .take(SHOWN_PROBLEMS)
        .map(|(pointer, message)| {
            let place = if pointer.is_empty() { "config" } else { pointer };
            format!("{place}: {message}")
        })
        .collect();
    let more = match problems.len().saturating_sub(SHOWN_PROBLEMS) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let message =
        format!("plugin `{name}` does not take these settings: {}{more}", shown.join("; "));
    Err(refused(error::WRONG_CONFIG, message).into())
}
