//! What comes out of an execution. A plugin that lies about it is found out here.

use std::collections::HashMap;

use flexcore_plugin_protocol::protobuf::v1::{self, data_chunk::Payload};
use flexcore_ports::PluginOutput;
use serde_json::Value;

use crate::error::Fault;

/// How many data streams one execution may have.
const MAX_DATA_STREAMS: usize = 1_000;
/// How many schemas one execution may define.
const MAX_SCHEMAS: usize = 10_000;

/// What came so far.
#[derive(Debug)]
pub(super) struct Results {
    /// The number of the next chunk.
    next: u64,
    /// What the plugin may still send.
    credit: v1::Credit,
    /// With how much it began; half of it is given back at a time.
    window: v1::Credit,
    /// What was used and not given back.
    used: v1::Credit,
    /// The place of each schema's data stream in `records`.
    schemas: HashMap<u32, usize>,
    records: Vec<(String, Vec<Value>)>,
    bookmark: Option<String>,
    bytes: u64,
    max_bytes: u64,
}

impl Results {
    pub(super) fn new(window: v1::Credit, max_bytes: u64) -> Self {
        Self {
            next: 0,
            credit: window,
            window,
            used: v1::Credit::default(),
            schemas: HashMap::new(),
            records: Vec::new(),
            bookmark: None,
            bytes: 0,
            max_bytes,
        }
    }

    /// Takes a chunk, and says how much more may be sent if it is time to.
    pub(super) fn take(&mut self, chunk: v1::DataChunk) -> Result<Option<v1::Credit>, Fault> {
        if chunk.seq != self.next {
            let what = format!("sent chunk {} where {} comes next", chunk.seq, self.next);
            return Err(Fault::protocol(what));
        }
        self.next += 1;
        let payload = match chunk.payload {
            Some(Payload::Jsonl(payload)) => payload,
            Some(Payload::ArrowIpc(_)) => {
                return Err(Fault::protocol("sent Arrow where JSON lines were agreed on"));
            }
            None => return Err(Fault::protocol("sent a chunk without a payload")),
        };
        let given_back = self.pay(payload.len() as u64)?;
        let crc32c = crc32c::crc32c(&payload);
        if crc32c != chunk.crc32c {
            let what = format!(
                "sent chunk {} with checksum {:08x}, and its payload has {crc32c:08x}",
                chunk.seq, chunk.crc32c
            );
            return Err(Fault::protocol(what));
        }
        if let Some(schema) = chunk.schema {
            self.define(schema)?;
        }
        let Some(&place) = self.schemas.get(&chunk.schema_id) else {
            let what =
                format!("sent records of schema {}, which it never defined", chunk.schema_id);
            return Err(Fault::protocol(what));
        };
        let before = self.records[place].1.len();
        read_lines(&payload, chunk.seq, &mut self.records[place].1)?;
        let found = self.records[place].1.len() - before;
        if found == 0 || found != chunk.records as usize {
            let what = format!(
                "sent chunk {} for {} records, and it has {found}",
                chunk.seq, chunk.records
            );
            return Err(Fault::protocol(what));
        }
        Ok(given_back)
    }

    fn pay(&mut self, bytes: u64) -> Result<Option<v1::Credit>, Fault> {
        let chunks = self.credit.chunks.checked_sub(1);
        let (Some(chunks), Some(left)) = (chunks, self.credit.bytes.checked_sub(bytes)) else {
            return Err(Fault::protocol("sent more than it had credit for"));
        };
        self.credit = v1::Credit { chunks, bytes: left };
        self.bytes += bytes;
        if self.bytes > self.max_bytes {
            let what = format!(
                "handed over more than {} bytes; `output_bytes` in its limits says how much it may",
                self.max_bytes
            );
            return Err(Fault::protocol(what));
        }
        self.used.chunks += 1;
        self.used.bytes += bytes;
        let is_time =
            self.used.chunks * 2 > self.window.chunks || self.used.bytes * 2 > self.window.bytes;
        if !is_time {
            return Ok(None);
        }
        let given_back = std::mem::take(&mut self.used);
        self.credit.chunks += given_back.chunks;
        self.credit.bytes += given_back.bytes;
        Ok(Some(given_back))
    }

    fn define(&mut self, schema: v1::SchemaDefinition) -> Result<(), Fault> {
        let id = schema.schema_id;
        let Some(stream) = schema.data_stream.filter(|stream| !stream.name.is_empty()) else {
            let what = format!("defined schema {id} without a data stream");
            return Err(Fault::protocol(what));
        };
        let place = match self.records.iter().position(|(name, _)| *name == stream.name) {
            Some(place) => place,
            None if self.records.len() < MAX_DATA_STREAMS => {
                self.records.push((stream.name, Vec::new()));
                self.records.len() - 1
            }
            None => {
                let what = format!("has more than {MAX_DATA_STREAMS} data streams");
                return Err(Fault::protocol(what));
            }
        };
        if id == 0 || self.schemas.len() >= MAX_SCHEMAS || self.schemas.contains_key(&id) {
            let what = format!("defined schema {id}, which is no new number from 1 on");
            return Err(Fault::protocol(what));
        }
        self.schemas.insert(id, place);
        Ok(())
    }

    /// Keeps how far the plugin got.
    pub(super) fn remember(&mut self, bookmark: v1::Bookmark) -> Result<(), Fault> {
        check_json(&bookmark.bookmark_json, "a bookmark")?;
        if bookmark.below_seq > self.next {
            let what = format!(
                "sent a bookmark for the chunks below {}, and has sent {}",
                bookmark.below_seq, self.next
            );
            return Err(Fault::protocol(what));
        }
        self.bookmark = Some(bookmark.bookmark_json);
        Ok(())
    }

    /// All that came, if it is all.
    pub(super) fn complete(
        &mut self,
        completed: &v1::ExecutionCompleted,
    ) -> Result<PluginOutput, Fault> {
        if completed.chunks != self.next {
            let what =
                format!("says that it sent {} chunks, and {} came", completed.chunks, self.next);
            return Err(Fault::protocol(what));
        }
        let result = match completed.output_json.as_str() {
            "" => None,
            text => Some(check_json(text, "its output")?),
        };
        let records = std::mem::take(&mut self.records);
        Ok(PluginOutput { result, records, state: self.bookmark.take() })
    }
}

/// JSON nested deeper than 128 levels is an error too.
fn check_json(text: &str, what: &str) -> Result<Value, Fault> {
    serde_json::from_str(text)
        .map_err(|error| Fault::protocol(format!("sent {what} that is no JSON ({error})")))
}

fn read_lines(payload: &[u8], seq: u64, records: &mut Vec<Value>) -> Result<(), Fault> {
    let Some(lines) = payload.strip_suffix(b"\n") else {
        let what = format!("sent chunk {seq}, whose last line has no end");
        return Err(Fault::protocol(what));
    };
    for (number, line) in lines.split(|&byte| byte == b'\n').enumerate() {
        match serde_json::from_slice::<Value>(line) {
            Ok(record @ Value::Object(_)) => records.push(record),
            Ok(_) => {
                let what = format!("sent chunk {seq}, whose line {} is no object", number + 1);
                return Err(Fault::protocol(what));
            }
            Err(error) => {
                let what =
                    format!("sent chunk {seq}, whose line {} is no JSON ({error})", number + 1);
                return Err(Fault::protocol(what));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
