//! Listeners that speak no HTTP, or only some of it.

use flexcore_domain::ErrorClass;
use flexcore_ports::PluginHost as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{call, execute, host, plugin};

/// Answers every connection with the same bytes, then closes it.
async fn answering(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    url
}

#[tokio::test]
async fn what_speaks_no_http_is_named_and_nothing_hangs() {
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        b"\x00\x00\x00\x00",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
    ] {
        let url = answering(bytes).await;
        let error = execute(&plugin(&url, ""), call("echo")).await.outcome.unwrap_err();
        assert!(matches!(error.code, "FC0660" | "FC0662"), "{error:?}");
        assert!(error.is_fault);
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_a_network_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = host().health(&plugin(&url, "")).await.unwrap_err();
    assert_eq!((error.code, error.class), ("FC0660", ErrorClass::Network));
    assert!(error.message.contains(&url), "{error}");
}

#[tokio::test]
async fn an_empty_answer_to_health_is_a_good_one_and_a_bad_word_is_not() {
    let url = answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(host().initialize(&plugin(&url, "")).await.unwrap().name, "flext");
    let url = answering(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{\"status\":\"down\",\"detail\":\"no database\"}").await;
    let error = host().health(&plugin(&url, "")).await.unwrap_err();
    assert_eq!((error.code, error.is_fault), ("FC0664", true));
    assert!(error.message.contains("no database"), "{error}");
}
