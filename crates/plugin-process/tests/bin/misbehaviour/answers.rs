//! What is wrong in answers.

use bytes::Bytes;
use flexcore_plugin_protocol::protobuf::{
    goplugin,
    health::{HealthCheckResponse, health_check_response::ServingStatus},
    v1::{self, data_chunk::Payload, execute_response::Message as Answered},
};
use h2::{RecvStream, server::SendResponse};
use http::{Request, Response};

use crate::{Answer, Messages, Plugin, grpc};

pub(crate) async fn answer(
    plugin: &'static Plugin,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let path = request.uri().path().to_owned();
    let mode = plugin.mode.as_str();
    match (path.rsplit('/').next().unwrap_or_default(), mode) {
        ("Check", "http-error") => {
            let response = Response::builder().status(404).body(()).expect("a response");
            respond.send_response(response, true).map(drop)
        }
        ("Check", "no-grpc") => {
            respond.send_response(Response::new(()), false)?.send_data("<html>".into(), true)
        }
        ("Check", _) => {
            let unwell = mode == "unwell";
            let status = if unwell { ServingStatus::NotServing } else { ServingStatus::Serving };
            unary(respond, &HealthCheckResponse { status: status.into() })
        }
        ("StreamStdio", "prints") => prints(respond),
        ("StreamStdio", "prints-forever") => prints_forever(respond).await,
        ("Info", "header-bomb") => {
            let mut response = grpc();
            for number in 0..2_000 {
                let name: http::HeaderName = format!("x-{number}").parse().expect("a name");
                response.headers_mut().insert(name, "v".repeat(500).parse().expect("a value"));
            }
            respond.send_response(response, false).map(drop)
        }
        ("Info", _) => unary(respond, &info(plugin)),
        ("Initialize", "never-initialized") | ("Shutdown", "never-ends") => {
            std::future::pending().await
        }
        ("Initialize", _) => unary(respond, &v1::InitializeResponse::default()),
        ("Health", _) => {
            unary(respond, &v1::HealthResponse { healthy: true, detail: String::new() })
        }
        ("Execute", _) => execute(plugin, request, respond).await,
        ("Shutdown", _) if path.starts_with("/flexcore") => {
            unary(respond, &v1::ShutdownResponse {})?;
            // What was answered goes out first.
            tokio::task::yield_now().await;
            std::process::exit(0)
        }
        _ => Answer::open(respond)?.status("12", "nothing like that"),
    }
}

fn unary(respond: SendResponse<Bytes>, message: &impl prost::Message) -> Result<(), h2::Error> {
    let mut answer = Answer::open(respond)?;
    answer.message(message)?;
    answer.ok()
}

fn info(plugin: &Plugin) -> v1::InfoResponse {
    let mode = plugin.mode.as_str();
    let encoding = if mode == "arrow-only" { v1::Encoding::ArrowIpc } else { v1::Encoding::Jsonl };
    v1::InfoResponse {
        name: if mode == "other-name" { "another" } else { "misbehaviour" }.to_owned(),
        version: if mode == "other-version" { "9.9.9" } else { "1.0.0" }.to_owned(),
        encodings: vec![encoding.into()],
        max_concurrent_executions: plugin.concurrent,
        stateless: mode != "stateful",
        initial_credit: Some(v1::Credit { chunks: 64, bytes: 16 << 20 }),
        ..v1::InfoResponse::default()
    }
}

fn printed(data: Vec<u8>) -> goplugin::StdioData {
    goplugin::StdioData { channel: goplugin::stdio_data::Channel::Stdout.into(), data }
}

fn prints(respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut answer = Answer::open(respond)?;
    answer.message(&printed(b"printed in ".to_vec()))?;
    answer.message(&printed(b"two pieces\nand no end".to_vec()))?;
    answer.ok()
}

async fn prints_forever(respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut answer = Answer::open(respond)?;
    loop {
        answer.wait_for_room(1_000).await;
        answer.message(&printed(vec![b'x'; 900]))?;
    }
}

fn response(message: Answered) -> v1::ExecuteResponse {
    v1::ExecuteResponse { message: Some(message) }
}

fn completed(chunks: u64) -> v1::ExecuteResponse {
    // Which of several processes this is: each has a folder of its own, and all have the same number
    // in namespaces of their own.
    let folder = std::env::var_os("PLUGIN_UNIX_SOCKET_DIR").expect("run by a host");
    let output_json = format!("{{\"process\":\"{}\"}}", folder.display());
    response(Answered::Completed(v1::ExecutionCompleted { output_json, chunks }))
}

/// A chunk of one data stream.
fn chunk(seq: u64, text: &str, records: u32) -> v1::DataChunk {
    let data_stream = v1::DataStream { name: "out".to_owned(), ..v1::DataStream::default() };
    v1::DataChunk {
        seq,
        schema_id: 1,
        crc32c: crc32c::crc32c(text.as_bytes()),
        records,
        schema: (seq == 0)
            .then_some(v1::SchemaDefinition { schema_id: 1, data_stream: Some(data_stream) }),
        payload: Some(Payload::Jsonl(text.to_owned().into())),
    }
}

