//! The routes of requests, and requests by name.

mod read;
mod reply;
mod wait;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{RawPathParams, RawQuery, State},
    http::{HeaderMap, HeaderValue, Response, header},
    routing::{MethodFilter, MethodRouter, on, post},
};
use flexcore_api::{Method, Route};
use flexcore_app::{RequestContext, RequestKind};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    Api,
    body::WholeBody,
    operation::Operation,
    problem::{Fault, Problem},
};
pub(crate) use read::{CONSISTENT_WITH, WAIT, can_wait};

/// Adds the routes of all operations, and `POST commands` and `POST queries`.
pub(crate) fn routes(operations: &[Operation]) -> Router<Arc<Api>> {
    let mut router = Router::new();
    for operation in operations {
        if let Some(route) = operation.route {
            let path = format!("/{}", for_router(route.path));
            router = router.route(&path, handler(route, Arc::new(operation.clone())));
        }
    }
    let commands = by_name(operations, RequestKind::Command);
    let queries = by_name(operations, RequestKind::Query);
    router.route("/commands", commands).route("/queries", queries)
}

/// A request of one route.
#[derive(Debug)]
struct Asked {
    /// What the path names.
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
}

fn handler(route: Route, operation: Arc<Operation>) -> MethodRouter<Arc<Api>> {
    let filter = match route.method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Delete => MethodFilter::DELETE,
    };
    on(
        filter,
        move |State(api): State<Arc<Api>>,
              Extension(context): Extension<RequestContext>,
              path: RawPathParams,
              RawQuery(query): RawQuery,
              headers: HeaderMap,
              WholeBody(body): WholeBody| {
            let operation = Arc::clone(&operation);
            async move {
                let path = path_fields(route, &path);
                let query = query_fields(&query.unwrap_or_default())?;
                let asked = Asked { path, query, headers, body };
                match (route.method, operation.kind) {
                    (Method::Get, _) | (_, RequestKind::Query) => {
                        read::answer(&operation, route, &api, &context, asked).await
                    }
                    _ => write(&operation, route, api, context, asked).await,
                }
            }
        },
    )
}

/// Carries out a command.
async fn write(
    operation: &Operation,
    route: Route,
    api: Arc<Api>,
    context: RequestContext,
    asked: Asked,
) -> Result<Response<Body>, Problem> {
    let Asked { mut path, query, headers, body } = asked;
    must_fit(route.method, &headers, &body)?;
    if let Some(key) = headers.get("idempotency-key") {
        path.push(idempotency_key(route, key)?);
    }
    let matched = headers.get(header::IF_MATCH).map(|tag| expected_version(route, tag));
    let numbers: Vec<_> = matched.transpose()?.flatten().into_iter().collect();
    let text = operation.fields.assemble(&path, &[query, numbers].concat(), &body)?;
    let patience = api.options.patience;
    let json = wait::in_time(patience, (operation.call)(api, context, text)).await?;
    Ok(reply::written(route.status, json))
}

/// The field that the header fills, with its value. What would be left aside is refused: who sends
/// a key relies on it.
fn idempotency_key(route: Route, key: &HeaderValue) -> Result<(String, String), Problem> {
    let Some(field) = route.idempotency_field else {
        let problem = Fault::Malformed.because("this request takes no Idempotency-Key");
        return Err(problem.hint("leave the header out; sent twice it comes to the same"));
    };
    match key.to_str() {
        Ok(key) if !key.is_empty() => Ok((field.to_owned(), key.to_owned())),
        _ => {
            Err(Fault::Malformed
                .because("the header Idempotency-Key holds something else than text"))
        }
    }
}

/// The field that the header `If-Match` fills, with its value: the tag is the version itself. `*`
/// means whatever is there.
fn expected_version(route: Route, tag: &HeaderValue) -> Result<Option<(String, String)>, Problem> {
    let Some(field) = route.match_field else {
        let problem = Fault::Malformed.because("this request takes no If-Match");
        return Err(problem.hint("leave the header out"));
    };
    let tag = tag.to_str().unwrap_or_default();
    if tag.trim() == "*" {
        return Ok(None);
    }
    let number = tag.trim().strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    match number.and_then(|number| number.parse::<u64>().ok()) {
        Some(number) => Ok(Some((field.to_owned(), number.to_string()))),
        // Nothing that is there has such a tag.
        None => Err(Fault::Precondition
            .because(format!("`{tag}` is no tag of what is to be changed"))
            .hint("send the ETag of an answer that shows it")),
    }
}

/// A command by its name. Its body stays as it was sent, so that numbers keep their digits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedCommand<'a> {
    command: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// A query by its name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedQuery<'a> {
    query: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// The name and the body of what was sent.
