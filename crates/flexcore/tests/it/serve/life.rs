//! How a server begins and ends, and what its roles do.

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;
use serde_json::json;

use super::{Served, TWO_STEPS, document};
use crate::project::{PATIENCE, Project, Running, attempts_alive, wait_until};

const SLOW: &str = "\
pipeline: slow
steps:
  - { id: wait, command: { run: \"test -e data/go || { touch out/began; sleep 600; }\" } }
";

/// Starts an execution of [`SLOW`] whose step runs; its id.
fn begin_slow(project: &Project, server: &Served) -> String {
    project.write("out/.keep", "");
    assert_eq!(server.post("pipelines", &document(project)).status, 201);
    let accepted = server.post("pipelines/slow/executions", &json!({}));
    wait_until("the step runs", || project.path("out/began").exists());
    accepted.json()["execution"].as_str().expect("an id").to_owned()
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let project = Project::with(SLOW);
    let mut server = Served::start(&project, &[]);
    let execution = begin_slow(&project, &server);
    let process = server.process.take().expect("it runs");
    process.signal(Signal::TERM);
    wait_until("it is about to end", || process.stderr().contains("again to end at once"));
    process.signal(Signal::TERM);
    let ended = process.finish();
    assert_ne!(ended.status.code(), Some(0), "{}", ended.stderr);
    wait_until("nothing of it runs", || attempts_alive(&execution).is_empty());
}

#[test]
fn a_service_manager_hears_of_it() {
    let mut project = Project::with(TWO_STEPS);
    let path = project.scratch().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    project.set("NOTIFY_SOCKET", path.to_str().expect("UTF-8"));
    let hear = || {
        let mut said = [0; 200];
        let length = socket.recv(&mut said).expect("it says something");
        String::from_utf8_lossy(&said[..length]).into_owned()
    };
    let server = Served::start(&project, &[]);
    assert!(hear().starts_with("READY=1\n"));
    server.end();
    assert!(hear().starts_with("STOPPING=1\n"));
}

#[test]
fn a_process_without_the_api_only_says_how_it_is() {
    let project = Project::with(TWO_STEPS);
    let server = Served::start(&project, &["--roles", "worker,projection"]);
    assert_eq!(server.get("pipelines").status, 404);
    let ready = format!("GET /ready HTTP/1.1\r\nHost: {}\r\n", server.address);
    assert_eq!(server.send(&ready, "").status, 200);
    server.end();
}

#[test]
fn a_process_without_a_worker_accepts_and_leaves() {
    let project = Project::with(TWO_STEPS);
    let created = document(&project);
    let server = Served::start(&project, &["--roles", "api"]);
    assert_eq!(server.post("pipelines", &created).status, 201);
    let accepted = server.post("pipelines/two-steps/executions", &json!({}));
    assert_eq!(accepted.status, 202);
    // Without the role `projection` a list is still up to date.
    let listed = server.get("executions").json();
    assert_eq!(listed["items"][0]["id"], accepted.json()["execution"]);
    assert_eq!(listed["items"][0]["status"], "queued");
    server.end();
    // The scheduler takes up what nobody drives.
    let server = Served::start(&project, &["--roles", "api,scheduler"]);
    wait_until("it is driven to its end", || {
        server.get("executions/last").json()["status"] == "completed"
    });
    server.end();
}

/// What a process has of its own in memory, in bytes.
pub(super) fn memory_of(process: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid()));
    let status = status.expect("it runs");
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("its memory");
    let kilobytes = line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok());
    kilobytes.expect("a number") * 1024
}
