//! What is counted and traced of requests, and `GET /metrics`.

use std::{collections::HashMap, sync::Arc, time::Instant};

use async_trait::async_trait;
use axum::{
    Extension,
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{Method, Response, header},
    middleware::Next,
    response::IntoResponse,
};
use flexcore_app::{RequestContext, UseCaseError};
use flexcore_ports::{Ids, TraceContext, TraceId, TraceSampler, metric};
use tracing::Instrument as _;

use crate::{Api, ROOT, operation::Operation, problem::Problem};

/// What a caller must be allowed to do.
const PERMISSION: &str = "system.metrics";
/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of the process.
#[async_trait]
pub trait MetricsPage: Send + Sync {
    /// All of them, in the text format of Prometheus.
    async fn render(&self) -> String;
}

/// How requests are observed.
#[derive(Clone)]
pub struct Observation {
    /// What is counted.
    pub metrics: Arc<dyn MetricsPage>,
    /// The ids of traces that begin here.
    pub ids: Arc<dyn Ids>,
    /// Which of them are recorded; a caller who says so decides for a trace of its own.
    pub sampler: TraceSampler,
}

impl std::fmt::Debug for Observation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Observation")
            .field("sampler", &self.sampler)
            .finish_non_exhaustive()
    }
}

/// The paths of operations as people know them, by the paths that the router matches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Templates(Arc<HashMap<String, Arc<str>>>);

impl Templates {
    pub(crate) fn of(operations: &[Operation], matched: impl Fn(&str) -> String) -> Self {
        let paths = operations.iter().filter_map(|operation| Some(operation.route?.path));
        let template =
            |path: &str| (format!("{ROOT}/{}", matched(path)), Arc::from(format!("{ROOT}/{path}")));
        Self(Arc::new(paths.map(template).collect()))
    }

    /// The template of a request's path: never what the caller wrote.
    fn of_request(&self, request: &Request) -> Arc<str> {
        match request.extensions().get::<MatchedPath>() {
            Some(path) => match self.0.get(path.as_str()) {
                Some(template) => Arc::clone(template),
                None => path.as_str().into(),
            },
            None => "none".into(),
        }
    }
}

/// Where a request is in its trace. Callers name it by `traceparent`; else a trace begins here.
fn place_of(request: &Request, observed: &Observation) -> (Option<TraceContext>, TraceContext) {
    let id = observed.ids.next();
    let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let name = format!("request/{id}");
    if let Some(parent) = parent.and_then(TraceContext::parse) {
        return (Some(parent), parent.child(&name));
    }
    // Ids are never nil; the trace of one that is would be as good as any other.
    let trace = TraceId::of(id).or_else(|| TraceId::parse(&"1".repeat(32)));
    let trace = trace.expect("one of both is a trace");
    (None, TraceContext::root(trace, &name, observed.sampler.samples(trace)))
}

/// A request that is being answered, for as long as it lives.
struct InFlight(());

impl InFlight {
    fn begin() -> Self {
        metrics::gauge!(metric::HTTP_IN_FLIGHT.name).increment(1.0);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!(metric::HTTP_IN_FLIGHT.name).decrement(1.0);
    }
}

/// Counts a request and answers it in a span of its own.
pub(crate) async fn observe(
    State((api, templates)): State<(Arc<Api>, Templates)>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    let (method, route) = (word(request.method()), templates.of_request(&request));
    let (parent, place) = place_of(&request, &api.observed);
    request.extensions_mut().insert(place);
    let span = tracing::info_span!(
        "http",
        trace_id = %place.trace(),
        span_id = %place.span(),
        parent_id = parent.map(|parent| tracing::field::display(parent.span())),
        sampled = place.is_sampled(),
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = &*route,
        http.response.status_code = tracing::field::Empty,
        error.code = tracing::field::Empty,
    );
    let (under_way, begun) = (InFlight::begin(), Instant::now());
    let response = next.run(request).instrument(span.clone()).await;
    drop(under_way);
    let (elapsed, status) = (begun.elapsed(), response.status());
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("error.code", status.as_str());
    }
    metrics::counter!(
        metric::HTTP_REQUESTS.name,
        "method" => method, "route" => Arc::clone(&route), "status" => status.as_u16().to_string()
    )
    .increment(1);
    metrics::histogram!(
        metric::HTTP_REQUEST_SECONDS.name,
        "method" => method, "route" => route
    )
    .record(elapsed);
    response
}

/// A method as a label: there are few that mean something.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// `GET /metrics`
pub(crate) async fn metrics(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<RequestContext>,
) -> Result<Response<Body>, Problem> {
    if !context.may(PERMISSION) {
        return Err(Problem::from(UseCaseError::Forbidden {
            actor: context.actor.to_string(),
            request: "read metrics",
            permission: PERMISSION,
        }));
    }
    let text = api.observed.metrics.render().await;
    Ok(([(header::CONTENT_TYPE, TEXT)], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Ids for One {
        fn next(&self) -> uuid::Uuid {
            uuid::Uuid::from_u128(7)
        }

        fn secret(&self) -> Result<[u8; 32], flexcore_ports::NoRandomness> {
            Ok([7; 32])
        }
    }

    struct Nothing;

    #[async_trait]
    impl MetricsPage for Nothing {
        async fn render(&self) -> String {
            String::new()
        }
    }

    fn observed(ratio: f64) -> Observation {
        let sampler = TraceSampler::new(ratio);
        Observation { metrics: Arc::new(Nothing), ids: Arc::new(One), sampler }
    }

    fn request(traceparent: Option<&str>) -> Request {
        let mut request = Request::new(Body::empty());
        if let Some(text) = traceparent {
            request.headers_mut().insert("traceparent", text.parse().unwrap());
        }
        request
    }

    #[test]
    fn a_caller_s_trace_goes_on_and_decides_whether_it_is_recorded() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        let (parent, place) = place_of(&request(Some(text)), &observed(1.0));
        assert_eq!(parent.unwrap().to_string(), text);
        assert_eq!(place.trace(), parent.unwrap().trace());
        assert!(!place.is_sampled());
    }

    #[test]
    fn without_a_readable_one_a_trace_begins() {
        for text in [None, Some("x"), Some("00-1-1-01")] {
            let (parent, place) = place_of(&request(text), &observed(1.0));
            assert_eq!(parent, None);
            assert_eq!(place.trace().as_uuid(), uuid::Uuid::from_u128(7));
            assert!(place.is_sampled());
        }
        assert!(!place_of(&request(None), &observed(0.0)).1.is_sampled());
    }

    #[test]
    fn what_the_caller_made_up_is_no_label() {
        let request = Request::new(Body::empty());
        assert_eq!(&*Templates::default().of_request(&request), "none");
        assert_eq!(word(&Method::from_bytes(b"PROPFIND").unwrap()), "other");
    }
}
