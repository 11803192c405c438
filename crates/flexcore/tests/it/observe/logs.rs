//! The program's own log.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{PIPELINE, run_once};
use crate::{
    project::{Project, wait_until},
    serve::Served,
};

fn said(server: &Served) -> String {
    server.process.as_ref().expect("it runs").stderr()
}

/// The lines of the log that are JSON.
fn lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_line_says_which_request_execution_and_trace_it_belongs_to() {
    let mut project = Project::with(PIPELINE);
    project.set("FLEXCORE_LOG_FORMAT", "json");
    project.set("FLEXCORE_LOG_LEVEL", "debug");
    let server = Served::start(&project, &[]);
    let missing = server.get("pipelines/none");
    assert_eq!(missing.status, 404);
    wait_until("the refusal is logged", || said(&server).contains("request refused"));
    let all = lines(&said(&server));
    let refused = all.iter().find(|line| line["message"] == "request refused").expect("a line");
    assert_eq!((&refused["level"], &refused["code"]), (&json!("debug"), &json!("FC0201")));
    assert_eq!(refused["tenant"], "default");
    assert_eq!(refused["http.route"], "/api/v1/flexcore/pipelines/{name}");
    assert_eq!(refused["trace_id"].as_str().map(str::len), Some(32));
    assert!(refused["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{refused}");
    server.end();
}

#[test]
fn the_level_changes_while_it_runs() {
    let project = Project::with(PIPELINE);
    let server = Served::start(&project, &[]);
    run_once(&project, &server);
    assert!(!said(&server).contains("request refused"));

    let put = |level: &str| {
        let head = server.head("PUT", "system/log-level") + "Content-Type: application/json\r\n";
        server.send(&head, &json!({ "level": level }).to_string())
    };
    assert_eq!(put("loud").code(), "FC0202");
    let changed = put("debug");
    assert_eq!(changed.json(), json!({ "level": "debug", "former": "warn" }));
    server.get("pipelines/none");
    wait_until("the refusal is logged", || said(&server).contains("request refused"));

    let back = project.json(&["log-level", "warn"]).ends_with(0).value();
    assert_eq!(back, json!({ "level": "warn", "former": "debug" }));
    let before = said(&server).matches("request refused").count();
    server.get("pipelines/none");
    let after = said(&server).matches("request refused").count();
    assert_eq!(before, after);
    server.end();
}

#[test]
fn a_hangup_has_the_settings_read_again() {
    let mut project = Project::with(PIPELINE);
    project.set("FLEXCORE_LOG_LEVEL", "info");
    let server = Served::start(&project, &[]);
    project.json(&["log-level", "error"]).ends_with(0);
    server.process.as_ref().expect("it runs").signal(Signal::HUP);
    wait_until("the settings are read", || said(&server).contains("the settings were read again"));
    server.end();
}

#[test]
fn without_a_server_there_is_no_log_to_change() {
    let project = Project::with(PIPELINE);
    let refused = project.flexcore(&["log-level", "debug"]).ends_with(4);
    assert!(refused.stderr.contains("FC0762"), "{}", refused.stderr);
}
