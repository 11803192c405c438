//! Pages of other origins: closed, but for those that the operator names.
//!
//! A page of another origin is refused before this ([`guard_names`](crate::access)); here the pages
//! of the named ones are told that they may read the answers. Credentials of the browser are never
//! taken into account: there are none.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
    middleware::Next,
    response::IntoResponse,
};

use crate::Api;

/// What pages may send.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, \
     x-api-key, x-correlation-id, x-request-id",
);
/// What pages may read besides the body.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "etag, link, location, retry-after, x-flexcore-position, x-request-id",
);
/// For how long a browser need not ask again, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Answers what browsers ask beforehand, and marks answers for the pages of named origins.
pub(crate) async fn share(
    State(api): State<Arc<Api>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let origin = request.headers().get(header::ORIGIN);
    let origin = origin.filter(|origin| trusts(&api.options.origins, origin)).cloned();
    let Some(origin) = origin else { return next.run(request).await };
    let asks_beforehand = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if asks_beforehand {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        response
    } else {
        next.run(request).await
    };
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    response
}

/// Whether an origin is one of those that were named. There is no wildcard.
pub(crate) fn trusts(named: &[String], origin: &HeaderValue) -> bool {
    named.iter().any(|one| one.trim_end_matches('/').as_bytes() == origin.as_bytes())
}
