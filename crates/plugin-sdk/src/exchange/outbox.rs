//! What the plugin sends in one execution, within the host's credit.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use flexcore_plugin_protocol::protobuf::v1::{self, execute_response::Message};

use crate::{DataStream, Failure};

/// As many bytes as a chunk gathers.
const CHUNK_BYTES: usize = 256 * 1024;
/// As many bytes as a chunk can have; the rest of a message of 16 MiB is for what is around it.
const MAX_CHUNK_BYTES: usize = 15 * 1024 * 1024;
/// As many messages as wait for the connection.
const MAX_WAITING: usize = 8;

/// Messages in their order, and the chunk that is being filled.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: VecDeque<Message>,
    open: Option<OpenChunk>,
    streams: Vec<OutputStream>,
    next_seq: u64,
    credit: v1::Credit,
    chunk_bytes: usize,
}

#[derive(Debug)]
struct OpenChunk {
    /// The place of its data stream.
    stream: usize,
    lines: BytesMut,
    records: u32,
}

#[derive(Debug)]
struct OutputStream {
    declared: v1::DataStream,
    was_sent: bool,
}

/// What became of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It is in.
    Taken,
    /// It has to wait for credit or for the connection.
    Wait,
}

impl Outbox {
    pub(super) fn new(credit: v1::Credit) -> Self {
        // A host that gives little at a time gets small chunks.
        let half = usize::try_from(credit.bytes / 2).unwrap_or(CHUNK_BYTES);
        Self {
            waiting: VecDeque::new(),
            open: None,
            streams: Vec::new(),
            next_seq: 0,
            credit,
            chunk_bytes: half.clamp(1, CHUNK_BYTES),
        }
    }

    pub(super) fn add_credit(&mut self, credit: v1::Credit) {
        self.credit.chunks = self.credit.chunks.saturating_add(credit.chunks);
        self.credit.bytes = self.credit.bytes.saturating_add(credit.bytes);
    }

    /// Says what the records of a data stream are like; a line of it must not have gone before.
    pub(super) fn declare(&mut self, stream: DataStream) -> Result<(), Failure> {
        let declared = v1::DataStream {
            name: stream.name,
            schema_json: stream.schema.to_string(),
            key_properties: stream.key_properties,
        };
        if self.streams.iter().any(|known| known.declared.name == declared.name) {
            return Err(Failure::internal(format!(
                "the data stream `{}` was declared twice, or after its first record",
                declared.name
            )));
        }
        self.streams.push(OutputStream { declared, was_sent: false });
        Ok(())
    }

    /// Adds a line, without its end.
    pub(super) fn push(&mut self, stream: &str, line: &[u8]) -> Result<Room, Failure> {
        let bytes = line.len() + 1;
        if bytes > MAX_CHUNK_BYTES {
            return Err(Failure::data(format!(
                "a record of data stream `{stream}` has {bytes} bytes; at most {MAX_CHUNK_BYTES} \
                 are possible"
            )));
        }
        if self.waiting.len() >= MAX_WAITING {
            return Ok(Room::Wait);
        }
        let fits = self.open.as_ref().is_none_or(|open| {
            self.streams[open.stream].declared.name == stream
                && open.lines.len() + bytes <= self.chunk_bytes
        });
        if !fits && !self.close() {
            return Ok(Room::Wait);
        }
        let stream = self.place_of(stream);
        let open = self.open.get_or_insert_with(|| OpenChunk {
            stream,
            lines: BytesMut::new(),
            records: 0,
        });
        open.lines.reserve(bytes);
        open.lines.put_slice(line);
        open.lines.put_u8(b'\n');
        open.records += 1;
        Ok(Room::Taken)
    }

    fn place_of(&mut self, name: &str) -> usize {
        if let Some(place) = self.streams.iter().position(|known| known.declared.name == name) {
            return place;
        }
        let declared = v1::DataStream {
            name: name.to_owned(),
            schema_json: "{}".to_owned(),
            key_properties: Vec::new(),
        };
        self.streams.push(OutputStream { declared, was_sent: false });
        self.streams.len() - 1
    }

