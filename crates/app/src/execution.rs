//! Use cases of executions.

mod address;
pub(crate) mod audit;
mod cancel;
mod execute;
mod get;
mod list;
mod logs;
mod owner;
mod retry;
mod run_policy;
mod timeline;
mod view;

use flexcore_domain::{Execution, ExecutionId};

use crate::{RequestContext, Services, UseCaseError, repository::Loaded, streams};

pub(crate) use list::execution_summary;
pub(crate) use owner::lease_name;
pub use run_policy::{RunDecision, RunPolicy, Unfinished};

impl Services {
    /// An execution that is there.
    pub(crate) async fn get_execution(
        &self,
        context: &RequestContext,
        id: ExecutionId,
    ) -> Result<(Execution, u64), UseCaseError> {
        let stream = streams::execution(&context.tenant, id);
        let Loaded { state, version } = self.load::<Execution>(&stream).await?;
        let execution = state.ok_or_else(|| UseCaseError::NotFound {
            what: "execution",
            name: id.to_string(),
            hint: None,
        })?;
        Ok((execution, version))
    }
}
