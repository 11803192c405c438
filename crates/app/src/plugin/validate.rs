//! ValidatePluginConfig.

use async_trait::async_trait;
use flexcore_api::{ConfigProblemView, PluginConfigValidated, ValidatePluginConfig};

use super::{
    call::schema_problems,
    error::{self, refused},
    find::Asker,
};
use crate::{HandleQuery, RequestContext, Services, UseCaseError};

#[async_trait]
impl HandleQuery<ValidatePluginConfig> for Services {
    /// The schema first: what it refuses the plugin need not look at.
    async fn answer(
        &self,
        context: &RequestContext,
        query: ValidatePluginConfig,
    ) -> Result<PluginConfigValidated, UseCaseError> {
        let found = self.find_callable(context, &query.name).await?;
        let by_schema = schema_problems(found.config_schema.as_ref(), &query.config)
            .map_err(|reason| refused(error::WRONG_CONFIG, reason))?;
        if !by_schema.is_empty() {
            let problem =
                |(pointer, message)| ConfigProblemView { pointer, message, warning: false };
            let problems = by_schema.into_iter().map(problem).collect();
            return Ok(PluginConfigValidated { valid: false, problems });
        }
        let plugin = self.callable(context, &found, Asker::default())?;
        let asked = self.plugins()?.validate(&plugin, &query.config).await;
        let problems = self.note(context, &found, asked).await?;
        let problems: Vec<_> = problems
            .into_iter()
            .map(|problem| ConfigProblemView {
                pointer: problem.pointer,
                message: problem.message,
                warning: problem.warning,
            })
            .collect();
        let valid = problems.iter().all(|problem| problem.warning);
        Ok(PluginConfigValidated { valid, problems })
    }
}
