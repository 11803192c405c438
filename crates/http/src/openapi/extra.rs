//! What the server answers besides commands and queries.

use serde_json::{Map, Value, json};

use super::{explained, parameter, refused};
use crate::ROOT;

/// Adds it to the paths.
pub(super) fn add(paths: &mut Map<String, Value>) {
    for (word, path) in [("command", "commands"), ("query", "queries")] {
        paths.insert(format!("{ROOT}/{path}"), json!({ "post": by_name(word, path) }));
    }
    for (path, what, filters) in LIVE {
        paths.insert(format!("{ROOT}/{path}"), json!({ "get": live(path, what, filters) }));
    }
    for (path, what) in OPEN {
        paths.insert(path.to_owned(), json!({ "get": open(path, what) }));
    }
    let detail = json!({
        "operationId": "health-detail",
        "summary": "How each part is that the server stands on.",
        "tags": ["health"],
        "responses": { "200": of_json("Ready."), "503": of_json("Not ready."), "default": refused() },
    });
    paths.insert(format!("{ROOT}/health"), json!({ "get": detail }));
}

fn of_json(description: &str) -> Value {
    let schema = json!({ "type": "object" });
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

/// A request by its name.
fn by_name(word: &str, path: &str) -> Value {
    let schema = json!({
        "type": "object",
        "required": [word, "body"],
        "properties": { word: { "type": "string" }, "body": { "type": "object" } },
        "additionalProperties": false,
    });
    let reply = json!({
        "description": "The reply of that request.",
        "content": { "application/json": { "schema": {} } },
    });
    json!({
        "operationId": path,
        "summary": format!("Sends a {word} by its name."),
        "tags": ["by name"],
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": schema } },
        },
        "responses": { "200": reply, "default": refused() },
    })
}

/// Live streams: path, what they tell of, and what narrows them down.
const LIVE: [(&str, &str, &[&str]); 4] = [
    ("events/live", "events of the tenant", &["type", "category", "stream", "execution"]),
    ("executions/live", "events of executions", &["type", "execution"]),
    ("executions/{execution}/live", "events of one execution", &["type"]),
    (
        "executions/{execution}/logs/live",
        "what the attempts of an execution print",
        &["step", "source"],
    ),
];

fn live(path: &str, what: &str, filters: &[&str]) -> Value {
    let text = || json!({ "type": "string" });
    let mut listed: Vec<Value> = Vec::new();
    if path.contains("{execution}") {
        listed.push(parameter(
            "path",
            "execution",
            true,
            json!({ "type": "string", "minLength": 1 }),
        ));
    }
    for name in filters {
        let texts = json!({ "type": "array", "items": text() });
        listed.push(parameter("query", name, false, texts));
    }
    let about = "Goes on after the message with this id.";
    listed.push(explained(parameter("query", "after", false, text()), about));
    listed.push(explained(parameter("header", "Last-Event-ID", false, text()), about));
    let id = path.replace('/', "-").replace(['{', '}'], "");
    json!({
        "operationId": id,
        "summary": format!("Tells of {what} as they happen."),
        "description": "Server-sent events; a WebSocket for who asks for one (`Upgrade: \
            websocket`), with a text message `{\"id\", \"event\", \"data\"}` for each. A watcher \
            that takes nothing for too long is told FC0745 and let go.",
        "tags": ["live"],
        "parameters": listed,
        "responses": {
            "200": {
                "description": "The stream.",
                "content": { "text/event-stream": { "schema": { "type": "string" } } },
            },
            "101": { "description": "A WebSocket." },
            "default": refused(),
        },
    })
}

/// What needs no caller.
const OPEN: [(&str, &str); 3] = [
    ("/live", "Whether the process runs."),
    ("/ready", "Whether requests may be sent here."),
    (
        "/health",
        "Whether requests may be sent here; with `detail=true` and a caller, how each part is.",
    ),
];

fn open(path: &str, what: &str) -> Value {
    let kind = if path == "/health" { "application/json" } else { "text/plain" };
    let said = |description: &str| {
        let content = json!({ kind: { "schema": {} } });
        json!({ "description": description, "content": content })
    };
    json!({
        "operationId": path.trim_start_matches('/'),
        "summary": what,
        "tags": ["health"],
        "security": [],
        "responses": { "200": said("Yes."), "503": said("No.") },
    })
}
