//! GetSystemMetrics.

use async_trait::async_trait;
use flexcore_api::{GetSystemMetrics, MetricView, SystemMetrics};
use flexcore_ports::{MetricFilter, MetricRow};

use crate::{HandleQuery, RequestContext, Services, UseCaseError, format_time, projection::View};

#[async_trait]
impl HandleQuery<GetSystemMetrics> for Services {
    async fn answer(
        &self,
        _context: &RequestContext,
        query: GetSystemMetrics,
    ) -> Result<SystemMetrics, UseCaseError> {
        self.up_to_date(View::Metrics).await?;
        let filter = MetricFilter { names: query.names };
        let views = &self.ports.views;
        let page = views.list_metrics(&filter, query.limit, query.after.as_deref()).await?;
        Ok(SystemMetrics { items: page.items.into_iter().map(view).collect(), next: page.next })
    }
}

fn view(row: MetricRow) -> MetricView {
    MetricView {
        name: row.key.name,
        labels: row.key.labels,
        value: row.value,
        updated_at: format_time(row.updated_at),
    }
}
