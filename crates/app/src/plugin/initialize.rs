//! InitializePlugin.

use async_trait::async_trait;
use flexcore_api::{InitializePlugin, PluginInitialized};
use flexcore_domain::plugin::PluginCommand;

use super::find::Asker;
use crate::{HandleCommand, RequestContext, Services, UseCaseError};

#[async_trait]
impl HandleCommand<InitializePlugin> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: InitializePlugin,
    ) -> Result<PluginInitialized, UseCaseError> {
        let found = self.find_callable(context, &command.name).await?;
        let found = self.with_events(context, found).await?;
        let plugin = self.callable(context, &found, Asker::default())?;
        let lifecycle = self.plugins()?;
        let asked = lifecycle.initialize(&plugin).await;
        self.note(context, &found, asked).await?;
        let problem = lifecycle.health(&plugin).await.err().map(|error| error.message);
        let report = PluginCommand::ReportHealth { problem: problem.clone() };
        self.tell(context, &found, report).await;
        Ok(PluginInitialized {
            name: found.manifest.name.clone(),
            version: found.manifest.version.clone(),
            healthy: problem.is_none(),
            problem,
        })
    }
}
