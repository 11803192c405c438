//! Use cases of bookmarks.

mod get;
mod list;
mod write;

use flexcore_api::BookmarkAddress;
use flexcore_domain::EnvironmentName;
use flexcore_eventsourcing::StreamName;

use crate::{RequestContext, Services, UseCaseError, streams};

impl Services {
    /// The stream of the bookmark that a caller names.
    async fn bookmark_stream(
        &self,
        context: &RequestContext,
        address: &BookmarkAddress,
    ) -> Result<StreamName, UseCaseError> {
        let pipeline = self.get_pipeline(context, &address.pipeline).await?;
        let environment: EnvironmentName =
            address.environment.parse().map_err(|error: flexcore_domain::InvalidName| {
                UseCaseError::invalid(error.to_string())
            })?;
        if address.state.is_empty() {
            return Err(UseCaseError::invalid("a bookmark's name is not empty"));
        }
        let item = address.item.as_deref().filter(|item| !item.is_empty());
        Ok(streams::data_stream(&context.tenant, &environment, pipeline.id, &address.state, item))
    }
}
