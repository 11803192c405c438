//! GetPluginSchema.

use async_trait::async_trait;
use flexcore_api::{GetPluginSchema, PluginSchemaView};

use super::find::Asker;
use crate::{HandleQuery, RequestContext, Services, UseCaseError};

#[async_trait]
impl HandleQuery<GetPluginSchema> for Services {
    /// Without settings the schema that lies beside the manifest is enough; the plugin is asked
    /// for what only it knows.
    async fn answer(
        &self,
        context: &RequestContext,
        query: GetPluginSchema,
    ) -> Result<PluginSchemaView, UseCaseError> {
        let found = self.find_plugin(context, &query.name).await?;
        if let (Some(schema), None) = (&found.config_schema, &query.config) {
            let config = Some(schema.clone());
            return Ok(PluginSchemaView { config, data_streams: [].into() });
        }
        let found = self.find_callable(context, &query.name).await?;
        let plugin = self.callable(context, &found, Asker::default())?;
        let asked = self.plugins()?.schema(&plugin, query.config.as_ref()).await;
        let schema = self.note(context, &found, asked).await?;
        Ok(PluginSchemaView {
            config: found.config_schema.clone().or(schema.config),
            data_streams: schema.data_streams.into_iter().collect(),
        })
    }
}
