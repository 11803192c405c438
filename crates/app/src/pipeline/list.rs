//! ListPipelines.

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_api::{ListPipelines, PipelinePage, PipelineSummary};
use flexcore_ports::{PipelineFilter, PipelineRow};

use crate::{HandleQuery, RequestContext, Services, UseCaseError, format_time, projection::View};

#[async_trait]
impl HandleQuery<ListPipelines> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: ListPipelines,
    ) -> Result<PipelinePage, UseCaseError> {
        self.up_to_date(View::Pipelines).await?;
        let filter = PipelineFilter {
            tenant: Arc::clone(&context.tenant),
            statuses: query.statuses,
            tag: query.tag,
            text: query.text,
            owner: query.owner,
        };
        let views = &self.ports.views;
        let page = views.list_pipelines(&filter, query.limit, query.after.as_deref()).await?;
        Ok(PipelinePage { items: page.items.into_iter().map(summary).collect(), next: page.next })
    }
}

pub(super) fn summary(row: PipelineRow) -> PipelineSummary {
    PipelineSummary {
        id: row.id.to_string(),
        name: row.name.to_string(),
        status: row.status,
        version: row.version,
        description: row.description,
        owner: row.owner,
        tags: row.tags,
        steps: row.steps,
        updated_at: format_time(row.updated_at),
    }
}
