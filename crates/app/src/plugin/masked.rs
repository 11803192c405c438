//! A host whose words pass the mask: what a plugin says may repeat what it was given.

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_domain::CapabilityUse;
use flexcore_plugin_protocol::ContentDigest;
use flexcore_ports::{
    AttemptLog, CallablePlugin, ConfigProblem, Mask, PluginCall, PluginDescription, PluginEnd,
    PluginError, PluginHost, PluginOutput, PluginSchema, Secrets,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::output::mask_output;

/// Passes on what a host says, without the values of known secrets. What a plugin wants to keep is
/// passed on as it is: changed, it would be another state.
pub(super) struct MaskedHost {
    pub(super) host: Arc<dyn PluginHost>,
    pub(super) secrets: Arc<dyn Secrets>,
}

impl MaskedHost {
    fn error(&self, mut error: PluginError) -> PluginError {
        let mask = self.secrets.mask();
        for line in error.stderr_tail.iter_mut().chain([&mut error.message]) {
            *line = mask.apply(line).into_owned();
        }
        error
    }

    fn text(&self, text: &str) -> String {
        self.secrets.mask().apply(text).into_owned()
    }
}

/// Capabilities as events have them: a host that was only known from a secret stays one.
pub(crate) fn mask_uses(mask: &dyn Mask, uses: Vec<CapabilityUse>) -> Vec<CapabilityUse> {
    let masked = |one: CapabilityUse| {
        let capability = mask.apply(&one.capability).into_owned();
        CapabilityUse { capability, ..one }
    };
    uses.into_iter().map(masked).collect()
}

#[async_trait]
impl PluginHost for MaskedHost {
    async fn initialize(&self, plugin: &CallablePlugin) -> Result<PluginDescription, PluginError> {
        let description = self.host.initialize(plugin).await.map_err(|error| self.error(error))?;
        let detail = self.text(&description.detail);
        Ok(PluginDescription { detail, ..description })
    }

    async fn validate(
        &self,
        plugin: &CallablePlugin,
        config: &Value,
    ) -> Result<Vec<ConfigProblem>, PluginError> {
        let problems = self.host.validate(plugin, config).await;
        let problems = problems.map_err(|error| self.error(error))?.into_iter();
        let masked = |problem: ConfigProblem| ConfigProblem {
            pointer: self.text(&problem.pointer),
            message: self.text(&problem.message),
            ..problem
        };
        Ok(problems.map(masked).collect())
    }

    async fn schema(
        &self,
        plugin: &CallablePlugin,
        config: Option<&Value>,
    ) -> Result<PluginSchema, PluginError> {
        let schema = self.host.schema(plugin, config).await.map_err(|error| self.error(error))?;
        let mask = self.secrets.mask();
        // A field may be called what somebody's password is: that is no leak, and has to stay.
        let hide = |value: Value| match mask.finds(&value.to_string()) {
            true => mask_output(&*mask, value),
            false => value,
        };
        let streams = schema.data_streams.into_iter();
        Ok(PluginSchema {
            config: schema.config.map(hide),
            data_streams: streams.map(|(name, value)| (name, hide(value))).collect(),
        })
    }

    async fn execute(
        &self,
        plugin: &CallablePlugin,
        call: PluginCall,
        log: Arc<dyn AttemptLog>,
        cancel: CancellationToken,
    ) -> PluginEnd {
        let PluginEnd { outcome, isolation, uses } =
            self.host.execute(plugin, call, log, cancel).await;
        let mask = self.secrets.mask();
        let hide = |value: Value| mask_output(&*mask, value);
        let outcome = outcome.map_err(|error| self.error(error)).map(|output| PluginOutput {
            result: output.result.map(hide),
            records: output
                .records
                .into_iter()
                .map(|(name, records)| (self.text(&name), records.into_iter().map(hide).collect()))
                .collect(),
            state: output.state,
        });
        PluginEnd { outcome, isolation, uses: mask_uses(&*mask, uses) }
    }

    async fn health(&self, plugin: &CallablePlugin) -> Result<(), PluginError> {
        self.host.health(plugin).await.map_err(|error| self.error(error))
    }

    async fn release(&self, digest: &ContentDigest) {
        self.host.release(digest).await;
    }
}