    /// Puts the open chunk among those that wait, if there is one and the credit suffices. Says
    /// whether none is open any more.
    pub(super) fn close(&mut self) -> bool {
        let Some(open) = self.open.take() else { return true };
        let left = self.credit.bytes.checked_sub(open.lines.len() as u64);
        let (Some(bytes), Some(chunks)) = (left, self.credit.chunks.checked_sub(1)) else {
            self.open = Some(open);
            return false;
        };
        self.credit = v1::Credit { chunks, bytes };
        let chunk = self.chunk(open);
        self.waiting.push_back(Message::Data(chunk));
        true
    }

    fn chunk(&mut self, open: OpenChunk) -> v1::DataChunk {
        let schema_id = u32::try_from(open.stream + 1).unwrap_or(u32::MAX);
        let stream = &mut self.streams[open.stream];
        let schema = (!std::mem::replace(&mut stream.was_sent, true)).then(|| {
            v1::SchemaDefinition { schema_id, data_stream: Some(stream.declared.clone()) }
        });
        let lines: Bytes = open.lines.freeze();
        let seq = self.next_seq;
        self.next_seq += 1;
        v1::DataChunk {
            seq,
            schema_id,
            crc32c: crc32c::crc32c(&lines),
            records: open.records,
            payload: Some(v1::data_chunk::Payload::Jsonl(lines)),
            schema,
        }
    }

    /// A message that needs no credit. It comes after the records before it: `close` first.
    pub(super) fn send(&mut self, message: Message) {
        self.waiting.push_back(message);
    }

    /// How many chunks were made.
    pub(super) fn chunks(&self) -> u64 {
        self.next_seq
    }

    pub(super) fn next(&mut self) -> Option<Message> {
        self.waiting.pop_front()
    }

    /// Whether something new can be put in without waiting for the connection.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(chunks: u32, bytes: u64) -> Outbox {
        Outbox::new(v1::Credit { chunks, bytes })
    }

    fn data(outbox: &mut Outbox) -> v1::DataChunk {
        match outbox.next() {
            Some(Message::Data(chunk)) => chunk,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_chunk_says_what_it_holds_and_its_schema_once() {
        let mut outbox = outbox(8, 1 << 20);
        assert_eq!(outbox.push("a", b"{}"), Ok(Room::Taken));
        assert_eq!(outbox.push("a", br#"{"x":1}"#), Ok(Room::Taken));
        assert_eq!(outbox.push("b", b"{}"), Ok(Room::Taken));
        assert!(outbox.close());
        assert_eq!(outbox.push("a", b"{}"), Ok(Room::Taken));
        assert!(outbox.close());
        let first = data(&mut outbox);
        let lines = Bytes::from_static(b"{}\n{\"x\":1}\n");
        assert_eq!(first.crc32c, crc32c::crc32c(&lines));
        assert_eq!(first.payload, Some(v1::data_chunk::Payload::Jsonl(lines)));
        assert_eq!((first.seq, first.schema_id, first.records), (0, 1, 2));
        assert_eq!(first.schema.unwrap().data_stream.unwrap().name, "a");
        assert_eq!(data(&mut outbox).schema.unwrap().schema_id, 2);
        let third = data(&mut outbox);
        assert_eq!((third.seq, third.schema_id, third.schema), (2, 1, None));
    }

    #[test]
    fn nothing_goes_without_credit() {
        let mut outbox = outbox(1, 8);
        assert_eq!(outbox.push("a", b"{}"), Ok(Room::Taken));
        assert_eq!(outbox.push("a", b"{}"), Ok(Room::Taken), "it closes the first");
        assert_eq!(outbox.push("a", b"{}"), Ok(Room::Wait));
        assert!(!outbox.close());
        outbox.add_credit(v1::Credit { chunks: 1, bytes: 0 });
        assert_eq!(outbox.push("a", b"{}"), Ok(Room::Taken));
        assert_eq!((data(&mut outbox).seq, data(&mut outbox).seq), (0, 1));
        assert_eq!(outbox.next(), None);
    }

    #[test]
    fn a_record_that_no_message_can_hold_is_refused() {
        let line = vec![b' '; MAX_CHUNK_BYTES];
        assert!(outbox(8, u64::MAX).push("a", &line).is_err());
    }
}
