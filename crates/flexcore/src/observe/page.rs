//! What is only looked at when somebody asks for metrics.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use flexcore_app::Services;
use flexcore_http::MetricsPage;
use flexcore_ports::metric;
use flexcore_telemetry::Metrics;

/// The metrics of a server.
pub(crate) struct Page {
    /// `None` if the settings want none.
    pub(crate) metrics: Option<Metrics>,
    pub(crate) services: Arc<Services>,
}

#[async_trait]
impl MetricsPage for Page {
    async fn render(&self) -> String {
        let Some(metrics) = &self.metrics else {
            return "# metrics are off: telemetry.metrics is false\n".to_owned();
        };
        self.read_log().await;
        metrics.render()
    }
}

impl Page {
    /// Where the log ends, and how far the views follow it. A store that does not answer leaves what
    /// was known before: the rest of the page is all the more wanted then.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus knows doubles only")]
    async fn read_log(&self) {
        let ports = self.services.ports();
        // Views first, so that none can be ahead of the end.
        let views = ports.views.projections().await;
        let Ok(head) = ports.store.head().await else { return };
        metrics::gauge!(metric::LOG_POSITION.name).set(head.position as f64);
        let known: BTreeMap<_, _> = match views {
            Ok(all) => all.into_iter().map(|one| (one.name.clone(), one)).collect(),
            Err(_) => return,
        };
        for (name, status) in known {
            let position = status.checkpoint.map_or(0, |checkpoint| checkpoint.position);
            let lag = head.position.saturating_sub(position);
            let stopped = if status.stopped.is_some() { 1.0 } else { 0.0 };
            for (metric, value) in [
                (metric::PROJECTION_POSITION, position as f64),
                (metric::PROJECTION_LAG, lag as f64),
                (metric::PROJECTION_STOPPED, stopped),
            ] {
                metrics::gauge!(metric.name, "projection" => name.clone()).set(value);
            }
        }
    }
}
