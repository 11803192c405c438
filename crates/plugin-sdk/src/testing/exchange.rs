//! The host's side of one execution, as a test needs it.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use flexcore_plugin_protocol::protobuf::v1::{
    self, execute_request::Message, execute_response::Message as Answer,
};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;

use super::{CallError, TestAnswer, TestFailure};
use crate::grpc::v1::plugin_client::PluginClient;

/// The credit that a test gives: as much as a real host at least.
const CREDIT: v1::Credit = v1::Credit { chunks: 16, bytes: 16 * 1024 * 1024 };
/// As many bytes as a chunk of input gathers.
const CHUNK_BYTES: usize = 256 * 1024;

/// A call that is to be made.
#[derive(Debug, Clone)]
pub struct TestCall {
    pub(super) limit: Duration,
    begin: v1::BeginExecution,
    lines: Vec<String>,
    cancel_after: Option<usize>,
}

impl TestCall {
    /// A call with these records in the data stream `input`.
    pub fn records(records: impl IntoIterator<Item = Value>) -> Self {
        Self::lines(records.into_iter().map(|record| record.to_string()))
    }

    /// A call with these records, each a line of text without its end.
    pub fn lines(lines: impl IntoIterator<Item = String>) -> Self {
        Self {
            limit: Duration::from_secs(30),
            begin: v1::BeginExecution {
                execution_id: "test".to_owned(),
                step_id: "step".to_owned(),
                attempt: 1,
                encoding: v1::Encoding::Jsonl.into(),
                credit: Some(CREDIT),
                ..v1::BeginExecution::default()
            },
            lines: lines.into_iter().collect(),
            cancel_after: None,
        }
    }

    /// A call with parameters and no records.
    pub fn parameters(parameters: &Value) -> Self {
        let mut call = Self::lines([]);
        call.begin.parameters_json = parameters.to_string();
        call
    }

    /// What to do, where the plugin can do several things.
    pub fn operation(mut self, operation: &str) -> Self {
        operation.clone_into(&mut self.begin.operation);
        self
    }

    /// What the last call kept.
    pub fn bookmark(mut self, bookmark: &str) -> Self {
        bookmark.clone_into(&mut self.begin.bookmark_json);
        self
    }

    /// With how much credit the plugin begins.
    pub fn credit(mut self, chunks: u32, bytes: u64) -> Self {
        self.begin.credit = Some(v1::Credit { chunks, bytes });
        self
    }

    /// Cancels once this many messages came from the plugin; 0 is at once. The input is not ended.
    pub fn cancel_after(mut self, messages: usize) -> Self {
        self.cancel_after = Some(messages);
        self
    }

    /// How long to wait for the end of the call; half a minute unless given.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The chunks of the input.
    fn chunks(&self) -> Vec<v1::DataChunk> {
        let mut chunks: Vec<(Vec<u8>, u32)> = Vec::new();
        for line in &self.lines {
            let fits =
                chunks.last().is_some_and(|(bytes, _)| bytes.len() + line.len() < CHUNK_BYTES);
            if !fits {
                chunks.push((Vec::new(), 0));
            }
            if let Some((bytes, records)) = chunks.last_mut() {
                bytes.extend_from_slice(line.as_bytes());
                bytes.push(b'\n');
                *records += 1;
            }
        }
        let numbered = (0..).zip(chunks);
        numbered.map(|(seq, (bytes, records))| chunk(seq, bytes.into(), records)).collect()
    }
}

fn chunk(seq: u64, lines: Bytes, records: u32) -> v1::DataChunk {
    let stream = v1::DataStream {
        name: "input".to_owned(),
        schema_json: "{}".to_owned(),
        key_properties: vec![],
    };
    v1::DataChunk {
        seq,
        schema_id: 1,
        crc32c: crc32c::crc32c(&lines),
        records,
        payload: Some(v1::data_chunk::Payload::Jsonl(lines)),
        schema: (seq == 0)
            .then_some(v1::SchemaDefinition { schema_id: 1, data_stream: Some(stream) }),
    }
}

/// What is still to be sent.
struct Sender {
    requests: mpsc::UnboundedSender<v1::ExecuteRequest>,
    chunks: std::iter::Peekable<std::vec::IntoIter<v1::DataChunk>>,
    credit: v1::Credit,
    sent: u64,
    is_done: bool,
}

impl Sender {
    /// The plugin may be gone already, which its answers will tell.
    fn send(&self, message: Message) {
        let _ = self.requests.send(v1::ExecuteRequest { message: Some(message) });
    }

    /// Sends as much as there is credit for, and the end after the last chunk.
    fn go_on(&mut self) {
        if self.is_done {
            return;
        }
        while let Some(next) = self.chunks.peek() {
            let bytes = payload(next).len() as u64;
            if self.credit.chunks == 0 || self.credit.bytes < bytes {
                return;
            }
            self.credit.chunks -= 1;
            self.credit.bytes -= bytes;
            self.sent += 1;
            if let Some(chunk) = self.chunks.next() {
                self.send(Message::Data(chunk));
            }
        }
        self.is_done = true;
        self.send(Message::EndOfInput(v1::EndOfInput { chunks: self.sent }));
    }

