//! DisablePlugin, EnablePlugin and UnregisterPlugin.

use async_trait::async_trait;
use flexcore_api::{Command as _, DisablePlugin, EnablePlugin, UnregisterPlugin, Written};
use flexcore_domain::{Plugin, PluginName, plugin::PluginCommand};
use flexcore_plugin_protocol::ContentDigest;

use super::error::not_registered;
use crate::{HandleCommand, RequestContext, Services, UseCaseError, streams};

/// What it takes to remove files: tenants that registered the same ones share them.
const REMOVE_FILES: &str = "system.plugin-files";

#[async_trait]
impl HandleCommand<DisablePlugin> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: DisablePlugin,
    ) -> Result<Written, UseCaseError> {
        let disable = PluginCommand::Disable { reason: command.reason };
        let (written, digest) = self.manage(context, &command.name, &disable).await?;
        self.let_go(&digest).await;
        Ok(written)
    }
}

#[async_trait]
impl HandleCommand<EnablePlugin> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: EnablePlugin,
    ) -> Result<Written, UseCaseError> {
        let (written, digest) = self.manage(context, &command.name, &PluginCommand::Enable).await?;
        self.let_go(&digest).await;
        Ok(written)
    }
}

#[async_trait]
impl HandleCommand<UnregisterPlugin> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: UnregisterPlugin,
    ) -> Result<Written, UseCaseError> {
        if command.remove_files {
            context.must_operate(UnregisterPlugin::NAME, REMOVE_FILES)?;
        }
        let unregister = PluginCommand::Unregister;
        let (written, digest) = self.manage(context, &command.name, &unregister).await?;
        self.let_go(&digest).await;
        if command.remove_files
            && let Some(lifecycle) = &self.plugins
        {
            lifecycle.ports.store.remove(&digest).await?;
        }
        Ok(written)
    }
}

impl Services {
    /// Changes a plugin that is there; what its files are comes with it.
    async fn manage(
        &self,
        context: &RequestContext,
        name: &str,
        command: &PluginCommand,
    ) -> Result<(Written, ContentDigest), UseCaseError> {
        let parsed: PluginName = name.parse().map_err(|_| not_registered(name))?;
        let aggregate = self.load_plugin(context, &parsed).await?;
        let plugin: Plugin = aggregate.ok_or_else(|| not_registered(name))?;
        let stream = streams::plugin(&context.tenant, &parsed);
        let position = self.change::<Plugin>(context, &stream, command).await?;
        Ok((Written { position }, ContentDigest::from_bytes(plugin.registration.digest.0)))
    }

    /// Ends what this process keeps for a plugin, and forgets how its calls went.
    async fn let_go(&self, digest: &ContentDigest) {
        if let Some(lifecycle) = &self.plugins {
            lifecycle.release(digest).await;
        }
    }
}
