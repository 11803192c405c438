//! RebuildViews.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use flexcore_api::{RebuildViews, RebuiltView, ViewsRebuilt};
use flexcore_ports::ProjectionStatus;

use crate::{HandleCommand, Projector, RequestContext, Services, UseCaseError};

#[async_trait]
impl HandleCommand<RebuildViews> for Services {
    async fn handle(
        &self,
        _context: &RequestContext,
        _command: RebuildViews,
    ) -> Result<ViewsRebuilt, UseCaseError> {
        let Some(live) = &self.projector else {
            return Err(UseCaseError::refused("the store is open for reading only"));
        };
        let rebuild = self.ports.rebuild.begin().await?;
        let fresh = Projector::new(Arc::clone(&self.ports.store), rebuild.views());
        fresh.catch_up().await?;
        let built = fresh.statuses().await?;
        must_not_be_worse(&built, &live.statuses().await?)?;
        rebuild.publish().await?;
        // What was appended since, and what a projection may fold in that was stopped before.
        live.catch_up().await?;
        Ok(ViewsRebuilt { views: built.into_iter().map(view).collect() })
    }
}

/// A view that stopped short of one that is in use does not take its place.
fn must_not_be_worse(
    built: &[ProjectionStatus],
    live: &[ProjectionStatus],
) -> Result<(), UseCaseError> {
    let stopped_before: BTreeSet<&str> = live
        .iter()
        .filter(|status| status.stopped.is_some())
        .map(|status| status.name.as_str())
        .collect();
    for status in built {
        if let Some(stopped) = &status.stopped
            && !stopped_before.contains(status.name.as_str())
        {
            let (name, position, reason) = (&status.name, stopped.position, &stopped.reason);
            return Err(UseCaseError::Refused {
                message: format!(
                    "the view {name} could only be built up to position {position}: {reason}; \
                     the present views stay in use"
                ),
                hint: Some(
                    "run `flexcore events verify`; a newer flexcore may have written the event"
                        .to_owned(),
                ),
            });
        }
    }
    Ok(())
}

fn view(status: ProjectionStatus) -> RebuiltView {
    let (stopped_at, reason) =
        status.stopped.map(|stopped| (stopped.position, stopped.reason)).unzip();
    let position = status.checkpoint.map_or(0, |checkpoint| checkpoint.position);
    RebuiltView { name: status.name, position, stopped_at, reason }
}

#[cfg(test)]
mod tests {
    use flexcore_eventsourcing::Epoch;
    use flexcore_ports::Stopped;

    use super::*;

    fn status(name: &str, stopped: Option<u64>) -> ProjectionStatus {
        let stopped = stopped.map(|position| Stopped { position, reason: "no".to_owned() });
        ProjectionStatus { name: name.to_owned(), checkpoint: None, epoch: Epoch(0), stopped }
    }

    #[test]
    fn a_view_that_stops_takes_the_place_of_one_that_stopped_only() {
        let whole = [status("a", None), status("b", None)];
        let broken = [status("a", None), status("b", Some(7))];
        must_not_be_worse(&whole, &broken).unwrap();
        must_not_be_worse(&broken, &broken).unwrap();
        let error = must_not_be_worse(&broken, &whole).unwrap_err().to_string();
        assert!(
            error.starts_with("the view b could only be built up to position 7: no"),
            "{error}"
        );
    }
}
