//! What every request gets and every answer carries: an id to find it by, and errors in one form.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header},
    middleware::Next,
    response::IntoResponse,
};
use uuid::Uuid;

use crate::{
    Api,
    problem::{Fault, Problem},
};

/// The header that carries the id, in both directions.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken from a caller.
const LONGEST: usize = 128;

/// The id of a request: the caller's, or a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId {
    text: HeaderValue,
    uuid: Uuid,
    is_given: bool,
}

impl RequestId {
    /// What the caller says, if it can be repeated in a header and in logs without harm.
    fn of(headers: &HeaderMap, new: impl FnOnce() -> Uuid) -> Self {
        let is_plain = |value: &&HeaderValue| {
            !value.is_empty()
                && value.len() <= LONGEST
                && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        match headers.get(REQUEST_ID).filter(is_plain) {
            Some(text) => {
                let named = || Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes());
                let uuid = Uuid::try_parse_ascii(text.as_bytes()).unwrap_or_else(|_| named());
                Self { text: text.clone(), uuid, is_given: true }
            }
            None => {
                let uuid = new();
                let text = HeaderValue::from_str(&uuid.to_string());
                let text = text.unwrap_or(HeaderValue::from_static("none"));
                Self { text, uuid, is_given: false }
            }
        }
    }

    /// The id as it was given.
    pub(crate) fn as_str(&self) -> &str {
        self.text.to_str().unwrap_or_default()
    }

    /// What events that come of the request are found by if the caller named it. An id that is no
    /// UUID has one that is derived from it, always the same.
    pub(crate) fn named(&self) -> Option<Uuid> {
        self.is_given.then_some(self.uuid)
    }
}

/// Gives the request its id, and the answer as well; problems are told with it, and with the path
/// below the root that the routes have.
pub(crate) async fn frame(
    State((api, root)): State<(Arc<Api>, &'static str)>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    let id = RequestId::of(request.headers(), || api.ids.next());
    let path = format!("{root}{}", request.uri().path());
    request.extensions_mut().insert(id.clone());
    let mut response = told(next.run(request).await, &path, &id);
    response.headers_mut().insert(REQUEST_ID, id.text);
    response
}

/// Layers and extractors may answer in plain text; callers are told in one form.
fn told(mut response: Response<Body>, path: &str, id: &RequestId) -> Response<Body> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => {
            *response.body_mut() = Body::from(problem.document(Some((path, id))));
            // What was there may have been compressed.
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response.headers_mut().remove(header::CONTENT_ENCODING);
            response
        }
        None if is_ours(&response) => response,
        None => {
            let problem = match status {
                StatusCode::METHOD_NOT_ALLOWED => Fault::Method.because("not with this method"),
                StatusCode::BAD_REQUEST => Fault::Malformed.because("the request cannot be read"),
                _ => Fault::Internal.because("the request was not answered"),
            };
            let mut plain = problem.into_response();
            *plain.status_mut() = status;
            if let Some(allow) = response.headers().get(header::ALLOW) {
                plain.headers_mut().insert(header::ALLOW, allow.clone());
            }
            plain
        }
    }
}

/// An answer in JSON that has a status of an error says something, such as how the process is.
fn is_ours(response: &Response<Body>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &[u8]) -> RequestId {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_bytes(text).unwrap());
        RequestId::of(&headers, || Uuid::from_u128(7))
    }

    #[test]
    fn what_a_caller_says_is_kept() {
        let uuid = "0192f0c1-2345-7abc-8def-0123456789ab";
        assert_eq!(of(uuid.as_bytes()).named().unwrap().to_string(), uuid);
        let named = of(b"order-17");
        assert_eq!(named.as_str(), "order-17");
        assert_eq!(named.named(), of(b"order-17").named());
        assert_ne!(named.named(), of(b"order-18").named());
    }

    #[test]
    fn what_could_do_harm_in_a_log_is_replaced() {
        let long = "x".repeat(LONGEST + 1);
        for text in [&b""[..], b"a b", b"\xff\xfe", b"tab\there", long.as_bytes()] {
            assert_eq!((of(text).uuid, of(text).named()), (Uuid::from_u128(7), None));
        }
    }
}