    fn cancel(&mut self) {
        self.is_done = true;
        self.send(Message::Cancel(v1::Cancel { reason: "the test cancelled it".to_owned() }));
    }
}

fn payload(chunk: &v1::DataChunk) -> Bytes {
    match &chunk.payload {
        Some(v1::data_chunk::Payload::Jsonl(bytes)) => bytes.clone(),
        _ => Bytes::new(),
    }
}

pub(super) async fn run(
    mut client: PluginClient<Channel>,
    call: TestCall,
    credit: v1::Credit,
) -> Result<TestAnswer, CallError> {
    let (requests, receiver) = mpsc::unbounded_channel();
    let chunks = call.chunks().into_iter().peekable();
    let mut sender = Sender { requests, chunks, credit, sent: 0, is_done: false };
    let mut left = call.begin.credit.unwrap_or_default();
    let window = left;
    sender.send(Message::Begin(call.begin));
    if call.cancel_after == Some(0) {
        sender.cancel();
    } else if call.cancel_after.is_none() {
        sender.go_on();
    }
    let mut answers = client.execute(UnboundedReceiverStream::new(receiver)).await?.into_inner();
    let mut streams = HashMap::new();
    let mut answer = TestAnswer::default();
    let mut messages = 0;
    while let Some(response) = answers.message().await? {
        if answer.outcome.is_some() {
            return Err(CallError::Protocol("something came after the end".to_owned()));
        }
        match response.message {
            Some(Answer::Data(chunk)) => {
                left = spend(left, &chunk)?;
                take(&mut answer, &mut streams, &chunk)?;
                if left.chunks <= window.chunks / 2 || left.bytes <= window.bytes / 2 {
                    let credit = v1::Credit {
                        chunks: window.chunks - left.chunks,
                        bytes: window.bytes - left.bytes,
                    };
                    left = window;
                    sender.send(Message::Credit(credit));
                }
            }
            Some(Answer::Credit(more)) => {
                sender.credit.chunks = sender.credit.chunks.saturating_add(more.chunks);
                sender.credit.bytes = sender.credit.bytes.saturating_add(more.bytes);
            }
            Some(Answer::Bookmark(bookmark)) => answer.bookmarks.push(bookmark.bookmark_json),
            Some(Answer::Log(line)) => answer.log.push(line.message),
            Some(Answer::Completed(completed)) if completed.chunks != answer.chunks => {
                let (said, came) = (completed.chunks, answer.chunks);
                let what = format!("it counts {said} chunks, and {came} came");
                return Err(CallError::Protocol(what));
            }
            Some(Answer::Completed(completed)) => answer.outcome = Some(Ok(completed.output_json)),
            Some(Answer::Failed(failed)) => {
                let class = failed.class();
                answer.outcome = Some(Err(TestFailure { class, message: failed.message }));
            }
            None => return Err(CallError::Protocol("an empty message".to_owned())),
        }
        messages += 1;
        if call.cancel_after == Some(messages) {
            sender.cancel();
        } else if call.cancel_after.is_none() {
            sender.go_on();
        }
    }
    if answer.outcome.is_none() {
        return Err(CallError::Protocol("it ended in the middle of an answer".to_owned()));
    }
    Ok(answer)
}

fn spend(left: v1::Credit, chunk: &v1::DataChunk) -> Result<v1::Credit, CallError> {
    let chunks = left.chunks.checked_sub(1);
    match (chunks, left.bytes.checked_sub(payload(chunk).len() as u64)) {
        (Some(chunks), Some(bytes)) => Ok(v1::Credit { chunks, bytes }),
        _ => Err(CallError::Protocol("a chunk came for which there was no credit".to_owned())),
    }
}

fn take(
    answer: &mut TestAnswer,
    streams: &mut HashMap<u32, String>,
    chunk: &v1::DataChunk,
) -> Result<(), CallError> {
    let broken = |what: String| Err(CallError::Protocol(what));
    if chunk.seq != answer.chunks {
        return broken(format!("chunk {} came where {} was due", chunk.seq, answer.chunks));
    }
    answer.chunks += 1;
    if let Some(schema) = &chunk.schema {
        let name = schema.data_stream.as_ref().map(|stream| stream.name.clone());
        streams.insert(schema.schema_id, name.unwrap_or_default());
    }
    let Some(stream) = streams.get(&chunk.schema_id) else {
        return broken(format!("schema {} was never defined", chunk.schema_id));
    };
    let bytes = payload(chunk);
    if crc32c::crc32c(&bytes) != chunk.crc32c {
        return broken("a chunk has another checksum".to_owned());
    }
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return broken("a chunk is no text".to_owned());
    };
    if !text.is_empty() && !text.ends_with('\n') {
        return broken("the last line of a chunk has no end".to_owned());
    }
    let before = answer.lines.len();
    answer.lines.extend(text.lines().map(|line| (stream.clone(), line.to_owned())));
    if answer.lines.len() - before != chunk.records as usize {
        return broken(format!("a chunk does not have the {} records it counts", chunk.records));
    }
    Ok(())
}
