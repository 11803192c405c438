//! Replies as responses: their tags, what follows them, and the position that was written.

use std::collections::HashMap;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::{
    ROOT,
    problem::{Fault, Problem},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The position of the log after a command; a query with `consistent-with` reads what it wrote.
const POSITION: HeaderName = HeaderName::from_static("x-flexcore-position");

/// What a reply to a command may say of itself.
#[derive(Debug, Default, Deserialize)]
struct Written {
    #[serde(default)]
    position: u64,
    execution: Option<String>,
}

/// A reply as it is.
pub(super) fn json(json: Vec<u8>) -> Response<Body> {
    ([(header::CONTENT_TYPE, JSON)], json).into_response()
}

/// The reply to a command.
pub(super) fn written(status: u16, body: Vec<u8>) -> Response<Body> {
    let said: Written = serde_json::from_slice(&body).unwrap_or_default();
    let mut response = json(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    if said.position > 0 {
        headers.insert(POSITION, HeaderValue::from(said.position));
    }
    let made = said.execution.filter(|_| matches!(status, 201 | 202));
    let made = made.map(|id| format!("{ROOT}/executions/{id}"));
    if let Some(location) = made.and_then(|location| HeaderValue::try_from(location).ok()) {
        headers.insert(header::LOCATION, location);
    }
    response
}

/// A reply with its tag, or that the caller has it already.
///
/// # Errors
/// [`Fault::Precondition`] if the caller wants something else than what is there.
pub(super) fn tagged(
    body: Vec<u8>,
    tag: &str,
    headers: &HeaderMap,
) -> Result<Response<Body>, Problem> {
    let wanted = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
    if wanted.is_some_and(|wanted| !matches(wanted, tag)) {
        return Err(Fault::Precondition.because("what is there has another tag by now"));
    }
    let is_known = known(headers).is_some_and(|known| matches(known, tag));
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => json(body),
    };
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// The tags of what the caller has.
pub(super) fn known(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok())
}

/// Whether a tag is among those of `If-None-Match`, by the weak comparison (RFC 9110, 8.8.3.2).
pub(super) fn matches(known: &str, tag: &str) -> bool {
    let plain = tag.trim_start_matches("W/");
    known.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == plain)
}

/// The tag of a reply that knows its version: what `If-Match` of a change takes.
pub(super) fn version_tag(body: &[u8], field: &str) -> Option<String> {
    let reply = serde_json::from_slice::<HashMap<&str, &RawValue>>(body).ok()?;
    let version: u64 = reply.get(field)?.get().parse().ok()?;
    Some(format!("\"{version}\""))
}

/// What moves on although nothing happened.
const MOVING: &[u8] = b"\"duration_ms\":";

/// The tag of a reply: strong, its bytes are meant. What tells how long something has been going
/// on differs each time; without that two replies are the same in a weaker sense.
pub(super) fn tag(body: &[u8]) -> String {
    let mut hash = Sha256::new();
    let (mut rest, mut weak) = (body, "");
    while let Some(at) = find(rest, MOVING) {
        let (before, after) = rest.split_at(at + MOVING.len());
        hash.update(before);
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            weak = "W/";
        }
        rest = &after[digits..];
    }
    hash.update(rest);
    format!("{weak}\"{}\"", hex::encode(&hash.finalize()[..16]))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, what)
}

/// Where the next page is, if the reply is one and has another.
pub(super) fn next_page(path: &str, query: &[(String, String)], body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Page {
        next: Option<serde_json::Value>,
    }
    let next = match serde_json::from_slice::<Page>(body).ok()?.next? {
        serde_json::Value::String(text) => text,
        serde_json::Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let kept = query.iter().filter(|(name, _)| name != "after");
    let mut pairs: Vec<String> =
        kept.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    pairs.push(format!("after={}", encoded(&next)));
    Some(format!("<{ROOT}/{path}?{}>; rel=\"next\"", pairs.join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_strong_unless_the_reply_moves_by_itself() {
        let still = br#"{"id":"a","duration_ms":null}"#;
        assert!(tag(still).starts_with('"'));
        assert_ne!(tag(still), tag(br#"{"id":"b","duration_ms":null}"#));
        let moving =
            |ms: u32, id: &str| tag(format!(r#"{{"duration_ms":{ms},"id":"{id}"}}"#).as_bytes());
        assert!(moving(5, "a").starts_with("W/"));
        assert_eq!(moving(5, "a"), moving(123, "a"));
        assert_ne!(moving(5, "a"), moving(5, "b"));
    }

    #[test]
    fn a_caller_may_know_several_versions() {
        assert!(matches("\"a\", W/\"b\"", "\"b\""));
        assert!(matches("*", "\"b\""));
        assert!(!matches("\"a\"", "\"b\""));
    }

    #[test]
    fn the_next_page_is_asked_as_this_one_was() {
        let query = [("limit", "5"), ("after", "old"), ("text", "a b&c")];
        let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let link = next_page("executions", &query, br#"{"items":[],"next":"x/y"}"#).unwrap();
        assert_eq!(
            link,
            "</api/v1/flexcore/executions?limit=5&text=a%20b%26c&after=x%2Fy>; rel=\"next\""
        );
        assert_eq!(next_page("executions", &query, br#"{"items":[],"next":null}"#), None);
        assert_eq!(next_page("executions", &query, br#"{"id":"x"}"#), None);
        assert_eq!(next_page("executions", &query, b"[]"), None);
    }
}
