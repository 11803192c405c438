//! What holds for a log after whatever was done to it.

use std::collections::BTreeMap;

use flexcore_eventsourcing::{Hash, RecordedEvent};
use flexcore_ports::{LogBatch, LogHead, ReadFilter};

use super::Fixture;

impl Fixture {
    /// Proves the whole log, and that all ways to read it say the same.
    ///
    /// # Panics
    /// If something does not hold, which is what tests are for.
    pub async fn assert_whole(&self) {
        let head = self.head().await;
        let batches = self.batches().await;
        let mut end = LogHead { position: 0, batch: 0, hash: Hash::ZERO };
        for batch in &batches {
            assert_eq!(batch.check_after(end), Ok(()), "batch {}", batch.number);
            end = batch.head();
        }
        assert_eq!(end, head, "the last batch is the head");
        self.assert_batch_hashes(&batches).await;
        let events: Vec<_> = batches.into_iter().flat_map(|batch| batch.events).collect();
        assert!(self.everything().await == events, "batches and pages hold the same events");
        self.assert_counts(head, &events).await;
    }

    /// All batches of the log.
    pub(super) async fn batches(&self) -> Vec<LogBatch> {
        let mut batches: Vec<LogBatch> = Vec::new();
        loop {
            let after = batches.last().map_or(0, |batch| batch.number);
            let more = self.transfer.read_batches(after, 100).await.expect("it can be read");
            if more.is_empty() {
                return batches;
            }
            batches.extend(more);
        }
    }

    /// All events of the log, also if there are more than one page has.
    pub(super) async fn everything(&self) -> Vec<RecordedEvent> {
        let mut events: Vec<RecordedEvent> = Vec::new();
        loop {
            let after = events.last().map_or(0, |event| event.position);
            let page = self.store.read_all(after, 4_000, &ReadFilter::default()).await;
            let page = page.expect("the log can be read");
            if page.is_empty() {
                return events;
            }
            events.extend(page);
        }
    }

    /// The hash of each batch is found by its end; a few of them are enough.
    async fn assert_batch_hashes(&self, batches: &[LogBatch]) {
        let step = batches.len().div_ceil(8).max(1);
        for batch in batches.iter().step_by(step) {
            let hash = self.store.batch_hash_at(batch.header.last_position).await;
            assert_eq!(hash.expect("it can be read"), Some(batch.hash));
            if batch.events.len() > 1 {
                let inside = self.store.batch_hash_at(batch.header.first_position).await;
                assert_eq!(inside.expect("it can be read"), None);
            }
        }
    }

    async fn assert_counts(&self, head: LogHead, events: &[RecordedEvent]) {
        let report = self.verifier.verify(&[head]).await.expect("it can be read");
        assert_eq!(report.fault, None);
        assert_eq!((report.batches, report.events), (head.batch, head.position));
        assert_eq!(report.head, head.hash);
        let mut types: BTreeMap<String, u64> = BTreeMap::new();
        let mut streams: BTreeMap<&str, u64> = BTreeMap::new();
        for event in events {
            *types.entry(event.event.type_name.to_string()).or_default() += 1;
            let version = streams.entry(event.stream.as_str()).or_default();
            *version += 1;
            assert_eq!(event.version, *version, "of {} at {}", event.stream, event.position);
        }
        let mut counts = self.verifier.statistics().await.expect("it can be read");
        assert_eq!(counts.head, head);
        assert_eq!((counts.streams, report.streams), (streams.len() as u64, streams.len() as u64));
        counts.types.sort();
        assert_eq!(counts.types, types.into_iter().collect::<Vec<_>>());
        let time = |event: Option<&RecordedEvent>| event.map(|event| event.committed_at);
        assert_eq!(counts.first_committed_at, time(events.first()));
        assert_eq!(counts.last_committed_at, time(events.last()));
    }
}