async fn execute(
    plugin: &Plugin,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let span = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let span = span.map(str::to_owned);
    let mut messages = Messages::new(request);
    let Some(begin) = messages.all().await else { return Ok(()) };
    let mut answer = Answer::open(respond)?;
    if let ("good", Some(span)) = (&*plugin.mode, span) {
        let message = format!("under {span}");
        let line = v1::LogLine { message, ..v1::LogLine::default() };
        answer.message(&response(Answered::Log(line)))?;
    }
    if !lie(&plugin.mode, &mut answer)? {
        return ungrpc(plugin, &mut answer, (begin, messages)).await;
    }
    if plugin.mode == "wrong-number" {
        // The host has to notice by itself.
        std::future::pending::<()>().await;
    }
    answer.message(&completed(0))?;
    answer.ok()
}

/// Messages that are whole and say something wrong. False if the mode is none of these.
fn lie(mode: &str, answer: &mut Answer) -> Result<bool, h2::Error> {
    let data = |chunk| response(Answered::Data(chunk));
    match mode {
        "wrong-number" => answer.message(&data(chunk(1, "{}\n", 1)))?,
        "wrong-checksum" => {
            answer.message(&data(v1::DataChunk { crc32c: 7, ..chunk(0, "{}\n", 1) }))?;
        }
        "wrong-count" => answer.message(&data(chunk(0, "{}\n", 3)))?,
        "too-much" => {
            for seq in 0..80 {
                answer.message(&data(chunk(
                    seq,
                    &format!("{{\"a\":\"{}\"}}\n", "x".repeat(1 << 20)),
                    1,
                )))?;
            }
        }
        "empty-chunk" => answer.message(&data(chunk(0, "", 0)))?,
        "no-json" => answer.message(&data(chunk(0, "{nothing}\n", 1)))?,
        "deep-json" => {
            let deep = format!("{{\"a\":{}{}}}\n", "[".repeat(100_000), "]".repeat(100_000));
            answer.message(&data(chunk(0, &deep, 1)))?;
        }
        "endless-credit" => {
            let credit = v1::Credit { chunks: u32::MAX, bytes: u64::MAX };
            answer.message(&response(Answered::Credit(credit)))?;
            answer.message(&response(Answered::Credit(credit)))?;
        }
        "no-kind" => answer.message(&v1::ExecuteResponse::default())?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// What is wrong below messages, or with the end.
async fn ungrpc(
    plugin: &Plugin,
    answer: &mut Answer,
    (begin, mut messages): (v1::BeginExecution, Messages),
) -> Result<(), h2::Error> {
    let data = |chunk| response(Answered::Data(chunk));
    match plugin.mode.as_str() {
        "no-message" => answer.bytes(vec![0, 0, 0, 0, 3, 0xff, 0xff, 0xff])?,
        "no-text" => {
            // A `completed` whose output is not UTF-8.
            answer.bytes(vec![0, 0, 0, 0, 5, 0x2a, 0x03, 0x0a, 0x01, 0xff])?;
        }
        "length-of-4-GiB" => answer.bytes(vec![0, 0xff, 0xff, 0xff, 0xff])?,
        "long-message" => {
            let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(17 << 20));
            answer.message(&data(chunk(0, &long, 1)))?;
        }
        "compressed" => answer.bytes(vec![1, 0, 0, 0, 1, 0])?,
        "half-a-message" => {
            answer.bytes(vec![0, 0, 0, 0, 9, 1])?;
            return answer.ok();
        }
        "half-an-answer" => {
            answer.message(&data(chunk(0, "{}\n", 1)))?;
            return answer.ok();
        }
        "no-status" => {
            answer.message(&completed(0))?;
            return answer.end();
        }
        "wrong-end" => answer.message(&completed(5))?,
        "more-after-the-end" => {
            answer.message(&completed(0))?;
            answer.message(&completed(0))?;
        }
        "resets" => answer.reset(),
        "exits" => {
            answer.message(&data(chunk(0, "{}\n", 1)))?;
            tokio::task::yield_now().await;
            std::process::exit(0)
        }
        "status-is-no-number" => return answer.status("fine", ""),
        "fails-with-status" => return answer.status("14", "not now"),
        "hangs" => std::future::pending::<()>().await,
        _ if begin.operation == "wait" => {
            let line = v1::LogLine { message: "waits".to_owned(), ..v1::LogLine::default() };
            answer.message(&response(Answered::Log(line)))?;
            wait(&mut messages).await;
        }
        _ => {}
    }
    if plugin.mode == "length-of-4-GiB" {
        // The host has to notice by itself.
        std::future::pending::<()>().await;
    }
    answer.message(&completed(0))?;
    answer.ok()
}

/// Until the host wants it to stop.
async fn wait(messages: &mut Messages) {
    while let Some(message) = messages.next::<v1::ExecuteRequest>().await {
        if matches!(message.message, Some(v1::execute_request::Message::Cancel(_))) {
            return;
        }
    }
}
