//! ListDataStreams.

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_api::{DataStreamPage, ListDataStreams};
use flexcore_domain::InvalidName;
use flexcore_ports::DataStreamFilter;

use super::view;
use crate::{HandleQuery, RequestContext, Services, UseCaseError, projection::View};

#[async_trait]
impl HandleQuery<ListDataStreams> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: ListDataStreams,
    ) -> Result<DataStreamPage, UseCaseError> {
        let invalid = |error: InvalidName| UseCaseError::invalid(error.to_string());
        let filter = DataStreamFilter {
            tenant: Arc::clone(&context.tenant),
            pipeline: query.pipeline.map(|name| name.parse()).transpose().map_err(invalid)?,
            environment: query.environment.map(|name| name.parse()).transpose().map_err(invalid)?,
        };
        self.up_to_date(View::DataStreams).await?;
        let views = &self.ports.views;
        let page = views.list_data_streams(&filter, query.limit, query.after.as_deref()).await?;
        Ok(DataStreamPage { items: page.items.into_iter().map(view).collect(), next: page.next })
    }
}
