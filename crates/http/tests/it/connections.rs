//! What comes over a connection that no client of good will would send.

use std::{net::SocketAddr, time::Duration};

use flexcore_http::ServerOptions;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::stage::{OPERATOR, Stage};

/// A generous time for something that takes a moment.
const PATIENCE: Duration = Duration::from_mins(1);

/// Sends bytes as they are; the answer until the server closes, or `None` if it never does.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the server closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

fn head(line: &str, more: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OPERATOR}\r\n{more}\
         Connection: close\r\n\r\n"
    )
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_server_goes_on() {
    let stage = Stage::new().await;
    let address = stage.serve(ServerOptions::default()).await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(100_000));
    let flood: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    let fat = format!("X-Fat: {}\r\n", "y".repeat(100_000));
    for (bytes, statuses) in [
        ("\r\n\r\nnothing\r\n\r\n".to_owned(), &[400][..]),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), &[400, 0]),
        ("GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), &[400]),
        (long, &[414, 431, 400]),
        (head("GET /api/v1/flexcore/pipelines", &flood), &[431]),
        (head("GET /api/v1/flexcore/pipelines", &fat), &[431]),
        (head("GET /api/v1/flexcore/pipelines", "Content-Length: -1\r\n"), &[400]),
        (
            head("POST /api/v1/flexcore/pipelines", "Content-Length: 3\r\nContent-Length: 4\r\n"),
            &[400],
        ),
        (
            head(
                "POST /api/v1/flexcore/pipelines",
                "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            ) + "zzzz\r\n",
            // The length is dropped in favour of the chunks, which are none.
            &[400],
        ),
        (head("POST /api/v1/flexcore/pipelines", "Content-Length: 999999999999\r\n"), &[413]),
        (head("GET /api/v1/flexcore/%zz", ""), &[404, 400]),
        (head("GET /api/v1/flexcore/../../etc/passwd", ""), &[404]),
        (head("GET /api/v1/flexcore/..%2f..%2fetc%2fpasswd", ""), &[404]),
        (head("GET /api/v1/flexcore//pipelines", ""), &[404]),
        (head("GET /api/v1/flexcore/pipelines/%ff", ""), &[400, 404]),
        (head("GET /api/v1/flexcore/pipelines/%00", ""), &[400, 404]),
        (head("CONNECT localhost:1", ""), &[404, 405, 400, 421]),
        (head("TRACE /api/v1/flexcore/pipelines", ""), &[405]),
    ] {
        let answer = raw(address, bytes.as_bytes()).await;
        let shown: String = bytes.chars().take(120).collect();
        assert!(statuses.contains(&status(&answer)), "{shown}\n{answer}");
        assert!(!answer.contains("root:"), "{answer}");
    }
    let fine = raw(address, head("GET /api/v1/flexcore/pipelines", "").as_bytes()).await;
    assert_eq!(status(&fine), 200, "{fine}");
}

#[tokio::test]
async fn who_says_nothing_or_too_little_is_not_waited_for() {
    let stage = Stage::new().await;
    let head = Duration::from_millis(200);
    let address = stage.serve(ServerOptions { head, ..ServerOptions::default() }).await;
    for begun in ["", "P", "PRI * HT", "GET /live HTTP/1.1\r\nHost: loc", "GET"] {
        let answer = raw(address, begun.as_bytes()).await;
        assert!(answer.is_empty() || status(&answer) == 408, "{begun}: {answer}");
    }
}

#[tokio::test]
async fn more_connections_than_there_may_be_wait() {
    let stage = Stage::new().await;
    let options = ServerOptions { connections: 1, ..ServerOptions::default() };
    let address = stage.serve(options).await;
    let first = TcpStream::connect(address).await.unwrap();
    let request = head("GET /api/v1/flexcore/pipelines", "");
    let waiting = raw(address, request.as_bytes());
    tokio::pin!(waiting);
    // As long as the first one is there nobody answers the second.
    tokio::select! {
        biased;
        answer = &mut waiting => panic!("{answer}"),
        () = tokio::task::yield_now() => {}
    }
    drop(first);
    assert_eq!(status(&waiting.await), 200);
}
