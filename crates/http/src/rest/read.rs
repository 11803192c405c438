//! Queries: what a caller has seen already, and what it wants to wait for.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use flexcore_api::{GetExecution, Query as _, Route};
use flexcore_app::{RequestContext, RequestKind};

use super::{Asked, must_fit, reply, wait};
use crate::{
    Api,
    operation::Operation,
    problem::{Fault, Problem},
};

/// The parameter of every query that names a position which the answer has to know of.
pub(crate) const CONSISTENT_WITH: &str = "consistent-with";
/// The parameter of those that can wait, such as `30s`.
pub(crate) const WAIT: &str = "wait";

/// Whether a request can wait until something happened.
pub(crate) fn can_wait(operation: &Operation) -> bool {
    operation.name == GetExecution::NAME
}

/// What a caller says besides the fields of a query.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The answer has to know of this position.
    pub(super) position: Option<u64>,
    /// For how long to wait until what is asked for has changed or ended.
    pub(super) wait: Option<Duration>,
}

impl Seen {
    /// Takes it out of the parameters.
    ///
    /// # Errors
    /// A value that is none.
    pub(super) fn take(
        operation: &Operation,
        query: &mut Vec<(String, String)>,
    ) -> Result<Self, Problem> {
        let mut seen = Self::default();
        if operation.kind != RequestKind::Query {
            return Ok(seen);
        }
        let mut others = Vec::with_capacity(query.len());
        for (name, value) in std::mem::take(query) {
            match &*name {
                CONSISTENT_WITH => seen.position = Some(position(&value)?),
                WAIT if can_wait(operation) => seen.wait = Some(seconds(&value)?),
                _ => others.push((name, value)),
            }
        }
        *query = others;
        Ok(seen)
    }
}

fn position(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Fault::Malformed.because(format!("`{text}` is not a position")))
}

/// `30s`, `500ms`, or seconds as a number.
fn seconds(text: &str) -> Result<Duration, Problem> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').unwrap_or(text), 1_000),
    };
    let count: u32 = number.parse().map_err(|_| {
        Fault::Malformed.because(format!("`{text}` is not a time to wait")).hint("write it as 30s")
    })?;
    Ok(Duration::from_millis(u64::from(count) * unit))
}

/// Answers a query.
pub(super) async fn answer(
    operation: &Operation,
    route: Route,
    api: &Arc<Api>,
    context: &RequestContext,
    asked: Asked,
) -> Result<Response<Body>, Problem> {
    let Asked { path, mut query, headers, body } = asked;
    must_fit(route.method, &headers, &body)?;
    let seen = Seen::take(operation, &mut query)?;
    let text = operation.fields.assemble(&path, &query, &body)?;
    wait::reach(api, seen.position).await?;
    let ask = || {
        let call = (operation.call)(Arc::clone(api), context.clone(), text.clone());
        wait::in_time(api.options.patience, call)
    };
    let json = match seen.wait {
        None => ask().await?,
        Some(wait) => {
            let wait = wait.min(api.options.longest_wait);
            let known = reply::known(&headers);
            let is_news = |json: &[u8]| match known {
                Some(known) => !reply::matches(known, &reply::tag(json)),
                None => wait::has_ended(json),
            };
            wait::until(api, context, ask, is_news, wait).await?
        }
    };
    let has_pages = operation.fields.find("after").is_some() && !route.path.contains('{');
    let link = has_pages.then(|| reply::next_page(route.path, &query, &json)).flatten();
    let tag = route.tag_field.and_then(|field| reply::version_tag(&json, field));
    let tag = tag.unwrap_or_else(|| reply::tag(&json));
    let mut response = reply::tagged(json, &tag, &headers)?;
    if let Some(link) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_wait_is_a_number_of_seconds() {
        assert_eq!(seconds("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(seconds("30"), Ok(Duration::from_secs(30)));
        assert_eq!(seconds("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "s", "-1s", "1m", "soon", "99999999999s", "1.5s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
