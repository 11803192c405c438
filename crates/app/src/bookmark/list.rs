//! ListBookmarks.

use async_trait::async_trait;
use flexcore_api::{BookmarkAddress, BookmarkList, ListBookmarks};
use flexcore_domain::{EnvironmentName, StepKind};
use flexcore_pipeline_file::resolve;

use crate::{HandleQuery, RequestContext, Services, UseCaseError};

#[async_trait]
impl HandleQuery<ListBookmarks> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: ListBookmarks,
    ) -> Result<BookmarkList, UseCaseError> {
        let pipeline = self.get_pipeline(context, &query.pipeline).await?;
        let environment: EnvironmentName =
            query.environment.parse().map_err(|error: flexcore_domain::InvalidName| {
                UseCaseError::invalid(error.to_string())
            })?;
        let resolved = resolve(&pipeline.definition.document, &environment)
            .map_err(|error| UseCaseError::invalid(error.to_string()))?;
        let mut items = Vec::new();
        for step in resolved.steps.iter().filter(|step| step.kind == StepKind::Sync) {
            let bookmark = BookmarkAddress {
                pipeline: query.pipeline.clone(),
                state: step.bookmark_name(),
                environment: query.environment.clone(),
                item: None,
            };
            items.push(self.bookmark_view(context, bookmark).await?);
        }
        Ok(BookmarkList { items })
    }
}
