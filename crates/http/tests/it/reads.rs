//! What queries take besides their fields, and what their answers say besides the reply.

use std::time::Duration;

use axum::body::Body;
use flexcore_http::RequestOptions;
use serde_json::json;
use tokio::time::timeout;

use crate::stage::{Answer, OPERATOR, Stage, asked, document};

/// A generous time for something that takes a moment.
const PATIENCE: Duration = Duration::from_mins(1);

async fn get_with(stage: &Stage, path: &str, header: (&str, &str)) -> Answer {
    let request = asked("GET", path, OPERATOR).header(header.0, header.1);
    stage.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_page_says_where_the_next_one_is() {
    let stage = Stage::new().await;
    for name in ["a", "b", "c"] {
        let created = stage.post("pipelines", &json!({ "document": document(name) })).await;
        assert_eq!(created.status, 201);
    }
    let mut path = "pipelines?limit=1".to_owned();
    let mut seen = vec![];
    loop {
        let page = stage.get(&path).await;
        seen.push(page.json()["items"][0]["name"].as_str().expect("a name").to_owned());
        let Some(link) = page.header("link").strip_prefix("</api/v1/flexcore/") else { break };
        path = link.strip_suffix(">; rel=\"next\"").expect("the next page").to_owned();
        assert!(path.contains("limit=1"), "{path}");
    }
    assert_eq!(seen, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_write_says_its_position_and_a_read_knows_of_it() {
    let stage = Stage::new().await;
    let created = stage.post("pipelines", &json!({ "document": document("a") })).await;
    let position = created.header("x-flexcore-position");
    assert_eq!(position, created.json()["position"].to_string());
    let listed = stage.get(&format!("pipelines?consistent-with={position}")).await;
    assert_eq!(listed.json()["items"][0]["name"], "a");
    let by_name = format!("queries?consistent-with={position}");
    let asked = stage.post(&by_name, &json!({ "query": "ListPipelines", "body": {} })).await;
    assert_eq!(asked.json()["items"][0]["name"], "a");
    assert_eq!(stage.get("pipelines?consistent-with=soon").await.code(), "FC0708");
}

#[tokio::test]
async fn a_position_that_never_comes_is_not_waited_for_forever() {
    let patience = Duration::from_millis(200);
    let stage = Stage::with(RequestOptions { patience, ..RequestOptions::default() }).await;
    let behind = stage.get("pipelines?consistent-with=1000").await;
    assert_eq!((behind.status, &*behind.code()), (412, "FC0742"));
    assert_eq!(behind.header("retry-after"), "1");
}

#[tokio::test]
async fn what_a_caller_has_is_not_sent_again() {
    let stage = Stage::new().await;
    let first = stage.get("pipelines").await;
    let tag = first.header("etag");
    assert!(tag.starts_with('"'), "{tag}");
    let second = get_with(&stage, "pipelines", ("if-none-match", tag)).await;
    assert_eq!((second.status, second.body.len()), (304, 0));
    stage.post("pipelines", &json!({ "document": document("a") })).await;
    assert_eq!(get_with(&stage, "pipelines", ("if-none-match", tag)).await.status, 200);
}

#[tokio::test]
async fn a_request_can_wait_for_an_execution_to_change_and_to_end() {
    let stage = Stage::new().await;
    let execution = stage.fill().await;
    let path = format!("executions/{execution}");
    let tag = stage.get(&path).await.header("etag").to_owned();
    // Nothing happens: the answer comes when the time is up.
    let waited = get_with(&stage, &format!("{path}?wait=50ms"), ("if-none-match", &tag)).await;
    assert_eq!(waited.status, 304);
    let until_changed = format!("{path}?wait=60s");
    let waiting = get_with(&stage, &until_changed, ("if-none-match", &tag));
    let (changed, cancelled) = tokio::join!(timeout(PATIENCE, waiting), async {
        stage.post(&format!("{path}/cancel"), &json!({})).await
    });
    assert_eq!(cancelled.status, 200, "{}", cancelled.json());
    let changed = changed.expect("it changed");
    assert_eq!((changed.status, &changed.json()["cancel_requested"]), (200, &json!(true)));
    assert_eq!(stage.get(&format!("{path}?wait=soon")).await.code(), "FC0708");
    assert_eq!(stage.get("pipelines?wait=1s").await.code(), "FC0708");
}

#[tokio::test]
async fn an_execution_is_found_where_the_answer_says() {
    let stage = Stage::new().await;
    stage.fill().await;
    let accepted = stage.post("pipelines/orders/executions", &json!({})).await;
    assert_eq!(accepted.status, 202);
    let place = accepted.header("location").strip_prefix("/api/v1/flexcore/").expect("a path");
    assert_eq!(stage.get(place).await.json()["id"], accepted.json()["execution"]);
}

#[tokio::test]
async fn a_key_counts_where_it_is_taken_and_is_refused_elsewhere() {
    let stage = Stage::new().await;
    stage.fill().await;
    let send = async |path: &str, key: &str| {
        let request = asked("POST", path, OPERATOR).header("idempotency-key", key);
        stage.send(request.body(Body::empty()).unwrap()).await
    };
    let first = send("pipelines/orders/executions", "k").await.json();
    let second = send("pipelines/orders/executions", "k").await.json();
    assert_eq!(first["execution"], second["execution"]);
    assert_eq!(second["repeated"], true);
    let refused = send("executions/last/cancel", "k").await;
    assert_eq!((refused.status, &*refused.code()), (400, "FC0708"));
}

#[tokio::test]
async fn a_change_of_something_that_changed_meanwhile_is_refused() {
    let stage = Stage::new().await;
    stage.fill().await;
    let tag = stage.get("pipelines/orders").await.header("etag").to_owned();
    let change = async |tag: &str, path: &str| {
        let request = asked("POST", path, OPERATOR).header("if-match", tag);
        stage.send(request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(change(&tag, "pipelines/orders/deactivate").await.status, 200);
    let late = change(&tag, "pipelines/orders/activate").await;
    assert_eq!((late.status, &*late.code()), (412, "FC0208"));
    let strange = change("\"abc\"", "pipelines/orders/activate").await;
    assert_eq!((strange.status, &*strange.code()), (412, "FC0743"));
    let now = stage.get("pipelines/orders").await.header("etag").to_owned();
    assert_ne!(now, tag);
    assert_eq!(change(&now, "pipelines/orders/activate").await.status, 200);
    assert_eq!(change("*", "pipelines/orders/deactivate").await.status, 200);
    assert_eq!(change(&now, "executions/last/cancel").await.code(), "FC0708");
}

#[tokio::test]
async fn health_tells_more_to_who_may_know() {
    let stage = Stage::new().await;
    let ask = async |path: &str, token: Option<&str>| {
        let request = axum::http::Request::builder().uri(path).header("host", "localhost");
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        stage.send(request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(ask("/health", None).await.json(), json!({ "status": "healthy" }));
    assert_eq!(ask("/health?detail=true", None).await.code(), "FC0701");
    let detail = ask("/health?detail=true", Some(OPERATOR)).await.json();
    assert_eq!(detail["checks"][0]["name"], "store");
    assert_eq!(stage.get("health").await.json(), detail);
}
