//! What a guest reaches of the outside: what was granted, and the rest is counted.

use std::net::SocketAddr;

use flexcore_domain::CapabilityUse;
use flexcore_plugin_protocol::CapabilityKind;
use flexcore_ports::PluginCall;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use crate::bench::{Bench, ECHO, Place, Wanted, call, component, extism, nothing, secret};

/// A service that answers each request with what its path says; its address.
async fn service() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

async fn answer(stream: tokio::net::TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first).await?;
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 2 {
        line.clear();
    }
    let answer = match first.split(' ').nth(1) {
        Some("/elsewhere") => {
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 5\r\n\r\nthere"
                .to_owned()
        }
        Some("/large") => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 9 << 20),
        Some("/endless") => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            let chunk = vec![b'x'; 64 << 10];
            while stream.write_all(&chunk).await.is_ok() {}
            return Ok(());
        }
        Some("/silent") => {
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await?;
            return Ok(());
        }
        _ => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// A component that sends a request to the address that it is given, and answers the body, or the
/// number of the error.
fn sender() -> Vec<u8> {
    let fields = r#"
        (import "flexcore:plugin/http@0.1.0" "send"
          (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
        (data (i32.const 2000) "GET")
        (data (i32.const 2010) "0123456789")"#;
    let execute = format!(
        "(call $send (i32.const 2000) (i32.const 3)
            (i32.add (local.get $at) (i32.const 1)) (i32.sub (local.get $length) (i32.const 2))
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 500) (i32.const 2048))
         (local.set $kind (i32.const 2))
         (if (i32.load8_u (i32.const 2048))
           (then (local.set $at (i32.add (i32.const 2010) (i32.load8_u (i32.const 2052)))) (local.set $length (i32.const 1)))
           (else (local.set $at (i32.load (i32.const 2064))) (local.set $length (i32.load (i32.const 2068)))))
         {ECHO}"
    );
    component(fields, &execute)
}

const DENIED: u64 = 0;
const MALFORMED: u64 = 1;
const TIMEOUT: u64 = 2;
const TOO_LARGE: u64 = 3;
const UNREACHABLE: u64 = 4;

#[tokio::test]
async fn only_granted_addresses_are_reached_and_each_use_is_counted() {
    let (granted, other) = (service().await, service().await);
    let wasm = sender();
    for place in Place::BOTH {
        let wanted = Wanted::component(wasm.clone())
            .may(CapabilityKind::Network, &format!("tcp://{granted}"))
            .may(CapabilityKind::Network, "tcp://localhost:1");
        let bench = Bench::new(place, wanted).await;
        let ask = async |address: String| {
            let end = bench.call(nothing(), json!(address)).await;
            (end.outcome.unwrap().result.unwrap(), end.uses)
        };
        let once = |capability: String, allowed, bytes| CapabilityUse {
            capability,
            allowed,
            times: 1,
            bytes,
        };

        let (said, uses) = ask(format!("http://{granted}/")).await;
        assert_eq!(said, json!("hello"));
        assert_eq!(uses, [once(format!("network tcp://{granted}"), true, 5)]);

        let (said, uses) = ask(format!("http://{other}/")).await;
        assert_eq!(
            (said, uses),
            (json!(DENIED), vec![once(format!("network tcp://{other}"), false, 0)])
        );

        for (address, expected) in [
            (format!("http://{granted}/elsewhere"), json!("there")),
            (format!("http://{granted}/large"), json!(TOO_LARGE)),
            (format!("http://{granted}/endless"), json!(TOO_LARGE)),
            (format!("http://{granted}/silent"), json!(TIMEOUT)),
            ("http://localhost:1/".to_owned(), json!(UNREACHABLE)),
            ("file:///etc/passwd".to_owned(), json!(MALFORMED)),
            (format!("http://user:word@{granted}/"), json!(MALFORMED)),
            ("http://169.254.169.254/".to_owned(), json!(DENIED)),
            ("https://example.com/".to_owned(), json!(DENIED)),
            (format!("http://localhost:{}/", granted.port()), json!(DENIED)),
        ] {
            assert_eq!(ask(address.clone()).await.0, expected, "{place:?} {address}");
        }
    }
}

#[tokio::test]
async fn a_module_sends_requests_as_its_abi_says() {
    let address = service().await;
    let request = format!("{{\"url\":\"http://{address}/\",\"method\":\"POST\"}}");
    let fields = format!(
        r#"(import "extism:host/env" "http_request" (func $http_request (param i64 i64) (result i64)))
           (import "extism:host/env" "http_status_code" (func $status (result i32)))
           (data (i32.const 0) "{}")"#,
        request.replace('"', "\\22")
    );
    let execute = format!(
        "(local $body i64)
         (local.set $body (call $http_request (call $put (i32.const 0) (i32.const {})) (call $input_offset)))
         (if (i32.ne (call $status) (i32.const 200)) (then unreachable))
         (call $output_set (local.get $body) (call $length (local.get $body))) (i32.const 0)",
        request.len()
    );
    let module = extism(&fields, &execute);
    for place in Place::BOTH {
        let granted =
            Wanted::module(&module).may(CapabilityKind::Network, &format!("tcp://{address}"));
        let bench = Bench::new(place, granted).await;
        let end = bench.call(nothing(), json!({"a": 1})).await;
        assert_eq!(end.outcome.unwrap().result, Some(json!("hello")));
        assert_eq!((end.uses[0].allowed, end.uses[0].bytes), (true, 12));

        let bench = Bench::new(place, Wanted::module(&module)).await;
        let end = bench.call(nothing(), Value::Null).await;
        assert!(end.outcome.unwrap_err().message.contains("nobody granted"));
        assert!(!end.uses[0].allowed);
    }
}

#[tokio::test]
async fn secrets_are_given_by_name_as_granted() {
    let fields = r#"
        (import "flexcore:plugin/secrets@0.1.0" "get" (func $secret (param i32 i32 i32)))
        (data (i32.const 2010) "0123456789")"#;
    let execute = format!(
        "(call $secret (i32.add (local.get $at) (i32.const 1)) (i32.sub (local.get $length) (i32.const 2)) (i32.const 2048))
         (local.set $kind (i32.const 2))
         (if (i32.load8_u (i32.const 2048))
           (then (local.set $at (i32.add (i32.const 2010) (i32.load8_u (i32.const 2052)))) (local.set $length (i32.const 1)))
           (else (local.set $at (i32.load (i32.const 2052))) (local.set $length (i32.load (i32.const 2056)))))
         {ECHO}"
    );
    let wasm = component(fields, &execute);
    for place in Place::BOTH {
        let wanted = Wanted::component(wasm.clone()).may(CapabilityKind::Secrets, "token");
        let bench = Bench::new(place, wanted).await;
        for (name, answer, allowed) in
            [("token", json!("hunter2"), true), ("other", json!(0), false)]
        {
            let secrets = vec![secret("token", "hunter2"), secret("other", "x")];
            let end = bench.carry_out(PluginCall { secrets, ..call(nothing(), json!(name)) }).await;
            assert_eq!(end.outcome.unwrap().result, Some(answer));
            assert_eq!(end.uses[0].capability, format!("secrets {name}"));
            assert_eq!((end.uses[0].allowed, end.uses[0].times), (allowed, 1));
        }
    }
}
