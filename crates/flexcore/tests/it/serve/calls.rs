//! Calls of plugins by hand, many at once.

use std::{io::Write as _, thread};

use serde_json::json;

use super::Served;
use crate::project::{Project, wait_until};

/// How many callers there are; each has two events on the same stream.
const CALLERS: usize = 48;

#[test]
fn callers_of_one_plugin_do_not_refuse_each_other() {
    let project =
        Project::with("pipeline: none\nsteps:\n  - { id: go, command: { run: 'true' } }\n");
    let server = Served::start(&project, &[]);
    let body = json!({ "config": { "filter": ".n *= 2" }, "input": [{ "n": 21 }] });
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let answer = server.post("plugins/json-transform/execute", &body);
                assert_eq!(answer.status, 200, "{}", answer.body);
                assert_eq!(answer.json()["records"]["input"], json!([{ "n": 42 }]));
            });
        }
    });
    let shown = server.get("plugins/json-transform").json();
    assert_eq!(shown["registered"]["calls"]["completed"], CALLERS, "{shown:#}");
    server.end();
    project.json(&["events", "verify"]).completes();
}

#[test]
fn a_call_whose_caller_left_is_carried_out_to_its_end() {
    let project =
        Project::with("pipeline: none\nsteps:\n  - { id: go, command: { run: 'true' } }\n");
    let server = Served::start(&project, &[]);
    let body = json!({ "config": { "filter": "." }, "input": [{ "n": 1 }] }).to_string();
    let head = server.head("POST", "plugins/json-transform/execute");
    let length = body.len();
    let mut stream = server.connect();
    let kind = "Content-Type: application/json";
    stream
        .write_all(format!("{head}{kind}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes())
        .expect("the server reads");
    let calls = || server.get("plugins/json-transform/calls");
    // It may not have a stream yet.
    wait_until("the call has begun", || {
        let answer = calls();
        answer.status == 200 && answer.json()["items"].as_array().is_some_and(|all| !all.is_empty())
    });
    drop(stream);
    wait_until("the call has ended", || calls().json()["items"][0]["status"] == "completed");
    server.end();
}
