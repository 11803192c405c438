//! The example of the README, run by a server on PostgreSQL and watched from elsewhere.

use std::path::{Path, PathBuf};

use flexcore_testkit::Collector;

use super::Served;
use crate::{
    postgres::Database,
    project::{Project, wait_until},
};

/// Copies a folder of the examples into a project.
fn copy(from: &Path, into: &Path) {
    std::fs::create_dir_all(into).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the example").flatten() {
        let target = into.join(entry.file_name());
        let is_result = [".flexcore", "out"].iter().any(|name| entry.file_name() == *name);
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() && !is_result => copy(&entry.path(), &target),
            kind if kind.is_file() => drop(std::fs::copy(entry.path(), target).expect("a copy")),
            _ => {}
        }
    }
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights")
}

#[test]
fn flights_runs_on_a_server_with_postgresql_and_is_watched() {
    let database = Database::new();
    let mut here = database.of(Project::new());
    copy(&example(), here.root());
    std::fs::create_dir_all(here.path("out")).expect("a folder for results");
    let collector = Collector::grpc().expect("a collector");
    here.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
    let server = Served::start(&here);
    let mut there = Project::new();
    copy(&example(), there.root());
    there.set("FLEXCORE_SERVER", &server.url);
    there.set("FLEXCORE_API_KEY", &server.token);

    let follower = there.start(&["events", "tail", "-n", "0", "--output", "json"]);
    let ran = there.json(&["run", "flights"]).ends_with(0).value();
    assert_eq!(ran["status"], "completed", "{ran:#}");
    wait_until("the end was watched", || follower.stdout().contains("PipelineExecutionCompleted"));
    follower.signal(rustix::process::Signal::TERM);
    drop(follower.finish());
    let shown = there.json(&["execution", "show", "last"]).completes().value();
    assert_eq!(shown["id"], ran["id"]);
    // What was asked for from afar is one trace, from the request to the step.
    wait_until("its trace came", || {
        let spans = collector.spans();
        let step = spans.iter().find(|span| span.attributes.values().any(|text| text == "verify"));
        step.is_some_and(|step| {
            let of_trace = spans.iter().filter(|span| span.trace == step.trace);
            of_trace.clone().count() > 2 && of_trace.clone().any(|span| span.parent.is_empty())
        })
    });
    server.end();
    here.assert_log_verifies();
}
