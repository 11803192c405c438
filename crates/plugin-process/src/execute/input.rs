//! What goes into an execution: parameters, or records in chunks as far as there is credit.

use bytes::Bytes;
use flexcore_domain::ErrorClass;
use flexcore_plugin_protocol::protobuf::v1::{
    self, data_chunk::Payload, execute_request::Message as Request,
};
use serde_json::Value;

use super::request;
use crate::{error::Fault, grpc::Sending};

/// The data stream of a call's records.
const DATA_STREAM: &str = "input";
const SCHEMA_ID: u32 = 1;
/// About how long a chunk is; a longer record has a chunk of its own.
const CHUNK: usize = 256 << 10;
/// No payload is longer than this.
const MAX_PAYLOAD: usize = 15 << 20;

/// What goes into an execution.
#[derive(Debug)]
pub(super) struct Input<'a> {
    parameters: Option<&'a Value>,
    records: Option<&'a [Value]>,
    /// The records before this one are in chunks or in `held`.
    next: usize,
    /// A record that did not fit into the credit so far.
    held: Vec<u8>,
    chunks: u64,
    credit: v1::Credit,
    has_ended: bool,
}

impl<'a> Input<'a> {
    /// An array is records, anything else parameters.
    pub(super) fn new(input: &'a Value, credit: Option<v1::Credit>) -> Result<Self, Fault> {
        let records = input.as_array().map(Vec::as_slice);
        let strange = records.unwrap_or_default().iter().position(|record| !record.is_object());
        if let Some(place) = strange {
            let message =
                format!("record {} of its input is no object; each of them must be one", place + 1);
            return Err(Fault::Failed { class: ErrorClass::Refused, message });
        }
        Ok(Self {
            parameters: records.is_none().then_some(input),
            records,
            next: 0,
            held: Vec::new(),
            chunks: 0,
            credit: credit.unwrap_or_default(),
            has_ended: false,
        })
    }

    pub(super) fn parameters_json(&self) -> String {
        match self.parameters {
            Some(Value::Null) | None => "{}".to_owned(),
            Some(parameters) => parameters.to_string(),
        }
    }

    /// The schemas of the records, where there are any.
    pub(super) fn schemas(&self) -> Vec<v1::SchemaDefinition> {
        let schema = |_| v1::SchemaDefinition {
            schema_id: SCHEMA_ID,
            data_stream: Some(v1::DataStream {
                name: DATA_STREAM.to_owned(),
                // Nothing is known of the records but that they are objects.
                schema_json: r#"{"type":"object"}"#.to_owned(),
                key_properties: Vec::new(),
            }),
        };
        self.records.map(schema).into_iter().collect()
    }

    /// The plugin gives credit.
    pub(super) fn allow(&mut self, credit: v1::Credit) -> Result<(), Fault> {
        let chunks = self.credit.chunks.checked_add(credit.chunks);
        let bytes = self.credit.bytes.checked_add(credit.bytes);
        let (Some(chunks), Some(bytes)) = (chunks, bytes) else {
            return Err(Fault::protocol("gave more credit than can be counted"));
        };
        self.credit = v1::Credit { chunks, bytes };
        Ok(())
    }

    /// Sends what there is credit for, and the end behind the last of it.
    pub(super) fn send(&mut self, sending: &mut Sending) -> Result<(), Fault> {
        while let Some((payload, records)) = self.chunk()? {
            let chunk = v1::DataChunk {
                seq: self.chunks,
                schema_id: SCHEMA_ID,
                crc32c: crc32c::crc32c(&payload),
                records,
                schema: None,
                payload: Some(Payload::Jsonl(payload)),
            };
            self.chunks += 1;
            sending.push(&request(Request::Data(chunk)));
        }
        let is_all = self.held.is_empty() && self.next == self.records.unwrap_or_default().len();
        if is_all && !self.has_ended {
            self.has_ended = true;
            let end = v1::EndOfInput { chunks: self.chunks };
            sending.push(&request(Request::EndOfInput(end)));
        }
        Ok(())
    }

