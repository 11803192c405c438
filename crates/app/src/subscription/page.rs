//! Pages of the log that end where a batch ends.

use std::sync::Arc;

use flexcore_eventsourcing::RecordedEvent;
use flexcore_ports::{Checkpoint, EventStore, ReadFilter, StoreError};

use super::SubscriptionError;

/// How many events one read of the log asks for.
const PAGE: usize = 2_000;

/// Events that follow each other without a gap, up to the end of a batch. Cheap to clone: copies
/// share the events.
#[derive(Debug, Clone)]
pub struct LogPage {
    events: Arc<Vec<RecordedEvent>>,
    /// How many of them belong to somebody else's past.
    skipped: usize,
    end: Checkpoint,
}

impl LogPage {
    /// Its events, at least one.
    pub fn events(&self) -> &[RecordedEvent] {
        &self.events[self.skipped..]
    }

    /// Where it ends: its last position, and the hash of the batch that ends there.
    pub const fn end(&self) -> Checkpoint {
        self.end
    }

    /// This page with those that follow it, as one.
    pub(super) fn with(self, following: &[Self]) -> Self {
        let Some(last) = following.last() else { return self };
        let count = following.iter().map(|page| page.events().len()).sum::<usize>();
        let mut events = Vec::with_capacity(self.events().len() + count);
        events.extend_from_slice(self.events());
        for page in following {
            events.extend_from_slice(page.events());
        }
        Self { events: Arc::new(events), skipped: 0, end: last.end }
    }

    /// What of it comes after a position; `None`: nothing.
    pub(super) fn after(mut self, position: u64) -> Option<Self> {
        if self.end.position <= position {
            return None;
        }
        self.skipped += self.events().iter().take_while(|event| event.position <= position).count();
        Some(self)
    }
}

/// The page after position `after`; `None` at the end of the log.
///
/// # Errors
/// [`SubscriptionError::Hole`] if it does not begin right there, or skips a position.
pub(crate) async fn read_page(
    store: &dyn EventStore,
    after: u64,
) -> Result<Option<LogPage>, SubscriptionError> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let from = events.last().map_or(after, |event| event.position);
        let read = store.read_all(from, PAGE, &ReadFilter::default()).await?;
        must_be_contiguous(from, &read)?;
        let is_end = read.len() < PAGE;
        if events.is_empty() {
            events = read;
        } else {
            events.extend(read);
        }
        if events.is_empty() {
            return Ok(None);
        }
        // A reader sees whole batches, so the end of the log is the end of one. Elsewhere the last
        // batch may be cut; those before it end at the latest where the time of commit changes.
        let whole = if is_end { Some(events.len()) } else { whole_batches(&events) };
        events.truncate(whole.unwrap_or(events.len()));
        let position = events.last().map_or(after, |event| event.position);
        if let Some(hash) = store.batch_hash_at(position).await? {
            let end = Checkpoint { position, hash };
            return Ok(Some(LogPage { events: Arc::new(events), skipped: 0, end }));
        }
        if whole.is_some() {
            let place = format!("position {position}");
            let reason = "the batch that ends there is missing".to_owned();
            return Err(StoreError::Corrupt { place, reason }.into());
        }
    }
}

/// How many of the events are in batches that certainly end among them; `None` if all of them may
/// be of one batch.
fn whole_batches(events: &[RecordedEvent]) -> Option<usize> {
    let changes = |pair: &[RecordedEvent]| pair[0].committed_at != pair[1].committed_at;
    events.windows(2).rposition(changes).map(|before| before + 1)
}

/// A page never skips a position: a hole means a corrupt log, and is never stepped over.
fn must_be_contiguous(after: u64, read: &[RecordedEvent]) -> Result<(), SubscriptionError> {
    match read.iter().zip(after + 1..).find(|(event, expected)| event.position != *expected) {
        None => Ok(()),
        Some((event, position)) => {
            Err(SubscriptionError::Hole { position, found: Some(event.position) })
        }
    }
}

/// The log still has the history that a checkpoint was taken of.
///
/// # Errors
/// [`SubscriptionError::Forked`].
pub(crate) async fn must_be_ours(
    store: &dyn EventStore,
    checkpoint: Checkpoint,
) -> Result<(), SubscriptionError> {
    let Checkpoint { position, hash } = checkpoint;
    if position == 0 || store.batch_hash_at(position).await? == Some(hash) {
        return Ok(());
    }
    let problem = if store.head().await?.position < position {
        "the log ends before it"
    } else {
        "the log has another history there"
    };
    Err(SubscriptionError::Forked { position, problem })
}
