//! An append, made ready on its caller's thread.

use flexcore_eventsourcing::{
    Append, BatchWrite, Epoch, Hash, StreamName, StreamWrite, leaf_hash, put_batch_write,
};
use flexcore_ports::{AppendError, check_append};

/// What an append does to one stream, all its writes of that stream taken together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// The stream.
    pub(crate) stream: StreamName,
    /// The version that it must have before.
    pub(crate) expected: u64,
    /// How many events are added; 0: it is only guarded.
    pub(crate) added: u32,
    /// The largest owner epoch that it may have before: the smallest fence.
    pub(crate) largest: i64,
    /// The owner epoch that it has at least afterwards.
    pub(crate) epoch: i64,
    /// The leaves of the events, in order.
    pub(crate) leaves: Vec<Hash>,
    /// How many of the leaves belong to which write, if there is more than one: each write makes
    /// a head of its own.
    pub(crate) counts: Vec<u32>,
}

/// An append that keeps the limits, hashed and encoded as far as that is possible without knowing
/// the log.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The append.
    pub(crate) append: Append,
    /// The leaf of each event, in order.
    pub(crate) leaves: Vec<Hash>,
    /// How many payload bytes it has.
    pub(crate) bytes: usize,
    /// Its streams, each once.
    pub(crate) parts: Vec<Part>,
    /// Its stream writes, as the hash of a batch covers them.
    pub(crate) writes: Vec<u8>,
    /// How many stream writes that are.
    pub(crate) write_count: u32,
    /// Its writes contradict each other, so that it cannot be accepted.
    pub(crate) is_contradictory: bool,
}

impl Prepared {
    /// Checks the limits and computes the leaves.
    ///
    /// # Errors
    /// [`AppendError::Invalid`] naming what breaks which limit.
    pub(crate) fn new(append: Append) -> Result<Self, AppendError> {
        let bytes = check_append(&append)?;
        Ok(Self { bytes, ..Self::unlimited(append) })
    }

    /// Computes the leaves of what another log took: many appends as one, perhaps.
    pub(crate) fn unlimited(append: Append) -> Self {
        let mut prepared = Self {
            leaves: Vec::with_capacity(append.event_count()),
            bytes: 0,
            parts: Vec::with_capacity(append.writes.len()),
            writes: Vec::with_capacity(append.writes.len() * 96),
            write_count: 0,
            is_contradictory: false,
            append: Append::default(),
        };
        for write in &append.writes {
            prepared.add(write);
        }
        prepared.append = append;
        prepared
    }

    /// How many events it has.
    pub(crate) fn event_count(&self) -> usize {
        self.leaves.len()
    }

    fn add(&mut self, write: &StreamWrite) {
        let from = self.leaves.len();
        self.leaves.extend(write.events.iter().map(|event| leaf_hash(&write.stream, event)));
        // An append has far fewer events than u32::MAX.
        let count = u32::try_from(write.events.len()).unwrap_or(u32::MAX);
        if count > 0 {
            let (stream, fence) = (write.stream.clone(), write.fence);
            let first_version = write.expected + 1;
            let header = BatchWrite { stream, first_version, count, fence };
            put_batch_write(&mut self.writes, &header);
            self.write_count += 1;
        }
        let leaves = &self.leaves[from..];
        match self.parts.iter_mut().find(|part| part.stream == write.stream) {
            None => self.parts.push(Part::new(write, count, leaves)),
            Some(part) => self.is_contradictory |= !part.join(write, count, leaves),
        }
    }
}

impl Part {
    fn new(write: &StreamWrite, count: u32, leaves: &[Hash]) -> Self {
        Self {
            stream: write.stream.clone(),
            expected: write.expected,
            added: count,
            largest: write.fence.map_or(i64::MAX, epoch),
            epoch: if count > 0 { write.fence.map_or(0, epoch) } else { 0 },
            leaves: leaves.to_vec(),
            counts: if count > 0 { vec![count] } else { Vec::new() },
        }
    }

    /// Adds a further write of the same stream; `false` if it could only be refused.
    fn join(&mut self, write: &StreamWrite, count: u32, leaves: &[Hash]) -> bool {
        let fence = write.fence.map(epoch);
        let follows = write.expected == self.expected + u64::from(self.added)
            && fence.is_none_or(|fence| fence >= self.epoch);
        self.largest = self.largest.min(fence.unwrap_or(i64::MAX));
        if count > 0 {
            self.epoch = self.epoch.max(fence.unwrap_or(0));
            self.added += count;
            self.leaves.extend_from_slice(leaves);
            self.counts.push(count);
        }
        follows
    }
}

/// A fence as the database's number; limits hold it to its range.
fn epoch(epoch: Epoch) -> i64 {
    i64::try_from(epoch.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use flexcore_testkit::{event, stream};

    use super::*;

    #[test]
    fn writes_of_one_stream_are_taken_together() {
        let append = Append::to(stream("a"), 3, vec![event(1)])
            .fenced(Epoch(4))
            .and(Append::to(stream("b"), 0, vec![event(2)]))
            .and(Append::to(stream("a"), 4, vec![event(3), event(4)]).fenced(Epoch(6)))
            .guarded(stream("a"), 6, Some(Epoch(9)));
        let prepared = Prepared::new(append).unwrap();
        assert!(!prepared.is_contradictory);
        assert_eq!((prepared.write_count, prepared.parts.len()), (3, 2));
        let part = &prepared.parts[0];
        assert_eq!((part.expected, part.added, part.largest, part.epoch), (3, 3, 4, 6));
        assert_eq!(part.counts, [1, 2]);
        assert_eq!(part.leaves, [0, 2, 3].map(|index: usize| prepared.leaves[index]));
    }

    #[test]
    fn writes_that_contradict_each_other_are_known_beforehand() {
        let first = Append::to(stream("a"), 3, vec![event(1)]).fenced(Epoch(4));
        let version = first.clone().and(Append::to(stream("a"), 3, vec![event(2)]));
        let fence = first.and(Append::to(stream("a"), 4, vec![event(2)]).fenced(Epoch(3)));
        for append in [version, fence] {
            assert!(Prepared::new(append).unwrap().is_contradictory);
        }
    }
}