    /// The next chunk that there is credit for, and how many records it has.
    fn chunk(&mut self) -> Result<Option<(Bytes, u32)>, Fault> {
        if self.credit.chunks == 0 {
            return Ok(None);
        }
        let room = usize::try_from(self.credit.bytes).unwrap_or(usize::MAX).min(MAX_PAYLOAD);
        let (mut payload, mut records) = (Vec::new(), 0);
        while payload.len() < CHUNK && self.hold_next()? {
            if payload.len() + self.held.len() > room {
                break;
            }
            payload.append(&mut self.held);
            records += 1;
        }
        if records == 0 {
            return Ok(None);
        }
        self.credit.chunks -= 1;
        self.credit.bytes -= payload.len() as u64;
        Ok(Some((payload.into(), records)))
    }

    /// Writes the next record into `held`, if it is empty and there is one.
    fn hold_next(&mut self) -> Result<bool, Fault> {
        if !self.held.is_empty() {
            return Ok(true);
        }
        let Some(record) = self.records.and_then(|records| records.get(self.next)) else {
            return Ok(false);
        };
        self.next += 1;
        // Writing a value with text keys into memory does not fail.
        let _ = serde_json::to_writer(&mut self.held, record);
        self.held.push(b'\n');
        if self.held.len() > MAX_PAYLOAD {
            let message = format!(
                "record {} of its input has {} bytes, and {MAX_PAYLOAD} is the most that can be sent",
                self.next,
                self.held.len()
            );
            return Err(Fault::Failed { class: ErrorClass::Refused, message });
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn drain(input: &mut Input<'_>) -> Vec<(String, u32)> {
        let mut chunks = Vec::new();
        while let Some((payload, records)) = input.chunk().unwrap() {
            chunks.push((String::from_utf8(payload.to_vec()).unwrap(), records));
        }
        chunks
    }

    #[test]
    fn records_wait_for_credit() {
        let records = json!([{"a": 1}, {"a": 22}, {"a": 3}]);
        let mut input = Input::new(&records, None).unwrap();
        assert!(drain(&mut input).is_empty());
        input.allow(v1::Credit { chunks: 2, bytes: 10 }).unwrap();
        assert_eq!(drain(&mut input), [("{\"a\":1}\n".to_owned(), 1)]);
        input.allow(v1::Credit { chunks: 0, bytes: 100 }).unwrap();
        assert_eq!(drain(&mut input), [("{\"a\":22}\n{\"a\":3}\n".to_owned(), 2)]);
        assert!(input.allow(v1::Credit { chunks: u32::MAX, bytes: u64::MAX }).is_err());
    }

    #[test]
    fn long_records_have_chunks_of_their_own() {
        let long = "x".repeat(CHUNK);
        let records = json!([{"a": 1}, {"a": long}, {"a": long}]);
        let credit = v1::Credit { chunks: 10, bytes: 1 << 30 };
        let mut input = Input::new(&records, Some(credit)).unwrap();
        let counts: Vec<u32> = drain(&mut input).iter().map(|(_, records)| *records).collect();
        assert_eq!(counts, [2, 1]);
    }

    #[test]
    fn what_cannot_be_records_is_refused() {
        assert!(Input::new(&json!([{}, 1]), None).is_err());
        let huge = json!([{"a": "x".repeat(MAX_PAYLOAD)}]);
        let credit = v1::Credit { chunks: 10, bytes: 1 << 30 };
        assert!(Input::new(&huge, Some(credit)).unwrap().chunk().is_err());
    }

    #[test]
    fn what_is_no_array_is_parameters() {
        for (input, text) in
            [(json!({"a": 1}), "{\"a\":1}"), (json!(null), "{}"), (json!([]), "{}")]
        {
            assert_eq!(Input::new(&input, None).unwrap().parameters_json(), text);
        }
    }
}
