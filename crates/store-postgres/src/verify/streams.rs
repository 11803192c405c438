//! The ends of streams, recomputed from batches and compared with what is stored.

use std::collections::HashMap;

use flexcore_eventsourcing::{Epoch, Hash, StreamName, stream_head};
use flexcore_ports::{LogBatch, LogHead, StoreError};
use tokio_postgres::Client;

use crate::error::store_error;

/// The end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    version: u64,
    head: Hash,
    owner: Epoch,
}

const NEW: End = End { version: 0, head: Hash::ZERO, owner: Epoch(0) };

#[derive(Debug)]
struct Stream {
    /// `None`: no row, or one that cannot be read.
    stored: Option<End>,
    end: End,
    /// The last batch that wrote it, and the position before that batch.
    last_batch: Option<(u64, u64)>,
}

/// All streams, by name.
#[derive(Debug)]
pub(crate) struct Streams(HashMap<StreamName, Stream>);

impl Streams {
    /// Loads what is stored.
    pub(crate) async fn load(client: &Client) -> Result<Self, StoreError> {
        let sql = "SELECT name, version, head, owner_epoch FROM flexcore.stream";
        let mut streams = HashMap::new();
        for row in client.query(sql, &[]).await.map_err(|error| store_error(&error))? {
            // A name that is none is missed by the first batch that has it.
            let Ok(name) = row.get::<_, &str>(0).parse() else { continue };
            let unsigned = |column| u64::try_from(row.get::<_, i64>(column)).ok();
            let stored = || {
                let head = Hash::from_slice(row.get(2))?;
                Some(End { version: unsigned(1)?, head, owner: Epoch(unsigned(3)?) })
            };
            let stream = Stream { stored: stored(), end: NEW, last_batch: None };
            streams.insert(name, stream);
        }
        Ok(Self(streams))
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Adds the writes of a batch that follows position `before`.
    ///
    /// # Errors
    /// What about a write does not follow from its stream.
    pub(crate) fn add(&mut self, batch: &LogBatch, before: u64) -> Result<(), String> {
        let mut events = batch.events.iter().map(|event| event.leaf);
        for write in &batch.header.writes {
            let name = &write.stream;
            let stream = self.0.get_mut(name).ok_or_else(|| format!("{name} does not exist"))?;
            let end = &mut stream.end;
            if write.first_version != end.version + 1 {
                let (first, last) = (write.first_version, end.version);
                return Err(format!("it writes version {first} of {name}, which ends at {last}"));
            }
            if let Some(fence) = write.fence {
                if fence < end.owner {
                    let owner = end.owner;
                    return Err(format!(
                        "it has epoch {fence} on {name}, which belongs to {owner}"
                    ));
                }
                end.owner = fence;
            }
            let leaves: Vec<Hash> = events.by_ref().take(write.count as usize).collect();
            end.version += u64::from(write.count);
            end.head = stream_head(end.head, &leaves);
            stream.last_batch = Some((batch.number, before));
        }
        Ok(())
    }

    /// The first stream whose stored end is not the one that its events have: batch, last good
    /// position and reason. `end` is the end of the log.
    pub(crate) fn compare(&self, end: LogHead) -> Option<(u64, u64, String)> {
        let at = |stream: &Stream| stream.last_batch.unwrap_or((end.batch, end.position));
        let differing =
            self.0.iter().filter(|(_, s)| s.stored != Some(s.end) || s.last_batch.is_none());
        differing.min_by_key(|(name, stream)| (at(stream), name.as_str())).map(|(name, stream)| {
            let (batch, last_good) = at(stream);
            let reason = format!("the stored end of {name} is not the one that its events have");
            (batch, last_good, reason)
        })
    }
}
