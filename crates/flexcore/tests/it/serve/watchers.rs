//! A thousand watchers of one server.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::json;

use super::{Served, TWO_STEPS, document, life::memory_of};
use crate::project::{Project, wait_until};

/// How many there are, half of them with WebSockets.
const WATCHERS: usize = 1_000;

/// A connection whose answer has begun and that is read no further than the head.
fn watch(server: &Served, path: &str, headers: &str) -> TcpStream {
    let mut stream = server.connect();
    let head = format!("{}{headers}\r\n", server.head("GET", path));
    stream.write_all(head.as_bytes()).expect("it reads");
    let (mut byte, mut answer) = ([0], Vec::new());
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("the stream begins");
        answer.push(byte[0]);
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.contains(" 200 ") || answer.contains(" 101 "), "{answer}");
    stream
}

#[test]
fn a_thousand_watchers_hear_of_an_execution_and_cost_little() {
    const SOCKET: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let project = Project::with(TWO_STEPS);
    let created = document(&project);
    let server = Served::start(&project, &[]);
    assert_eq!(server.post("pipelines", &created).status, 201);
    let before = memory_of(server.process.as_ref().expect("it runs"));
    let watchers: Vec<TcpStream> = (0..WATCHERS)
        .map(|number| match number % 2 {
            0 => watch(&server, "events/live?after=0", ""),
            _ => watch(&server, "executions/live", SOCKET),
        })
        .collect();
    assert_eq!(server.post("pipelines/two-steps/executions", &json!({})).status, 202);
    wait_until("it ends", || server.get("executions/last").json()["status"] == "completed");
    // Some read to its end; the others take nothing at all.
    for mut stream in watchers.iter().take(20) {
        let mut heard = Vec::new();
        let mut piece = [0; 4096];
        while !contains(&heard, b"PipelineExecutionCompleted") {
            let length = stream.read(&mut piece).expect("the stream goes on");
            assert!(length > 0, "the stream ended");
            heard.extend_from_slice(&piece[..length]);
        }
    }
    let process = server.process.as_ref().expect("it runs");
    let each = memory_of(process).saturating_sub(before) / WATCHERS as u64;
    // What the promise leaves for each: 150 MB for all, less 60 MB for an idle server.
    assert!(each < 90_000, "{each} bytes for each watcher");
    drop(watchers);
    server.end();
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|part| part == wanted)
}
