//! CancelExecution.

use async_trait::async_trait;
use flexcore_api::{CancelExecution, Written};
use flexcore_domain::{Execution, execution::ExecutionCommand};

use crate::{HandleCommand, RequestContext, Services, UseCaseError, streams};

#[async_trait]
impl HandleCommand<CancelExecution> for Services {
    /// Records the wish. Whoever drives the execution hears of it from the log and ends it.
    async fn handle(
        &self,
        context: &RequestContext,
        command: CancelExecution,
    ) -> Result<Written, UseCaseError> {
        let id = self.resolve_execution(context, &command.execution).await?;
        self.get_execution(context, id).await?;
        let stream = streams::execution(&context.tenant, id);
        let request = ExecutionCommand::RequestCancellation { reason: command.reason };
        let position = self.change::<Execution>(context, &stream, &request).await?;
        Ok(Written { position })
    }
}
