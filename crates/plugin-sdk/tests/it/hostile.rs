//! Hosts that break the protocol. A plugin answers with what is wrong, and goes on.

use bytes::Bytes;
use flexcore_plugin_protocol::protobuf::v1::{
    BeginExecution, Credit, DataChunk, DataStream, Encoding, EndOfInput, ExecuteRequest,
    SchemaDefinition, data_chunk::Payload, execute_request::Message,
};
use flexcore_plugin_sdk::testing::TestCall;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Author;

fn request(message: Message) -> ExecuteRequest {
    ExecuteRequest { message: Some(message) }
}

pub(crate) fn begin(operation: &str) -> ExecuteRequest {
    request(Message::Begin(BeginExecution {
        attempt: 1,
        operation: operation.to_owned(),
        encoding: Encoding::Jsonl.into(),
        credit: Some(Credit { chunks: 8, bytes: 16 << 20 }),
        ..BeginExecution::default()
    }))
}

fn chunk(change: impl FnOnce(&mut DataChunk)) -> ExecuteRequest {
    let lines = Bytes::from_static(b"{}\n");
    let mut chunk = DataChunk {
        seq: 0,
        schema_id: 1,
        crc32c: crc32c::crc32c(&lines),
        records: 1,
        payload: Some(Payload::Jsonl(lines)),
        schema: Some(SchemaDefinition {
            schema_id: 1,
            data_stream: Some(DataStream { name: "input".to_owned(), ..DataStream::default() }),
        }),
    };
    change(&mut chunk);
    request(Message::Data(chunk))
}

pub(crate) async fn every_breach_is_named_and_the_plugin_goes_on(author: Author) {
    let plugin = author.initialized().await;
    let long = Bytes::from(vec![b'\n'; 1]);
    let cases: Vec<(Vec<ExecuteRequest>, &str)> = vec![
        (vec![], "starts with `begin`"),
        (vec![chunk(|_| {})], "starts with `begin`"),
        (vec![begin(""), begin("")], "began twice"),
        (vec![begin(""), ExecuteRequest { message: None }], "an empty message"),
        (vec![begin(""), chunk(|chunk| chunk.seq = 1)], "chunk 1 came where 0 was due"),
        (vec![begin(""), chunk(|chunk| chunk.crc32c ^= 1)], "another checksum"),
        (vec![begin(""), chunk(|chunk| chunk.records = 2)], "the 2 records"),
        (vec![begin(""), chunk(|chunk| chunk.schema = None)], "schema 1 was never defined"),
        (vec![begin(""), chunk(|chunk| chunk.payload = None)], "not in the encoding"),
        (
            vec![begin(""), chunk(|chunk| chunk.payload = Some(Payload::ArrowIpc(long)))],
            "not in the encoding",
        ),
        (vec![begin(""), request(Message::EndOfInput(EndOfInput { chunks: 3 }))], "ended after 3"),
        (vec![begin(""), chunk(|_| {})], "the input ended without saying so"),
        // A call that goes on, so that it has not completed when the chunk comes.
        (
            vec![
                begin("wait"),
                request(Message::EndOfInput(EndOfInput { chunks: 0 })),
                chunk(|_| {}),
            ],
            "after the end",
        ),
    ];
    for (requests, expected) in cases {
        let mut client = plugin.client();
        let status = match client.execute(tokio_stream::iter(requests)).await {
            Err(status) => status,
            Ok(answers) => {
                let mut answers = answers.into_inner();
                loop {
                    match answers.message().await {
                        Ok(Some(_)) => {}
                        Ok(None) => panic!("no error for: {expected}"),
                        Err(status) => break status,
                    }
                }
            }
        };
        assert!(status.message().contains(expected), "{expected}: {status}");
    }
    assert!(plugin.call(TestCall::records([json!({})])).await.unwrap().is_completed());
}

pub(crate) async fn more_than_the_credit_is_refused(author: Author) {
    let plugin = author.initialized().await;
    let credit = plugin.info().initial_credit.unwrap();
    let mut requests = vec![begin("wait")];
    for seq in 0..=u64::from(credit.chunks) {
        requests.push(chunk(|chunk| {
            chunk.seq = seq;
            chunk.schema = chunk.schema.take().filter(|_| seq == 0);
        }));
    }
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    for request in requests {
        sender.send(request).unwrap();
    }
    let stream = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver);
    // It may refuse before it begins to answer.
    let status = match plugin.client().execute(stream).await {
        Err(status) => status,
        Ok(answers) => {
            let mut answers = answers.into_inner();
            loop {
                match answers.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("more than the credit was taken"),
                    Err(status) => break status,
                }
            }
        }
    };
    assert!(status.message().contains("no credit"), "{status}");
}

pub(crate) async fn garbage_on_the_socket_disturbs_nobody(author: Author) {
    let plugin = author.initialized().await;
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0"]
    {
        let mut socket = tokio::net::UnixStream::connect(plugin.socket()).await.unwrap();
        // It may close the connection while it is written to.
        let _ = socket.write_all(garbage).await;
        let _ = socket.shutdown().await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
    }
    assert!(plugin.call(TestCall::records([json!({})])).await.unwrap().is_completed());
}
