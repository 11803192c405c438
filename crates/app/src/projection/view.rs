//! Views as queries ask for them: up to date, or not at all.

use flexcore_eventsourcing::Epoch;
use flexcore_ports::{ProjectionStatus, StoreError, ViewStore};

use super::{PROJECTIONS, ProjectionError};
use crate::{Services, UseCaseError};

/// One of the views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Pipelines.
    Pipelines,
    /// Executions.
    Executions,
    /// Plugins.
    Plugins,
    /// Data streams.
    DataStreams,
    /// Metrics.
    Metrics,
}

impl View {
    /// The name of its projection.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pipelines => "pipeline-status",
            Self::Executions => "execution-history",
            Self::Plugins => "plugin-inventory",
            Self::DataStreams => "data-streams",
            Self::Metrics => "system-metrics",
        }
    }
}

impl Services {
    /// Brings the views up to date, as [`Services::catch_up`] does, and refuses if this one cannot
    /// be: what is decided on rows that no longer follow the log may be wrong.
    ///
    /// # Errors
    /// [`UseCaseError`].
    pub(crate) async fn up_to_date(&self, view: View) -> Result<(), UseCaseError> {
        self.catch_up().await?;
        let mut statuses = self.ports.views.projections().await?.into_iter();
        let status = statuses.find(|status| status.name == view.name());
        match status.and_then(|status| status.stopped) {
            None => Ok(()),
            Some(stopped) => Err(UseCaseError::from(ProjectionError::Stopped {
                view: view.name(),
                position: stopped.position,
                reason: stopped.reason,
            })),
        }
    }
}

/// Where each projection stands, those that never wrote included.
pub(crate) async fn statuses(views: &dyn ViewStore) -> Result<Vec<ProjectionStatus>, StoreError> {
    let mut found = views.projections().await?;
    let status = |projection: &&dyn super::Projection| {
        let name = projection.name().to_owned();
        match found.iter().position(|status| status.name == name) {
            Some(index) => found.swap_remove(index),
            None => ProjectionStatus { name, checkpoint: None, epoch: Epoch(0), stopped: None },
        }
    };
    Ok(PROJECTIONS.iter().map(status).collect())
}
