//! GetLogStatistics.

use async_trait::async_trait;
use flexcore_api::{GetLogStatistics, LogStatistics, TypeCount};

use crate::{HandleQuery, RequestContext, Services, UseCaseError, format_time};

#[async_trait]
impl HandleQuery<GetLogStatistics> for Services {
    async fn answer(
        &self,
        _context: &RequestContext,
        _query: GetLogStatistics,
    ) -> Result<LogStatistics, UseCaseError> {
        let counts = self.ports.verifier.statistics().await?;
        let mut types: Vec<TypeCount> = counts
            .types
            .into_iter()
            .map(|(type_name, events)| TypeCount { type_name, events })
            .collect();
        types.sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.type_name.cmp(&b.type_name)));
        Ok(LogStatistics {
            position: counts.head.position,
            batches: counts.head.batch,
            head: counts.head.hash.to_string(),
            streams: counts.streams,
            types,
            first_committed_at: counts.first_committed_at.map(format_time),
            last_committed_at: counts.last_committed_at.map(format_time),
        })
    }
}
