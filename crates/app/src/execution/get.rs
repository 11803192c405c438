//! GetExecution.

use async_trait::async_trait;
use flexcore_api::{ExecutionView, GetExecution};

use super::view::ViewBuilder;
use crate::{HandleQuery, RequestContext, Services, UseCaseError, repository::decode, streams};

#[async_trait]
impl HandleQuery<GetExecution> for Services {
    /// Folds the execution's stream; no view is asked.
    async fn answer(
        &self,
        context: &RequestContext,
        query: GetExecution,
    ) -> Result<ExecutionView, UseCaseError> {
        let id = self.resolve_execution(context, &query.execution).await?;
        let stream = streams::execution(&context.tenant, id);
        let recorded = self.history(&stream, 1).await?;
        let events = decode(&stream, &recorded)?;
        let now = self.ports.clock.now();
        let mut builder = ViewBuilder::default();
        for (recorded, event) in recorded.iter().zip(&events) {
            builder.add(recorded, event);
        }
        let (execution, _) = self.get_execution(context, id).await?;
        Ok(builder.build(&execution, now))
    }
}
