//! Live streams: over connections, because what matters there is what a connection takes.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use flexcore_http::{RequestOptions, ServerOptions};
use flexcore_ports::LogSource;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::stage::{OPERATOR, Stage};

/// A generous time for something that takes a moment.
const PATIENCE: Duration = Duration::from_mins(1);

/// A reader of server-sent events.
struct Events(BufReader<TcpStream>);

/// One of them: id, name, data.
type Event = (String, String, String);

impl Events {
    async fn of(address: SocketAddr, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "GET /api/v1/flexcore/{path} HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: Bearer {OPERATOR}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut events = Self(BufReader::new(stream));
        let first = events.line().await.expect("an answer");
        assert!(first.starts_with("HTTP/1.1 200"), "{first}");
        while events.line().await.is_some_and(|line| !line.is_empty()) {}
        events
    }

    /// The next line of the body or the head; chunk sizes are lines that nothing looks at.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("a line");
        (read.unwrap_or(0) > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event with a name; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        let (mut id, mut name, mut data) = (String::new(), String::new(), String::new());
        loop {
            let line = self.line().await?;
            match line.split_once(": ") {
                Some(("id", text)) => id = text.to_owned(),
                Some(("event", text)) => name = text.to_owned(),
                Some(("data", text)) => data = text.to_owned(),
                _ if line.is_empty() && !name.is_empty() => return Some((id, name, data)),
                _ => {}
            }
        }
    }

    async fn ids(&mut self, count: usize) -> Vec<u64> {
        let mut ids = vec![];
        while ids.len() < count {
            ids.push(self.next().await.expect("an event").0.parse().unwrap());
        }
        ids
    }
}

type Socket = WebSocketStream<TcpStream>;

async fn socket(address: SocketAddr, path: &str) -> Socket {
    let mut request =
        format!("ws://localhost/api/v1/flexcore/{path}").into_client_request().unwrap();
    let bearer = format!("Bearer {OPERATOR}").parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    let stream = TcpStream::connect(address).await.unwrap();
    client_async(request, stream).await.unwrap().0
}

