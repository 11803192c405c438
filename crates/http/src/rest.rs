//! The routes of requests, and requests by name.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{RawPathParams, RawQuery, State},
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
    routing::{MethodFilter, MethodRouter, on, post},
};
use flexcore_api::{CommandEnvelope, Method, QueryEnvelope};
use flexcore_app::{RequestContext, RequestKind};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

use crate::{
    Api,
    operation::Operation,
    problem::{Fault, Problem},
};

/// Adds the routes of all operations, and `POST commands` and `POST queries`.
pub(crate) fn routes(operations: &[Operation]) -> Router<Arc<Api>> {
    let mut router = Router::new();
    for operation in operations {
        if let Some(route) = operation.route {
            let path = format!("/{}", for_router(route.path));
            router = router.route(&path, handler(route.method, Arc::new(operation.clone())));
        }
    }
    let by_name = |kind: RequestKind| -> Arc<BTreeMap<&'static str, Operation>> {
        let of_kind = operations.iter().filter(|operation| operation.kind == kind);
        Arc::new(of_kind.map(|operation| (operation.name, operation.clone())).collect())
    };
    let commands = by_name(RequestKind::Command);
    let queries = by_name(RequestKind::Query);
    router
        .route(
            "/commands",
            post(move |State(api), Extension(context), headers: HeaderMap, body: Bytes| {
                let commands = Arc::clone(&commands);
                async move {
                    let envelope: CommandEnvelope = envelope(&headers, &body)?;
                    named(&commands, &envelope.command, api, context, envelope.body).await
                }
            }),
        )
        .route(
            "/queries",
            post(move |State(api), Extension(context), headers: HeaderMap, body: Bytes| {
                let queries = Arc::clone(&queries);
                async move {
                    let envelope: QueryEnvelope = envelope(&headers, &body)?;
                    named(&queries, &envelope.query, api, context, envelope.body).await
                }
            }),
        )
}

fn handler(method: Method, operation: Arc<Operation>) -> MethodRouter<Arc<Api>> {
    let filter = match method {
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
              body: Bytes| {
            let operation = Arc::clone(&operation);
            async move {
                let path = path_fields(&operation, &path);
                let asked = Asked { path, query: query.unwrap_or_default(), headers, body };
                answer(&operation, api, context, asked).await
            }
        },
    )
}

/// A request of one route.
struct Asked {
    path: Vec<(String, String)>,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

async fn answer(
    operation: &Operation,
    api: Arc<Api>,
    context: RequestContext,
    asked: Asked,
) -> Result<Response<Body>, Problem> {
    let Asked { mut path, query, headers, body } = asked;
    let route = operation.route.unwrap_or(flexcore_api::Route::get(""));
    if matches!(route.method, Method::Get | Method::Delete) && !body.is_empty() {
        let text = format!("a {} has no body here; use the query", route.method.as_str());
        return Err(Fault::Malformed.because(text));
    }
    must_be_json(&headers, &body)?;
    if let (Some(field), Some(key)) = (route.idempotency_field, headers.get("idempotency-key")) {
        let key = key.to_str().map_err(|_| {
            Fault::Malformed.because("the header Idempotency-Key holds something else than text")
        })?;
        path.push((field.to_owned(), key.to_owned()));
    }
    let text = operation.fields.assemble(&path, &query_fields(&query)?, &body)?;
    let json = (operation.call)(api, context, text).await?;
    let status = StatusCode::from_u16(route.status).unwrap_or(StatusCode::OK);
    if route.method == Method::Get {
        return Ok(tagged(json, &headers));
    }
    Ok((status, [(header::CONTENT_TYPE, JSON)], json).into_response())
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A reply with its tag, or that the caller has it already.
fn tagged(json: Vec<u8>, headers: &HeaderMap) -> Response<Body> {
    let hash = hex::encode(&Sha256::digest(&json)[..16]);
    let tag = format!("\"{hash}\"");
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| {
        known.split(',').map(str::trim).any(|one| one.trim_start_matches("W/") == tag)
    });
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, JSON)], json).into_response(),
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

async fn named(
    operations: &BTreeMap<&'static str, Operation>,
    name: &str,
    api: Arc<Api>,
    context: RequestContext,
    body: serde_json::Value,
) -> Result<Response<Body>, Problem> {
    let Some(operation) = operations.get(name) else {
        let known: Vec<&str> = operations.keys().copied().collect();
        let problem = Fault::Malformed.because(format!("there is no request `{name}` here"));
        return Err(problem.hint(format!("known are: {}", known.join(", "))));
    };
    let json = (operation.call)(api, context, body.to_string()).await?;
    Ok(([(header::CONTENT_TYPE, JSON)], json).into_response())
}

fn envelope<T: serde::de::DeserializeOwned>(
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<T, Problem> {
    must_be_json(headers, body)?;
    serde_json::from_slice(body)
        .map_err(|error| Fault::Malformed.because(format!("this is not a request: {error}")))
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

fn path_fields(operation: &Operation, values: &RawPathParams) -> Vec<(String, String)> {
    let path = operation.route.map_or("", |route| route.path);
    let values = values.iter().map(|(_, value)| value.to_owned());
    parameters(path).map(str::to_owned).zip(values).collect()
}

pub(crate) fn query_fields(query: &str) -> Result<Vec<(String, String)>, Problem> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8().map(|text| text.into_owned());
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
