//! Calls, well made and badly made.

use std::time::Duration;

use flexcore_plugin_protocol::protobuf::v1::{
    BeginExecution, Credit, DataChunk, Encoding, ExecuteRequest, data_chunk::Payload,
    execute_request::Message,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::{CALL_LIMIT, Check, Complaint, END_LIMIT, Subject, Verdict, check};
use crate::testing::{TestAnswer, TestCall, TestPlugin};

/// As many records as make a large input, at most.
const MANY_RECORDS: usize = 20_000;
/// As many bytes as a large input has, about.
const MANY_BYTES: usize = 8 * 1024 * 1024;
/// The credit that makes a plugin wait for more.
const SMALL_CREDIT: (u32, u64) = (2, 512 * 1024);

/// All checks that need a plugin that is ready.
pub(super) async fn all(plugin: &TestPlugin, subject: &Subject) -> Vec<Check> {
    const LARGE: &str = "a large input flows within little credit";
    let large = match records(subject) {
        [] => Check::skipped(LARGE, "the sample's input has no records"),
        records => check(LARGE, large(plugin, subject, records).await),
    };
    vec![
        check("the sample's call completes", sample(plugin, subject).await),
        check("a call without input ends", empty(plugin, subject).await),
        large,
        check("a call that is cancelled ends", cancelled(plugin, subject).await),
        check("a chunk that is damaged is refused", damaged(plugin, subject).await),
        check("garbage on its socket disturbs nobody", garbage(plugin, subject).await),
    ]
}

pub(super) async fn before_settings(plugin: &TestPlugin, subject: &Subject) -> Verdict {
    // Whoever needs no settings may do the work.
    let call = sample_call(subject).limit(END_LIMIT);
    match plugin.call(call).await {
        Err(crate::testing::CallError::Late(limit)) => Err(Complaint::new(
            format!("it gives no answer within {} s", limit.as_secs()),
            "refuse an execution before Initialize with FAILED_PRECONDITION",
        )),
        Err(crate::testing::CallError::Protocol(what)) => {
            Err(Complaint::new(what, "refuse it with the status FAILED_PRECONDITION"))
        }
        _ => Ok(()),
    }
}

fn records(subject: &Subject) -> &[Value] {
    subject.sample.input.as_array().map_or(&[], Vec::as_slice)
}

fn sample_call(subject: &Subject) -> TestCall {
    let sample = &subject.sample;
    let call = match &sample.input {
        Value::Array(records) => TestCall::records(records.iter().cloned()),
        Value::Null => TestCall::records([]),
        parameters => TestCall::parameters(parameters),
    };
    call.operation(&sample.operation).limit(CALL_LIMIT)
}

/// An answer that is whole and says that it completed.
async fn completed(plugin: &TestPlugin, call: TestCall) -> Result<TestAnswer, Complaint> {
    let answer = plugin.call(call).await?;
    match answer.failure() {
        None => Ok(answer),
        Some(failure) => Err(Complaint::new(
            format!("it failed: {}", failure.message),
            "give input that is right in conformance.json, or mend the plugin",
        )),
    }
}

async fn sample(plugin: &TestPlugin, subject: &Subject) -> Verdict {
    const HINT: &str = "correct `expect` in conformance.json, or the plugin";
    let answer = completed(plugin, sample_call(subject)).await?;
    let Some(expected) = &subject.sample.expect else { return Ok(()) };
    if let Some(result) = &expected.result
        && answer.result() != *result
    {
        let found = answer.result();
        return Err(Complaint::new(format!("the result is {found}, and not {result}"), HINT));
    }
    for (stream, records) in expected.records.iter().flatten() {
        let found = answer.records(stream);
        if found != *records {
            let (found, records) = (Value::Array(found), Value::Array(records.clone()));
            let what = format!("the records of `{stream}` are {found}, and not {records}");
            return Err(Complaint::new(what, HINT));
        }
    }
    Ok(())
}

async fn empty(plugin: &TestPlugin, subject: &Subject) -> Verdict {
    let call = TestCall::records([]).operation(&subject.sample.operation).limit(CALL_LIMIT);
    // It may say that it cannot work on nothing.
    plugin.call(call).await?;
    Ok(())
}

async fn large(plugin: &TestPlugin, subject: &Subject, records: &[Value]) -> Verdict {
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    let bytes: usize = lines.iter().map(String::len).sum();
    let copies = (MANY_BYTES / bytes.max(1)).clamp(1, MANY_RECORDS.div_ceil(lines.len()));
    let many = std::iter::repeat_n(lines, copies).flatten();
    let (chunks, bytes) = SMALL_CREDIT;
    let call = TestCall::lines(many).operation(&subject.sample.operation).credit(chunks, bytes);
    completed(plugin, call.limit(CALL_LIMIT)).await.map(|_| ())
}

async fn cancelled(plugin: &TestPlugin, subject: &Subject) -> Verdict {
    let call = TestCall::records([]).operation(&subject.sample.operation);
    plugin.call(call.cancel_after(0).limit(END_LIMIT)).await.map_err(|error| {
        Complaint::new(
            error.to_string(),
            "end a call soon after Cancel, with `failed` of class cancelled",
        )
    })?;
    Ok(())
}

/// A chunk with another checksum must not be taken for good.
async fn damaged(plugin: &TestPlugin, subject: &Subject) -> Verdict {
    const HINT: &str = "hold every chunk against its number, checksum, count and schema, and end \
                        the call with an error";
    let begin = BeginExecution {
        attempt: 1,
        operation: subject.sample.operation.clone(),
        encoding: Encoding::Jsonl.into(),
        credit: Some(Credit { chunks: 16, bytes: 16 * 1024 * 1024 }),
        ..BeginExecution::default()
    };
    let chunk = DataChunk {
        seq: 7,
        schema_id: 3,
        crc32c: 1,
        records: 9,
        payload: Some(Payload::Jsonl("{}\n".into())),
        schema: None,
    };
    let messages = [Message::Begin(begin), Message::Data(chunk)];
    let requests = messages.map(|message| ExecuteRequest { message: Some(message) });
    let mut client = plugin.client();
    let answered = tokio::time::timeout(END_LIMIT, async {
        let mut answers = client.execute(tokio_stream::iter(requests)).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            use flexcore_plugin_protocol::protobuf::v1::execute_response::Message as Answer;
            if let Some(Answer::Completed(_)) = answer.message {
                return Ok(true);
            }
        }
        Ok::<bool, tonic::Status>(false)
    });
    match answered.await {
        Ok(Ok(true)) => Err(Complaint::new("it completed a call with damaged input", HINT)),
        Ok(_) => still_works(plugin, subject).await,
        Err(_) => Err(Complaint::new("it goes on with damaged input", HINT)),
    }
}

async fn garbage(plugin: &TestPlugin, subject: &Subject) -> Verdict {
    let flood = vec![0xff_u8; 64 * 1024];
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0", &flood] {
        let mut socket = UnixStream::connect(plugin.socket()).await?;
        let exchange = async {
            // It may close the connection while it is written to.
            let _ = socket.write_all(bytes).await;
            let _ = socket.shutdown().await;
            let _ = socket.read_to_end(&mut Vec::new()).await;
        };
        // It may also keep the connection: nobody waits for it.
        let _ = tokio::time::timeout(Duration::from_secs(1), exchange).await;
    }
    still_works(plugin, subject).await
}

async fn still_works(plugin: &TestPlugin, subject: &Subject) -> Verdict {
    let call = TestCall::records([]).operation(&subject.sample.operation).limit(CALL_LIMIT);
    plugin.call(call).await.map_err(|error| {
        Complaint::new(
            format!("afterwards it does not work any more: {error}"),
            "one call or connection that goes wrong must not end the others",
        )
    })?;
    Ok(())
}
