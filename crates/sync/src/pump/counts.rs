//! What was handed over, per stream.

use std::collections::HashMap;

use flexcore_ports::attempt::Progress;
use serde_json::{Map, Value, json};

/// Counts that only grow.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    records: u64,
    bytes: u64,
    rejected: u64,
    streams: Vec<StreamCount>,
    index: HashMap<String, usize>,
    /// The stream of the record before: nearly always that of the next.
    last: usize,
}

#[derive(Debug)]
struct StreamCount {
    name: String,
    records: u64,
    bytes: u64,
}

impl Counts {
    /// One record whose line, newline included, has this many bytes. A record that names no stream
    /// counts in the totals alone.
    #[inline]
    pub(super) fn record(&mut self, stream: Option<&str>, bytes: u64) {
        self.records += 1;
        self.bytes += bytes;
        let Some(name) = stream else { return };
        if self.streams.get(self.last).is_none_or(|last| last.name != name) {
            self.last = self.position(name);
        }
        let stream = &mut self.streams[self.last];
        stream.records += 1;
        stream.bytes += bytes;
    }

    fn position(&mut self, name: &str) -> usize {
        if let Some(position) = self.index.get(name) {
            return *position;
        }
        self.streams.push(StreamCount { name: name.to_owned(), records: 0, bytes: 0 });
        self.index.insert(name.to_owned(), self.streams.len() - 1);
        self.streams.len() - 1
    }

    /// One line that is no message.
    pub(super) fn reject(&mut self) {
        self.rejected += 1;
    }

    /// Records handed over.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Lines that were no messages.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected
    }

    /// The counts as observers take them.
    pub(crate) fn progress(&self) -> Progress {
        let streams = self.streams.iter().map(|s| (s.name.clone(), s.records, s.bytes)).collect();
        Progress { records: self.records, bytes: self.bytes, streams }
    }

    /// The output of the sync.
    pub(crate) fn to_output(&self) -> Value {
        let streams: Map<String, Value> = self
            .streams
            .iter()
            .map(|s| (s.name.clone(), json!({ "records": s.records, "bytes": s.bytes })))
            .collect();
        json!({
            "records": self.records,
            "bytes": self.bytes,
            "rejected": self.rejected,
            "streams": streams,
        })
    }
}
