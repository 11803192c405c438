//! A page of the log: whole batches, each event decoded once for all projections.

use std::sync::OnceLock;

use flexcore_eventsourcing::RecordedEvent;
use flexcore_ports::{Checkpoint, EventStore, ReadFilter};

use super::{
    Projection, ProjectionError,
    fact::{DomainEvent, Fact},
};

/// How many events one transaction folds in, more or less: a page ends where a batch does.
const PAGE: usize = 2_000;

/// Events in a row that end where a batch ends.
#[derive(Debug)]
pub(crate) struct LogPage {
    /// The position before the first of them.
    pub(crate) after: u64,
    /// The events.
    events: Vec<RecordedEvent>,
    /// What they mean, once somebody asked.
    decoded: Vec<OnceLock<Result<Option<DomainEvent>, String>>>,
    /// Where the page ends.
    pub(crate) end: Checkpoint,
}

impl LogPage {
    /// Events that somebody read: all those after `after`, up to `end`.
    ///
    /// # Errors
    /// [`ProjectionError::Poisoned`] if they are not dense.
    pub(crate) fn new(
        after: u64,
        events: Vec<RecordedEvent>,
        end: Checkpoint,
    ) -> Result<Self, ProjectionError> {
        must_be_contiguous(after, &events)?;
        let decoded = events.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { after, events, decoded, end })
    }

    /// The next page after a position.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub(crate) async fn read(store: &dyn EventStore, after: u64) -> Result<Self, ProjectionError> {
        let mut events: Vec<RecordedEvent> = Vec::new();
        loop {
            let from = events.last().map_or(after, |event| event.position);
            let page = store.read_all(from, PAGE, &ReadFilter::default()).await?;
            must_be_contiguous(from, &page)?;
            events.extend(page);
            let position = events.last().map_or(after, |event| event.position);
            if let Some(hash) = store.batch_hash_at(position).await? {
                return Self::new(after, events, Checkpoint { position, hash });
            }
        }
    }

    /// The events after `after`, up to `until`.
    pub(super) fn events(&self, after: u64, until: u64) -> &[RecordedEvent] {
        let (first, last) = self.range(after, until);
        &self.events[first..last]
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
        for (recorded, decoded) in self.events[first..last].iter().zip(&self.decoded[first..last]) {
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
        let last = index(until).min(self.events.len());
        (index(after).min(last), last)
    }
}

/// A page never skips a position: a hole means a corrupt log, and is never stepped over.
fn must_be_contiguous(after: u64, page: &[RecordedEvent]) -> Result<(), ProjectionError> {
    let expected = after + 1..;
    match page.iter().zip(expected).find(|(event, expected)| event.position != *expected) {
        None if page.is_empty() => Err(ProjectionError::Poisoned {
            position: after + 1,
            reason: "the log has no event there although it goes on".to_owned(),
        }),
        None => Ok(()),
        Some((event, expected)) => Err(ProjectionError::Poisoned {
            position: expected,
            reason: format!("the log has no event there; the next one is at {}", event.position),
        }),
    }
}
