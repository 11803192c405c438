//! GetExecutionTimeline.

use async_trait::async_trait;
use flexcore_api::{GetExecutionTimeline, TimelinePage};
use flexcore_domain::execution::ExecutionEvent;

use super::view::timeline_entry;
use crate::{HandleQuery, RequestContext, Services, UseCaseError, repository::decode, streams};

/// The most entries that one page has.
const MAX_PAGE: usize = 1_000;

#[async_trait]
impl HandleQuery<GetExecutionTimeline> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: GetExecutionTimeline,
    ) -> Result<TimelinePage, UseCaseError> {
        let id = self.resolve_execution(context, &query.execution).await?;
        self.get_execution(context, id).await?;
        let stream = streams::execution(&context.tenant, id);
        let mut recorded = self.history(&stream, 1).await?;
        recorded.retain(|event| event.position > query.after);
        let limit = query.limit.clamp(1, MAX_PAGE);
        let more = recorded.len() > limit;
        recorded.truncate(limit);
        let events = decode::<ExecutionEvent>(&stream, &recorded)?;
        let items: Vec<_> =
            recorded.iter().zip(&events).map(|(one, event)| timeline_entry(one, event)).collect();
        let next = items.last().filter(|_| more).map(|entry| entry.position);
        Ok(TimelinePage { execution: id.to_string(), items, next })
    }
}