async fn told(socket: &mut Socket) -> Value {
    loop {
        let message = timeout(PATIENCE, socket.next()).await.expect("a message");
        if let Message::Text(text) = message.expect("the socket is open").unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

#[tokio::test]
async fn who_comes_back_misses_nothing_and_sees_nothing_twice() {
    let stage = Stage::new().await;
    let address = stage.serve(ServerOptions::default()).await;
    // More than a page of the past.
    stage.append("default/note/a", 0, 130).await;
    let mut all = Events::of(address, "events/live?after=0", "").await;
    assert_eq!(all.ids(130).await, (1..=130).collect::<Vec<_>>());
    stage.append("default/note/a", 130, 5).await;
    assert_eq!(all.ids(5).await, (131..=135).collect::<Vec<_>>());
    let mut again = Events::of(address, "events/live", "Last-Event-ID: 90\r\n").await;
    assert_eq!(again.ids(45).await, (91..=135).collect::<Vec<_>>());
    let mut socket = socket(address, "events/live?after=133").await;
    for expected in [134, 135] {
        let message = told(&mut socket).await;
        assert_eq!(message["id"], expected.to_string());
        assert_eq!(
            (&message["event"], &message["data"]["position"]),
            (&json!("Noted"), &json!(expected))
        );
    }
}

#[tokio::test]
async fn a_watcher_sees_what_it_asked_for_and_nothing_of_others() {
    let stage = Stage::new().await;
    let address = stage.serve(ServerOptions::default()).await;
    stage.append("default/note/a", 0, 1).await;
    stage.append("default/note/b", 0, 60).await;
    stage.append("default/other/a", 0, 1).await;
    stage.append("default/note/a", 1, 1).await;
    let first = async |path: &'static str| Events::of(address, path, "").await.ids(2).await;
    assert_eq!(first("events/live?after=0&stream=default/note/a").await, [1, 63]);
    assert_eq!(first("events/live?after=0&category=other&category=nothing&stream=default/other/a&stream=default/note/a&type=Noted&after=0&category=note").await, [1, 62]);
    assert_eq!(first("events/live?after=60&type=Noted").await, [61, 62]);
}

#[tokio::test]
async fn an_execution_is_watched_by_its_name_and_its_kind() {
    let stage = Stage::new().await;
    let address = stage.serve(ServerOptions::default()).await;
    let execution = stage.fill().await;
    for path in [
        format!("executions/{execution}/live?after=0"),
        format!("executions/live?after=0&execution={execution}"),
        "executions/live?after=0".to_owned(),
    ] {
        let (_, name, _) = Events::of(address, &path, "").await.next().await.expect("an event");
        assert_eq!(name, "PipelineExecutionCreated", "{path}");
    }
    assert_eq!(stage.get("executions/ex_nobody/live").await.code(), "FC0201");
}

#[tokio::test]
async fn lines_come_as_they_are_printed() {
    let stage = Stage::new().await;
    let address = stage.serve(ServerOptions::default()).await;
    let execution = stage.fill().await;
    let path = format!("executions/{execution}/logs/live");
    let mut lines = Events::of(address, &path, "").await;
    let log = stage.attempt_log(&execution, "one");
    log.line(LogSource::Stdout, "first");
    let (place, name, data) = lines.next().await.expect("a line");
    let data: Value = serde_json::from_str(&data).unwrap();
    assert_eq!((&*name, &data["line"], &data["step"]), ("line", &json!("first"), &json!("one")));
    log.line(LogSource::Stderr, "second");
    let mut again = Events::of(address, &path, &format!("Last-Event-ID: {place}\r\n")).await;
    for watcher in [&mut lines, &mut again] {
        let (_, _, data) = watcher.next().await.expect("a line");
        assert!(data.contains("second"), "{data}");
    }
    let mut errors = socket(address, &format!("{path}?source=stderr")).await;
    assert_eq!(told(&mut errors).await["data"]["line"], "second");
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_is_alive() {
    let heartbeat = Duration::from_millis(20);
    let stage = Stage::with(RequestOptions { heartbeat, ..RequestOptions::default() }).await;
    let address = stage.serve(ServerOptions::default()).await;
    stage.append("default/note/a", 0, 3).await;
    let mut events = Events::of(address, "events/live?category=nothing", "").await;
    loop {
        if events.line().await.expect("the stream goes on") == "id: 3" {
            break;
        }
    }
    let mut socket = socket(address, "events/live").await;
    assert_eq!(told(&mut socket).await, json!({ "id": "3", "event": "heartbeat", "data": null }));
    socket.send(Message::Ping("x".into())).await.unwrap();
    loop {
        let message = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        if message == Message::Pong("x".into()) {
            break;
        }
    }
}

#[tokio::test]
async fn who_takes_nothing_is_told_and_let_go() {
    let options = RequestOptions {
        watcher_patience: Duration::from_millis(100),
        watchers: 1,
        ..RequestOptions::default()
    };
    let stage = Stage::with(options).await;
    let address = stage.serve(ServerOptions::default()).await;
    let mut lazy = Events::of(address, "events/live?after=0", "").await;
    let full = refused(address).await.expect("no place");
    assert!(full.contains("503") && full.contains("FC0744"), "{full}");
    // More than all buffers on the way hold.
    for version in 0..25 {
        stage.append("default/note/a", version * 1_000, 1_000).await;
    }
    // Its place is free although it reads nothing.
    let deadline = Instant::now() + PATIENCE;
    while refused(address).await.is_some() {
        assert!(Instant::now() < deadline, "it keeps its place");
    }
    let mut last = None;
    while let Some(event) = lazy.next().await {
        last = Some(event);
    }
    let (_, name, data) = last.expect("events");
    assert_eq!(name, "error");
    assert!(data.contains("FC0745"), "{data}");
}

/// What one more watcher is refused with, if it is.
async fn refused(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET /api/v1/flexcore/events/live HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {OPERATOR}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    let mut said = String::from_utf8_lossy(&status).into_owned();
    if said.ends_with("200") {
        return None;
    }
    stream.read_to_string(&mut said).await.unwrap();
    Some(said)
}

#[tokio::test]
async fn a_socket_is_asked_for_properly_or_refused() {
    let stage = Stage::new().await;
    let request =
        crate::stage::asked("GET", "events/live", OPERATOR).header("upgrade", "websocket");
    let answer = stage.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!((answer.status, &*answer.code()), (400, "FC0746"));
}

#[tokio::test]
async fn streams_end_with_the_server() {
    let stage = Stage::new().await;
    let address = stage.serve(ServerOptions::default()).await;
    let mut events = Events::of(address, "events/live", "").await;
    let mut socket = socket(address, "events/live").await;
    stage.api.ending.cancel();
    assert_eq!(events.next().await, None);
    let mut rest = vec![];
    let _ = timeout(PATIENCE, events.0.read_to_end(&mut rest)).await.expect("the end");
    let farewell = timeout(PATIENCE, socket.next()).await.expect("a farewell");
    assert!(matches!(farewell, Some(Ok(Message::Close(_)))), "{farewell:?}");
}
