//! What the host sends in one execution, held against the protocol.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use flexcore_plugin_protocol::protobuf::v1;
use tonic::Status;

/// With how many chunks and bytes the host begins.
pub(crate) const WINDOW: v1::Credit = v1::Credit { chunks: 32, bytes: 16 * 1024 * 1024 };

/// A chunk that the author has not taken yet.
#[derive(Debug, Clone)]
pub(crate) struct InputChunk {
    pub(crate) stream: Arc<str>,
    pub(crate) lines: Bytes,
}

/// Chunks in their order, and the host's credit.
#[derive(Debug)]
pub(super) struct Inbox {
    chunks: VecDeque<InputChunk>,
    streams: HashMap<u32, Arc<str>>,
    next_seq: u64,
    credit: v1::Credit,
    /// What was taken and not given back yet.
    taken: v1::Credit,
    pub(super) ended: bool,
}

impl Inbox {
    pub(super) fn new(schemas: Vec<v1::SchemaDefinition>) -> Result<Self, Status> {
        let mut inbox = Self {
            chunks: VecDeque::new(),
            streams: HashMap::new(),
            next_seq: 0,
            credit: WINDOW,
            taken: v1::Credit::default(),
            ended: false,
        };
        for schema in schemas {
            inbox.define(schema)?;
        }
        Ok(inbox)
    }

    fn define(&mut self, definition: v1::SchemaDefinition) -> Result<(), Status> {
        let name = definition.data_stream.map(|stream| stream.name).unwrap_or_default();
        let is_new = self.streams.insert(definition.schema_id, name.into()).is_none();
        if is_new && definition.schema_id != 0 {
            return Ok(());
        }
        Err(broken(format!("schema {} is defined twice, or is 0", definition.schema_id)))
    }

    pub(super) fn take_in(&mut self, chunk: v1::DataChunk) -> Result<(), Status> {
        if self.ended {
            return Err(broken("data came after the end of the input"));
        }
        if chunk.seq != self.next_seq {
            return Err(broken(format!(
                "chunk {} came where {} was due",
                chunk.seq, self.next_seq
            )));
        }
        self.next_seq += 1;
        if let Some(schema) = chunk.schema {
            self.define(schema)?;
        }
        let Some(stream) = self.streams.get(&chunk.schema_id) else {
            return Err(broken(format!("schema {} was never defined", chunk.schema_id)));
        };
        let Some(v1::data_chunk::Payload::Jsonl(lines)) = chunk.payload else {
            return Err(broken("a chunk is not in the encoding of the execution, JSON lines"));
        };
        let stream = Arc::clone(stream);
        self.spend(lines.len() as u64)?;
        check_payload(&lines, chunk.records, chunk.crc32c)?;
        self.chunks.push_back(InputChunk { stream, lines });
        Ok(())
    }

    fn spend(&mut self, bytes: u64) -> Result<(), Status> {
        let left = self.credit.bytes.checked_sub(bytes);
        let (Some(bytes), Some(chunks)) = (left, self.credit.chunks.checked_sub(1)) else {
            return Err(broken("a chunk came for which there was no credit"));
        };
        self.credit = v1::Credit { chunks, bytes };
        Ok(())
    }

    pub(super) fn end(&mut self, chunks: u64) -> Result<(), Status> {
        if self.ended || chunks != self.next_seq {
            return Err(broken(format!(
                "the input ended after {chunks} chunks, and {} came",
                self.next_seq
            )));
        }
        self.ended = true;
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<InputChunk> {
        self.chunks.pop_front()
    }

    /// A chunk was used up. The host gets credit back for half a window at a time, so that small
    /// inputs need no message for it.
    pub(super) fn used(&mut self, bytes: u64) -> Option<v1::Credit> {
        self.taken.chunks += 1;
        self.taken.bytes += bytes;
        let is_due = self.taken.chunks >= WINDOW.chunks / 2 || self.taken.bytes >= WINDOW.bytes / 2;
        if self.ended || !is_due {
            return None;
        }
        self.credit.chunks += self.taken.chunks;
        self.credit.bytes += self.taken.bytes;
        Some(std::mem::take(&mut self.taken))
    }
}

fn check_payload(lines: &Bytes, records: u32, crc32c: u32) -> Result<(), Status> {
    if crc32c::crc32c(lines) != crc32c {
        return Err(Status::data_loss("the host broke the protocol: a chunk has another checksum"));
    }
    if lines.last().is_some_and(|byte| *byte != b'\n') {
        return Err(broken("the last line of a chunk has no end"));
    }
    if memchr::memchr_iter(b'\n', lines).count() as u64 != u64::from(records) {
        return Err(broken(format!("a chunk does not have the {records} records that it counts")));
    }
    Ok(())
}

/// A breach that the host committed.
pub(super) fn broken(what: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("the host broke the protocol: {what}"))
}
