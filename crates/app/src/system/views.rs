//! GetViews.

use async_trait::async_trait;
use flexcore_api::{GetViews, ViewList, ViewStatus, ViewStopped};
use flexcore_ports::ProjectionStatus;

use crate::{HandleQuery, RequestContext, Services, UseCaseError, projection::statuses};

#[async_trait]
impl HandleQuery<GetViews> for Services {
    /// As they are: it is asked to see how far behind they are, so that they do not catch up first.
    async fn answer(
        &self,
        _context: &RequestContext,
        _query: GetViews,
    ) -> Result<ViewList, UseCaseError> {
        // Read first, so that no view can be ahead of the end.
        let statuses = statuses(&*self.ports.views).await?;
        let head = self.ports.store.head().await?.position;
        let status = |status: ProjectionStatus| {
            let position = status.checkpoint.map_or(0, |checkpoint| checkpoint.position);
            let stopped = status
                .stopped
                .map(|stopped| ViewStopped { position: stopped.position, reason: stopped.reason });
            ViewStatus { name: status.name, position, lag: head.saturating_sub(position), stopped }
        };
        Ok(ViewList { head, items: statuses.into_iter().map(status).collect() })
    }
}
