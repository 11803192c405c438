//! Everything that the server answers, from the outside in.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
    middleware::{self, Next},
    response::IntoResponse,
    routing::get,
};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, limit::RequestBodyLimitLayer,
    set_header::SetResponseHeaderLayer,
};

use crate::{
    Api, ROOT,
    access::{guard_names, identify},
    health, live,
    observe::{self, Templates, observe},
    openapi,
    operation::operations,
    problem::Fault,
    rest,
};

/// The largest body, in bytes: a pipeline definition with room to spare.
const MAX_BODY: usize = 8 << 20;
/// How long a request may take. Live streams are not requests in this sense.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that the server answers.
pub fn router(api: Api) -> Router {
    let api = Arc::new(api);
    let described = Bytes::from(openapi().to_string());
    let operations = operations();
    let templates = Templates::of(&operations, rest::for_router);
    let requests = rest::routes(&operations)
        .route("/openapi.json", get(|| async move { json(described) }))
        .route("/health", get(health::detail))
        .layer(middleware::from_fn(in_time))
        .layer(CompressionLayer::new());
    let live = Router::new()
        .route("/events/live", get(live::events))
        .route("/executions/{execution}/live", get(live::execution));
    let asked = requests
        .merge(live)
        .fallback(|| async { Fault::Path.because("there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Fault::Method.because("this path is not asked with this method")
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&api), identify))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), guard_names))
        .layer(middleware::from_fn(plain_errors))
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("a request made the server panic");
            Fault::Internal.because("a mistake of the server; its log says more").into_response()
        }))
        .layer(middleware::from_fn_with_state((Arc::clone(&api), templates), observe));
    let counted = Router::new()
        .route("/metrics", get(observe::metrics))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(Arc::clone(&api), identify))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), guard_names));
    // Balancers ask these all the time: nothing stands around them.
    let open = Router::new()
        .route("/live", get(health::live))
        .route("/ready", get(health::ready))
        .route("/health", get(health::health));
    let mut all = Router::new()
        .nest(ROOT, asked)
        .merge(open)
        .merge(counted)
        .fallback(|| async { Fault::Path.because("there is nothing at this path") });
    for (name, value) in HEADERS {
        let name = HeaderName::from_static(name);
        all = all
            .layer(SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)));
    }
    all.with_state(api)
}

/// What keeps browsers from doing more with an answer than was meant.
const HEADERS: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
];

fn json(text: Bytes) -> Response<Body> {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Gives up on what takes too long.
async fn in_time(request: Request, next: Next) -> Response<Body> {
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let text = format!("it took longer than {} s", PATIENCE.as_secs());
            Fault::Timeout.because(text).into_response()
        }
    }
}

/// Layers and extractors answer in plain text; callers are told in one form.
async fn plain_errors(request: Request, next: Next) -> Response<Body> {
    let response = next.run(request).await;
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/problem"));
    let status = response.status();
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let problem = match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Fault::TooLarge.because(format!("a body has at most {MAX_BODY} bytes here"))
        }
        StatusCode::METHOD_NOT_ALLOWED => Fault::Method.because("not with this method"),
        StatusCode::BAD_REQUEST => Fault::Malformed.because("the request cannot be read"),
        _ => Fault::Internal.because("the request was not answered"),
    };
    let mut told = problem.into_response();
    *told.status_mut() = status;
    if let Some(allow) = response.headers().get(header::ALLOW) {
        told.headers_mut().insert(header::ALLOW, allow.clone());
    }
    told
}
