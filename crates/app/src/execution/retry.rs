//! RetryExecution.

use async_trait::async_trait;
use flexcore_api::{RetryExecution, Written};
use flexcore_domain::{Execution, execution::ExecutionCommand};

use crate::{HandleCommand, RequestContext, Services, UseCaseError, streams};

#[async_trait]
impl HandleCommand<RetryExecution> for Services {
    /// Sets back what did not complete. Whoever claims the execution next runs it.
    async fn handle(
        &self,
        context: &RequestContext,
        command: RetryExecution,
    ) -> Result<Written, UseCaseError> {
        let id = self.resolve_execution(context, &command.execution).await?;
        self.get_execution(context, id).await?;
        let stream = streams::execution(&context.tenant, id);
        let position = self.change::<Execution>(context, &stream, &ExecutionCommand::Retry).await?;
        Ok(Written { position })
    }
}
