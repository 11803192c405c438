//! GetDataStream.

use async_trait::async_trait;
use flexcore_api::{DataStreamView, GetDataStream};
use flexcore_domain::{DataStream, EnvironmentName, InvalidName};
use flexcore_eventsourcing::{Aggregate, StreamName};

use super::view;
use crate::{HandleQuery, RequestContext, Services, UseCaseError, projection::View};

#[async_trait]
impl HandleQuery<GetDataStream> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: GetDataStream,
    ) -> Result<DataStreamView, UseCaseError> {
        let environment: EnvironmentName = query
            .environment
            .parse()
            .map_err(|error: InvalidName| UseCaseError::invalid(error.to_string()))?;
        let pipeline = self.get_pipeline(context, &query.pipeline).await?.id.to_string();
        let key = [environment.as_str(), &pipeline, &query.state].into_iter();
        let key = key.chain(query.item.as_deref());
        let stream = StreamName::new(&context.tenant, DataStream::CATEGORY, key)
            .map_err(|error| UseCaseError::invalid(error.to_string()))?;
        self.up_to_date(View::DataStreams).await?;
        let row = self.ports.views.find_data_stream(&stream).await?;
        row.map(view).ok_or_else(|| UseCaseError::NotFound {
            what: "data stream",
            name: query.state,
            hint: Some("a sync makes one when it runs first".to_owned()),
        })
    }
}
