//! A page of the log: whole batches, each event decoded once for all projections.

use std::sync::OnceLock;

use flexcore_eventsourcing::RecordedEvent;
use flexcore_ports::{Checkpoint, EventStore};

use super::{
    Projection, ProjectionError,
    fact::{DomainEvent, Fact},
};
use crate::{LogPage, SubscriptionError, subscription::read_page};

/// Events in a row that end where a batch ends; a transaction folds them in.
#[derive(Debug)]
pub(super) struct FoldPage {
    /// The position before the first of them.
    pub(super) after: u64,
    page: LogPage,
    /// What they mean, once somebody asked.
    decoded: Vec<OnceLock<Result<Option<DomainEvent>, String>>>,
    /// Where the page ends.
    pub(super) end: Checkpoint,
}

impl FoldPage {
    /// Of a page that somebody read.
    pub(super) fn new(page: LogPage) -> Self {
        let first = page.events().first().map_or(page.end().position, |event| event.position);
        let decoded = page.events().iter().map(|_| OnceLock::new()).collect();
        Self { after: first.saturating_sub(1), end: page.end(), page, decoded }
    }

    /// The next page after a position, at which the log does not end.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub(super) async fn read(store: &dyn EventStore, after: u64) -> Result<Self, ProjectionError> {
        match read_page(store, after).await? {
            Some(page) => Ok(Self::new(page)),
            None => Err(SubscriptionError::Hole { position: after + 1, found: None }.into()),
        }
    }

    /// The events after `after`, up to `until`.
    pub(super) fn events(&self, after: u64, until: u64) -> &[RecordedEvent] {
        let (first, last) = self.range(after, until);
        &self.page.events()[first..last]
    }

    /// Those of them that a projection reads.
    ///
    /// # Errors
    /// The first that cannot be read: its position and why.
    pub(super) fn facts(
        &self,
        projection: &dyn Projection,
        after: u64,
        until: u64,
    ) -> Result<Vec<Fact<'_>>, (u64, String)> {
        let (first, last) = self.range(after, until);
        let mut facts = Vec::new();
        let events = &self.page.events()[first..last];
        for (recorded, decoded) in events.iter().zip(&self.decoded[first..last]) {
            if !projection.reads(&recorded.event.type_name) {
                continue;
            }
            match decoded.get_or_init(|| DomainEvent::of(recorded)) {
                Ok(Some(event)) => facts.push(Fact { recorded, event }),
                Ok(None) => {}
                Err(reason) => return Err((recorded.position, reason.clone())),
            }
        }
        Ok(facts)
    }

    fn range(&self, after: u64, until: u64) -> (usize, usize) {
        let index = |position: u64| {
            usize::try_from(position.saturating_sub(self.after)).unwrap_or(usize::MAX)
        };
        let last = index(until).min(self.decoded.len());
        (index(after).min(last), last)
    }
}