fn named(kind: RequestKind, sent: &[u8]) -> Result<(String, String), Problem> {
    let read = match kind {
        RequestKind::Command => serde_json::from_slice(sent)
            .map(|NamedCommand { command, body }| (command, body.get().to_owned())),
        RequestKind::Query => serde_json::from_slice(sent)
            .map(|NamedQuery { query, body }| (query, body.get().to_owned())),
    };
    read.map_err(|error| Fault::Malformed.because(format!("this is not a request: {error}")))
}

fn by_name(operations: &[Operation], kind: RequestKind) -> MethodRouter<Arc<Api>> {
    let of_kind = operations.iter().filter(|operation| operation.kind == kind).cloned();
    let known: BTreeMap<_, _> = of_kind.map(|operation| (operation.name, operation)).collect();
    let known = Arc::new(known);
    post(
        move |State(api): State<Arc<Api>>,
              Extension(context): Extension<RequestContext>,
              RawQuery(query): RawQuery,
              headers: HeaderMap,
              WholeBody(body): WholeBody| {
            let known = Arc::clone(&known);
            async move {
                must_be_json(&headers, &body)?;
                let (name, text) = named(kind, &body)?;
                let Some(operation) = known.get(&*name) else {
                    return Err(nobody(&name, known.keys()));
                };
                let mut query = query_fields(&query.unwrap_or_default())?;
                let seen = read::Seen::take(operation, &mut query)?;
                if let Some((name, _)) = query.first() {
                    let text = format!("there is no parameter `{name}` here");
                    return Err(Fault::Malformed.because(text));
                }
                wait::reach(&api, seen.position).await?;
                let patience = api.options.patience;
                let call = (operation.call)(Arc::clone(&api), context, text);
                let json = wait::in_time(patience, call).await?;
                Ok(match operation.kind {
                    RequestKind::Command => reply::written(200, json),
                    RequestKind::Query => reply::json(json),
                })
            }
        },
    )
}

fn nobody<'a>(name: &str, known: impl Iterator<Item = &'a &'static str>) -> Problem {
    let known: Vec<&str> = known.copied().collect();
    let problem = Fault::Malformed.because(format!("there is no request `{name}` here"));
    problem.hint(format!("known are: {}", known.join(", ")))
}

/// What is asked with a GET or a DELETE has no body, and every other body is JSON.
fn must_fit(method: Method, headers: &HeaderMap, body: &Bytes) -> Result<(), Problem> {
    if matches!(method, Method::Get | Method::Delete) && !body.is_empty() {
        let text = format!("a {} has no body here; use the query", method.as_str());
        return Err(Fault::Malformed.because(text));
    }
    must_be_json(headers, body)
}

/// A form of another site can send anything but JSON.
fn must_be_json(headers: &HeaderMap, body: &Bytes) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let is_json = |value: &str| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    };
    match given {
        Some(value) if is_json(value) => Ok(()),
        None if body.is_empty() => Ok(()),
        other => {
            let text = match other {
                Some(value) => format!("a body of type `{value}` is not taken"),
                None => "the body has no Content-Type".to_owned(),
            };
            Err(Fault::MediaType.because(text).hint("send application/json"))
        }
    }
}

/// The names in the braces of a path.
pub(crate) fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(name.strip_prefix('*').unwrap_or(name))
    })
}

/// A path as the router writes it: names of fields may hold dots, its own must be simple.
pub(crate) fn for_router(path: &str) -> String {
    let mut number = 0;
    let parts = path.split('/').map(|part| {
        if !part.starts_with('{') {
            return part.to_owned();
        }
        number += 1;
        let star = if part.starts_with("{*") { "*" } else { "" };
        format!("{{{star}p{number}}}")
    });
    parts.collect::<Vec<_>>().join("/")
}

fn path_fields(route: Route, values: &RawPathParams) -> Vec<(String, String)> {
    let values = values.iter().map(|(_, value)| value.to_owned());
    parameters(route.path).map(str::to_owned).zip(values).collect()
}

pub(crate) fn query_fields(query: &str) -> Result<Vec<(String, String)>, Problem> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8().map(std::borrow::Cow::into_owned);
        decoded.map_err(|_| Fault::Malformed.because("the query is not UTF-8"))
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_by_its_name_keeps_its_digits() {
        let sent = br#"{"command": "SetBookmark", "body": {"n": 12345678901234567890123.50}}"#;
        let (name, body) = named(RequestKind::Command, sent).unwrap();
        assert_eq!((&*name, &*body), ("SetBookmark", r#"{"n": 12345678901234567890123.50}"#));
        assert!(named(RequestKind::Query, sent).is_err());
        assert!(
            named(RequestKind::Command, br#"{"command": "X", "body": {}, "more": 1}"#).is_err()
        );
    }
}
