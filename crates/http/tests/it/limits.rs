//! What a request may cost, and what every answer carries.

use std::time::Duration;

use axum::body::Body;
use flexcore_http::{Rate, RequestOptions};
use futures_util::stream;
use serde_json::json;

use crate::stage::{OPERATOR, Stage, asked, document};

#[tokio::test]
async fn an_answer_carries_the_id_of_its_request() {
    let stage = Stage::new().await;
    let given = asked("GET", "pipelines", OPERATOR).header("x-request-id", "order-17");
    let answer = stage.send(given.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.header("x-request-id")), (200, "order-17"));
    let refused = stage.get("nowhere").await;
    assert_eq!(refused.code(), "FC0706");
    assert_eq!(refused.json()["instance"], "/api/v1/flexcore/nowhere");
    assert!(refused.header("x-request-id").parse::<uuid::Uuid>().is_ok());
}

#[tokio::test]
async fn what_came_of_a_request_is_found_by_its_id() {
    let stage = Stage::new().await;
    let id = "0192f0c1-2345-7abc-8def-0123456789ab";
    let body = json!({ "document": document("orders") }).to_string();
    let request = asked("POST", "pipelines", OPERATOR)
        .header("content-type", "application/json")
        .header("x-request-id", id);
    let answer = stage.send(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(answer.status, 201);
    let events = stage.api.events.read_all(0, 10, &flexcore_ports::ReadFilter::default()).await;
    let found = events.unwrap().iter().all(|event| {
        event.event.context.correlation.is_some_and(|correlation| correlation.to_string() == id)
    });
    assert!(found);
}

#[tokio::test]
async fn a_caller_sends_no_more_than_it_may() {
    let rate = Some(Rate { per_second: 0.01, burst: 2 });
    let stage = Stage::with(RequestOptions { rate, ..RequestOptions::default() }).await;
    assert_eq!(stage.get("pipelines").await.status, 200);
    assert_eq!(stage.get("pipelines").await.status, 200);
    let refused = stage.get("pipelines").await;
    assert_eq!((refused.status, &*refused.code()), (429, "FC0741"));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=101).contains(&wait), "{wait}");
    let neighbour = asked("GET", "pipelines", crate::stage::NEIGHBOUR).body(Body::empty()).unwrap();
    assert_eq!(stage.send(neighbour).await.status, 200);
}

#[tokio::test]
async fn a_body_is_no_larger_than_it_may_be() {
    let stage = Stage::with(RequestOptions { body: 100, ..RequestOptions::default() }).await;
    let large = json!({ "document": "x".repeat(200) });
    let answer = stage.post("pipelines", &large).await;
    assert_eq!((answer.status, &*answer.code()), (413, "FC0705"));
    // One that does not say beforehand how large it is.
    let pieces = (0..20).map(|_| Ok::<_, std::io::Error>("          "));
    let request = asked("POST", "pipelines", OPERATOR).header("content-type", "application/json");
    let request = request.body(Body::from_stream(stream::iter(pieces))).unwrap();
    let answer = stage.send(request).await;
    assert_eq!((answer.status, &*answer.code()), (413, "FC0705"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let options =
        RequestOptions { body_patience: Duration::from_millis(50), ..RequestOptions::default() };
    let stage = Stage::with(options).await;
    let never = stream::pending::<Result<&str, std::io::Error>>();
    let request = asked("POST", "pipelines", OPERATOR).header("content-type", "application/json");
    let answer = stage.send(request.body(Body::from_stream(never)).unwrap()).await;
    assert_eq!((answer.status, &*answer.code()), (408, "FC0740"));
}

#[tokio::test]
async fn pages_of_others_are_kept_out_unless_they_are_named() {
    let origins = vec!["https://console.example".to_owned()];
    let stage = Stage::with(RequestOptions { origins, ..RequestOptions::default() }).await;
    let from = |method: &str, origin: &str| {
        asked(method, "pipelines", OPERATOR).header("origin", origin.to_owned())
    };
    let foreign =
        stage.send(from("GET", "https://evil.example").body(Body::empty()).unwrap()).await;
    assert_eq!((foreign.status, &*foreign.code()), (403, "FC0703"));
    assert_eq!(foreign.header("access-control-allow-origin"), "");
    let beforehand = |origin: &str| {
        let asked = from("OPTIONS", origin).header("access-control-request-method", "POST");
        asked.body(Body::empty()).unwrap()
    };
    assert_eq!(stage.send(beforehand("https://evil.example")).await.status, 403);
    let allowed = stage.send(beforehand("https://console.example")).await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://console.example");
    let named =
        stage.send(from("GET", "https://console.example").body(Body::empty()).unwrap()).await;
    assert_eq!(named.status, 200);
    assert_eq!(named.header("access-control-allow-origin"), "https://console.example");
    assert!(named.header("access-control-expose-headers").contains("etag"));
}

#[tokio::test]
async fn an_answer_does_less_in_a_browser_than_it_could() {
    let stage = Stage::new().await;
    for path in ["pipelines", "nowhere", "docs"] {
        let answer = stage.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
    }
    let page = stage.get("docs").await;
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert!(text.contains("src=\"docs/page.js\"") && !text.contains("<script>"));
    for file in ["docs/page.js", "docs/page.css"] {
        assert_eq!(stage.get(file).await.status, 200, "{file}");
    }
}

#[tokio::test]
async fn a_problem_is_readable_for_who_takes_compressed_answers() {
    let stage = Stage::new().await;
    let request = asked("GET", "pipelines/a-name-that-is-long-enough-to-be-compressed", OPERATOR);
    let request = request.header("accept-encoding", "gzip").body(Body::empty()).unwrap();
    let answer = stage.send(request).await;
    assert_eq!((answer.header("content-encoding"), &*answer.code()), ("", "FC0201"));
}
