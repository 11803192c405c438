//! Spans on their way to a collector.

use std::sync::Arc;

use flexcore_ports::{TraceContext, TraceId};
use flexcore_secrets::SecretMask;
use flexcore_telemetry::{OtlpProtocol, TraceExport, TraceExportOptions, Traces};
use flexcore_testkit::{CollectedSpan, Collector, ManualClock};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt as _;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Has spans of this thread go to `traces`.
fn listen(traces: &Traces) -> DefaultGuard {
    tracing::subscriber::set_default(tracing_subscriber::registry().with(traces.layer()))
}

fn options(endpoint: String, protocol: OtlpProtocol) -> TraceExportOptions {
    let (service, version, node) = ("it".to_owned(), "1".to_owned(), "here".to_owned());
    TraceExportOptions { endpoint, protocol, service, version, node }
}

fn traces(secret: &str) -> Traces {
    let mask = SecretMask::default();
    mask.hide(secret);
    Traces::new(Arc::new(ManualClock::default()), Arc::new(mask))
}

/// A span with its place, as the application opens it.
fn placed(place: TraceContext) -> tracing::Span {
    tracing::info_span!(
        target: "flexcore_it",
        "placed",
        trace_id = %place.trace(),
        span_id = %place.span(),
        sampled = place.is_sampled(),
        otel.name = "a name",
        otel.kind = "server",
        said = tracing::field::Empty,
        error = tracing::field::Empty,
    )
}

async fn collected(protocol: OtlpProtocol) -> Vec<CollectedSpan> {
    let collector = match protocol {
        OtlpProtocol::Grpc => Collector::grpc(),
        OtlpProtocol::Http => Collector::http(),
    };
    let collector = collector.expect("a collector");
    let traces = traces("hunter22");
    let guard = listen(&traces);
    placed(TraceContext::parse(PARENT).expect("a place")).in_scope(|| tracing::info!("too early"));
    let export = TraceExport::start(&traces, &options(collector.endpoint(), protocol));
    let export = export.expect("an exporter");
    let place = TraceContext::parse(PARENT).expect("a place");
    let outer = placed(place);
    outer.record("said", "the password is hunter22");
    outer.in_scope(|| {
        let inner = tracing::info_span!(target: "flexcore_it", "inner", count = 7_u64);
        inner.in_scope(|| tracing::warn!(target: "flexcore_it", "it rains hunter22"));
        // A library's own spans and those that are too fine are nobody's business.
        drop(tracing::info_span!(target: "hyper", "foreign"));
        drop(tracing::debug_span!(target: "flexcore_it", "fine"));
    });
    outer.record("error", "it broke");
    drop(outer);
    let unsampled = TraceContext::root(TraceId::parse(&"2".repeat(32)).expect("an id"), "x", false);
    let quiet = placed(unsampled);
    quiet.in_scope(|| drop(tracing::info_span!(target: "flexcore_it", "under")));
    drop(quiet);
    drop(tracing::info_span!(target: "flexcore_it", "nowhere"));
    export.finish().await;
    drop(guard);
    collector.spans()
}

fn check(mut spans: Vec<CollectedSpan>) {
    spans.sort_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["a name", "inner"]);
    let [outer, inner] = &spans[..] else { unreachable!("there are two") };
    let place = TraceContext::parse(PARENT).expect("a place");
    assert_eq!(
        (outer.trace.clone(), outer.span.clone()),
        (place.trace().to_string(), place.span().to_string())
    );
    assert_eq!((&inner.trace, &inner.parent), (&outer.trace, &outer.span));
    assert_eq!((&*outer.service, outer.is_error, inner.is_error), ("it", true, false));
    assert_eq!(outer.attributes["said"], "the password is ***");
    assert_eq!(inner.attributes["count"], "7");
    assert_eq!(inner.events, ["it rains ***"]);
}

#[tokio::test]
async fn spans_go_to_a_collector_over_grpc() {
    check(collected(OtlpProtocol::Grpc).await);
}

#[tokio::test]
async fn spans_go_to_a_collector_over_http() {
    check(collected(OtlpProtocol::Http).await);
}

#[tokio::test]
async fn an_address_without_a_scheme_is_refused() {
    let refused =
        TraceExport::start(&traces("x"), &options("host:4317".into(), OtlpProtocol::Grpc));
    let message = refused.expect_err("it is none").to_string();
    assert_eq!(
        message,
        "`host:4317` is no address of a collector: it begins with neither http:// nor https://"
    );
}

#[tokio::test]
async fn spans_that_find_no_room_are_dropped_and_nobody_waits() {
    // Nobody answers there.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let traces = traces("x");
    let guard = listen(&traces);
    let export =
        TraceExport::start(&traces, &options(format!("http://{address}"), OtlpProtocol::Grpc));
    let export = export.expect("an exporter");
    for _ in 0..20_000 {
        drop(placed(TraceContext::parse(PARENT).expect("a place")));
    }
    drop(guard);
    drop(export);
}
