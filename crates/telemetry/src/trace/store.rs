//! Appends as spans.

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_eventsourcing::{Append, Hash, RecordedEvent, StreamName, Timestamp};
use flexcore_ports::{AppendError, Appended, EventStore, LogHead, ReadFilter, StoreError};
use tokio::sync::watch;
use tracing::Instrument as _;

/// An event store whose appends are spans of the traces that they belong to.
pub struct TracedEventStore {
    inner: Arc<dyn EventStore>,
}

impl TracedEventStore {
    /// The same store, traced.
    pub fn new(inner: Arc<dyn EventStore>) -> Self {
        Self { inner }
    }
}

impl std::fmt::Debug for TracedEventStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TracedEventStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl EventStore for TracedEventStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        // What belongs to nothing that is traced costs nothing.
        if tracing::Span::current().is_none() {
            return self.inner.append(append).await;
        }
        let stream = append.writes.first().map(|write| write.stream.to_string());
        let span = tracing::info_span!(
            "append",
            otel.kind = "client",
            stream,
            events = append.writes.iter().map(|write| write.events.len()).sum::<usize>(),
            position = tracing::field::Empty,
            refused = tracing::field::Empty,
            error = tracing::field::Empty,
        );
        let appended = self.inner.append(append).instrument(span.clone()).await;
        match &appended {
            Ok(appended) => span.record("position", appended.last_position),
            // Somebody was quicker: no fault of anybody's.
            Err(error @ (AppendError::Conflict { .. } | AppendError::Fenced { .. })) => {
                span.record("refused", tracing::field::display(error))
            }
            Err(error) => span.record("error", tracing::field::display(error)),
        };
        appended
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from_version: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.inner.read_stream(stream, from_version, limit).await
    }

    async fn read_all(
        &self,
        after: u64,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.inner.read_all(after, limit, filter).await
    }

    async fn position_at(&self, time: Timestamp) -> Result<u64, StoreError> {
        self.inner.position_at(time).await
    }

    async fn head(&self) -> Result<LogHead, StoreError> {
        self.inner.head().await
    }

    async fn batch_hash_at(&self, position: u64) -> Result<Option<Hash>, StoreError> {
        self.inner.batch_hash_at(position).await
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.inner.appended()
    }
}
