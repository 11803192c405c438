//! Traces, in a collector that decodes the real protocol.

use std::collections::BTreeMap;

use flexcore_testkit::{CollectedSpan, Collector};
use serde_json::Value;

use super::{PIPELINE, run_once};
use crate::{
    project::{Project, wait_until},
    serve::Served,
};

/// The trace that a caller is in.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

#[test]
fn one_trace_leads_from_a_request_to_its_steps_over_grpc() {
    follows_a_request(&Collector::grpc().expect("a collector"), "grpc");
}

#[test]
fn one_trace_leads_from_a_request_to_its_steps_over_http() {
    follows_a_request(&Collector::http().expect("a collector"), "http/protobuf");
}

fn follows_a_request(collector: &Collector, protocol: &str) {
    let mut project = Project::with(PIPELINE);
    project.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
    project.set("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
    project.set("OTEL_SERVICE_NAME", "flexcore-it");
    let server = Served::start(&project, &[]);
    run_once(&project, &server);
    let head = server.head("POST", "pipelines/watched/executions")
        + &format!("Traceparent: 00-{TRACE}-{CALLER}-01\r\n");
    let accepted = server.send(&head, "");
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let id = accepted.json()["execution"].as_str().expect("an id").to_owned();
    server.live_until(&format!("executions/{id}/live?after=0"), "PipelineExecutionCompleted");
    let shown = server.get(&format!("executions/{id}")).json();
    // What is queued goes out at the end at the latest.
    server.end();
    let of_trace = |collector: &Collector| -> Vec<CollectedSpan> {
        collector.spans().into_iter().filter(|span| span.trace == TRACE).collect()
    };
    wait_until("the execution's span comes", || {
        of_trace(collector).iter().any(|span| span.name == "execution")
    });
    let spans = of_trace(collector);
    assert!(spans.iter().all(|span| span.service == "flexcore-it"));
    let by_id: BTreeMap<&str, &CollectedSpan> =
        spans.iter().map(|span| (&*span.span, span)).collect();
    let one = spans.iter().find(|span| span.attributes.get("step").is_some_and(|id| id == "one"));
    let mut way = vec![one.expect("the step's span")];
    while let Some(parent) = by_id.get(&*way[way.len() - 1].parent) {
        way.push(parent);
    }
    let names: Vec<&str> = way.iter().map(|span| &*span.name).collect();
    let route = "POST /api/v1/flexcore/pipelines/{pipeline}/executions";
    assert_eq!(names, ["step", "execution", "accept execution", "ExecutePipeline", route]);
    assert_eq!(way.last().expect("a span").parent, CALLER);
    assert!(spans.iter().any(|span| span.name == "append" && span.parent == way[1].span));
    let told = parent_of(&shown);
    assert_eq!(
        told,
        format!("00-{TRACE}-{}-01", way[0].span),
        "the program goes on under its step"
    );
    // The run before it had no caller: it is in a trace of its own.
    assert!(collector.spans().iter().any(|span| span.name == "execution" && span.trace != TRACE));
}

/// What the first step was told of its place.
fn parent_of(execution: &Value) -> String {
    execution["steps"][0]["output"]["parent"].as_str().expect("the step's output").to_owned()
}

#[test]
fn a_collector_that_is_away_stops_nothing() {
    let mut project = Project::with(PIPELINE);
    // Nobody listens there: the port was free a moment ago.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = gone.local_addr().expect("an address");
    drop(gone);
    project.set("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{address}"));
    let server = Served::start(&project, &[]);
    run_once(&project, &server);
    server.end();
}

#[test]
fn an_address_that_is_none_is_refused() {
    let mut project = Project::with(PIPELINE);
    project.set("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317");
    let refused = project.flexcore(&["serve", "--port", "0"]).ends_with(4);
    assert!(refused.stderr.contains("FC0760"), "{}", refused.stderr);
}

#[test]
fn an_execution_that_was_interrupted_goes_on_in_its_trace() {
    use rustix::process::Signal;
    let collector = Collector::grpc().expect("a collector");
    let mut project = Project::with(
        "pipeline: watched\nsteps:\n  - id: one\n    command:\n      run: test -e data/go || { touch out/began; sleep 600; }\n",
    );
    project.write("out/.keep", "");
    project.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
    let mut server = Served::start(&project, &[]);
    server.post("pipelines", &crate::serve::document(&project));
    let head = server.head("POST", "pipelines/watched/executions")
        + &format!("Traceparent: 00-{TRACE}-{CALLER}-01\r\n");
    assert_eq!(server.send(&head, "").status, 202);
    wait_until("the step runs", || project.path("out/began").exists());
    let killed = server.process.take().expect("it runs");
    killed.signal(Signal::KILL);
    drop(killed);
    project.write("data/go", "");
    let server = Served::start(&project, &[]);
    wait_until("it is driven to its end", || {
        server.get("executions/last").json()["status"] == "completed"
    });
    server.end();
    wait_until("the second owner's span comes", || {
        let of_trace = |span: &CollectedSpan| span.trace == TRACE && span.name == "execution";
        let spans = collector.spans();
        spans.iter().any(|span| {
            of_trace(span) && span.attributes.get("epoch").is_some_and(|epoch| epoch == "2")
        })
    });
}
