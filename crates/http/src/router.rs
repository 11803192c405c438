//! Everything that the server answers, from the outside in.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, Response, header},
    middleware::from_fn_with_state,
    response::IntoResponse,
    routing::get,
};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, set_header::SetResponseHeaderLayer,
};

use crate::{
    Api, ROOT,
    access::{guard_names, identify},
    cors::share,
    docs,
    frame::frame,
    health, live,
    observe::{self, Templates, observe},
    openapi,
    operation::operations,
    problem::Fault,
    rate::{RateLimiter, limit_rate},
    rest,
};

/// Everything that the server answers.
pub fn router(api: Api) -> Router {
    let api = Arc::new(api);
    let described = Bytes::from(openapi().to_string());
    let operations = operations();
    let templates = Templates::of(&operations, rest::for_router);
    let requests = rest::routes(&operations)
        .route("/openapi.json", get(|| async move { json(described) }))
        .route("/health", get(health::detail))
        .layer(CompressionLayer::new());
    let asked = requests
        .merge(live::routes(api.options.watchers))
        .fallback(|| async { Fault::Path.because("there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Fault::Method.because("this path is not asked with this method")
        });
    let asked = match api.options.rate {
        Some(rate) => asked.layer(from_fn_with_state(Arc::new(RateLimiter::new(rate)), limit_rate)),
        None => asked,
    };
    let asked = asked
        .layer(from_fn_with_state(Arc::clone(&api), identify))
        // The page knows nothing: it has no caller.
        .merge(docs::routes())
        .layer(from_fn_with_state(Arc::clone(&api), share))
        .layer(from_fn_with_state(Arc::clone(&api), guard_names))
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("a request made the server panic");
            Fault::Internal.because("a mistake of the server; its log says more").into_response()
        }))
        .layer(from_fn_with_state((Arc::clone(&api), templates), observe))
        .layer(from_fn_with_state((Arc::clone(&api), ROOT), frame));
    guarded(open(&api).nest(ROOT, asked)).with_state(api)
}

/// What a process answers that does not take requests: how it is.
pub fn open_router(api: Api) -> Router {
    let api = Arc::new(api);
    guarded(open(&api)).with_state(api)
}

/// Balancers ask these all the time: nothing stands around them. Only who wants to know more has to
/// say who it is.
fn open(api: &Arc<Api>) -> Router<Arc<Api>> {
    let asked = |routes: Router<Arc<Api>>| {
        routes
            .layer(from_fn_with_state(Arc::clone(api), identify))
            .layer(from_fn_with_state(Arc::clone(api), guard_names))
            .layer(from_fn_with_state((Arc::clone(api), ""), frame))
    };
    let detailed = Router::new().route("/health", get(health::detail));
    let detailed = asked(detailed).with_state(Arc::clone(api));
    let counted = Router::new().route("/metrics", get(observe::metrics));
    let counted = asked(counted.layer(CompressionLayer::new()));
    Router::new()
        .route("/live", get(health::live))
        .route("/ready", get(health::ready))
        .route("/health", get(|state, request| health::health(state, request, detailed)))
        .merge(counted)
}

/// With what every answer has.
fn guarded(routes: Router<Arc<Api>>) -> Router<Arc<Api>> {
    let mut all =
        routes.fallback(|| async { Fault::Path.because("there is nothing at this path") });
    for (name, value) in HEADERS {
        let name = HeaderName::from_static(name);
        all = all
            .layer(SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)));
    }
    all
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
