//! `GET /metrics`

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use super::{PIPELINE, run_once};
use crate::{
    project::{Project, wait_until},
    serve::{Answer, Served},
};

/// The page of metrics, as Prometheus asks for it.
pub(super) fn page(server: &Served) -> Answer {
    let (token, address) = (&server.token, server.address);
    let head =
        format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n");
    server.send(&head, "")
}

/// The value of the one line that begins like this; the sum if there are several.
pub(super) fn value(text: &str, series: &str) -> f64 {
    let lines = text.lines().filter(|line| line.starts_with(series) && !line.starts_with('#'));
    let values = lines.map(|line| line.rsplit(' ').next().expect("a value"));
    values.map(|value| value.parse::<f64>().expect("a number")).sum()
}

#[test]
fn a_run_is_counted_and_promtool_finds_nothing_to_say() {
    let project = Project::with(PIPELINE);
    let server = Served::start(&project, &[]);
    run_once(&project, &server);
    let mut text = String::new();
    wait_until("the views have followed", || {
        text = page(&server).body;
        value(&text, "flexcore_projection_lag_events") == 0.0
            && value(&text, "flexcore_log_position") > 0.0
    });
    for (series, least) in [
        ("flexcore_build_info{", 1.0),
        ("flexcore_http_requests_total{method=\"POST\"", 2.0),
        ("flexcore_http_request_duration_seconds_count", 2.0),
        ("flexcore_commands_total{name=\"ExecutePipeline\",outcome=\"ok\"}", 1.0),
        ("flexcore_command_duration_seconds_count", 2.0),
        ("flexcore_append_events_total", 5.0),
        ("flexcore_append_requests_total{outcome=\"accepted\"}", 3.0),
        ("flexcore_append_batch_events_count", 3.0),
        ("flexcore_executions_started_total", 1.0),
        ("flexcore_executions_ended_total{status=\"completed\"}", 1.0),
        ("flexcore_step_attempts_total{kind=\"command\",outcome=\"completed\"}", 2.0),
        ("flexcore_step_duration_seconds_count{kind=\"command\"}", 2.0),
        ("flexcore_sandbox_spawns_total{outcome=\"started\"}", 2.0),
        ("process_cpu_seconds_total", 0.0),
        ("process_resident_memory_bytes", 1_000_000.0),
        ("process_open_fds", 5.0),
        ("process_start_time_seconds", 1_000_000_000.0),
    ] {
        assert!(value(&text, series) >= least, "{series} is less than {least} in\n{text}");
    }
    assert!(value(&text, "flexcore_executions_running").abs() < f64::EPSILON);
    assert!(!text.contains("watched"), "a name that somebody made up is no label");
    assert!(text.contains("route=\"/api/v1/flexcore/pipelines/{pipeline}/executions\""), "{text}");
    clean(&text);
    server.end();
}

/// What Debian's promtool says of metrics.
fn clean(text: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing; run `make setup` first");
    promtool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let said = promtool.wait_with_output().expect("it ends");
    let words =
        [said.stdout, said.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(said.status.success() && words.concat().trim().is_empty(), "{}", words.concat());
}

#[test]
fn only_who_may_reads_them() {
    let project = Project::with(PIPELINE);
    let server = Served::start(&project, &[]);
    let head = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n", server.address);
    assert_eq!(server.send(&head, "").code(), "FC0701");
    let rebound = "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n";
    assert_eq!(server.send(rebound, "").code(), "FC0702");
    let answer = page(&server);
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    server.end();
}

#[test]
fn they_can_be_turned_off() {
    let mut project = Project::with(PIPELINE);
    project.set("FLEXCORE_METRICS_ENABLED", "false");
    let server = Served::start(&project, &[]);
    assert!(!page(&server).body.contains("flexcore_build_info"));
    server.end();
}
