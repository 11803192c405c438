//! Who may ask: the names of the server, the origin of pages, and who the caller is.

mod hosts;
mod local;

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Response, header},
    middleware::Next,
    response::IntoResponse,
};
use flexcore_app::{Permissions, RequestContext};
use flexcore_ports::TraceContext;

use crate::{
    Api, PeerCertificate,
    frame::RequestId,
    problem::{Fault, Problem},
};

pub use hosts::Hosts;
pub(crate) use hosts::guard_names;
pub use local::LocalToken;

/// Where clients that know no bearer tokens send a key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a request brings to show who sends it.
#[derive(Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The token or key of `Authorization: Bearer` or of `X-API-Key`.
    pub token: Option<&'a str>,
    /// The certificate (DER) of the connection's other end, if it showed one that is trusted.
    pub certificate: Option<&'a [u8]>,
}

impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name that events carry.
    pub actor: Arc<str>,
    /// The tenant that the caller belongs to.
    pub tenant: Arc<str>,
    /// What the caller may do.
    pub permissions: Permissions,
}

/// Why a caller is not known. Whoever has no right key or token hears no more than that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The request brings nothing.
    Missing,
    /// Nobody is known by what it brings.
    Unknown,
    /// It was good once.
    Expired,
    /// It was taken back.
    Revoked,
    /// It is good, but not here or not yet; in a person's words.
    NotForUs(String),
    /// It is good, but does not say what it must; in a person's words.
    Unusable(String),
    /// It cannot be found out now.
    Unavailable,
}

/// Knows callers by their credentials.
#[async_trait]
pub trait Authenticate: Send + Sync {
    /// Who it is.
    ///
    /// # Errors
    /// [`Refusal`].
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Caller, Refusal>;
}

/// Finds out who asks, for everything that needs a caller.
pub(crate) async fn identify(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    let token = match token(request.headers()) {
        Ok(token) => token.map(str::to_owned),
        Err(problem) => return problem.into_response(),
    };
    let certificate = request.extensions().get::<PeerCertificate>().cloned();
    let credentials = Credentials {
        token: token.as_deref(),
        certificate: certificate.as_ref().map(|certificate| &*certificate.0),
    };
    let caller = match api.access.authenticate(credentials).await {
        Ok(caller) => caller,
        Err(refusal) => return problem(refusal).into_response(),
    };
    let Caller { actor, tenant, permissions } = caller;
    let trace = request.extensions().get::<TraceContext>().copied();
    let named = request.extensions().get().and_then(RequestId::named);
    let mut context = RequestContext::new(tenant, actor, permissions);
    // What follows from the request is found by its trace, unless the caller knows better.
    context.correlation = correlation(request.headers())
        .or(named)
        .or_else(|| trace.map(|trace| trace.trace().as_uuid()));
    context.trace = trace;
    request.extensions_mut().insert(context);
    next.run(request).await
}

/// The one token or key of a request. Two that differ could be understood differently by whatever
/// stands before this server.
fn token(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let wrong = |text: &str| {
        Fault::Credentials.because(text).hint("send one `Authorization: Bearer TOKEN`")
    };
    let mut found = None;
    for name in [header::AUTHORIZATION, API_KEY] {
        for value in headers.get_all(&name) {
            let text = value.to_str().map_err(|_| wrong("the credentials are no text"))?;
            let token = if name == API_KEY { Some(text) } else { bearer(text) };
            let token = token.map(str::trim).filter(|token| !token.is_empty());
            let token = token.ok_or_else(|| wrong("the credentials are no bearer token"))?;
            if found.is_some_and(|other| other != token) {
                return Err(wrong("the request brings more than one token"));
            }
            found = Some(token);
        }
    }
    Ok(found)
}

fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn problem(refusal: Refusal) -> Problem {
    const HINT: &str = "send `Authorization: Bearer KEY`; `flexcore key create` makes one, and without \
                        configured authentication the token is in .flexcore/token";
    match refusal {
        Refusal::Missing => {
            Fault::Unauthenticated.because("the request does not say who sends it").hint(HINT)
        }
        Refusal::Unknown => {
            Fault::Unauthenticated.because("nobody is known by this token").hint(HINT)
        }
        Refusal::Expired => Fault::Expired.because("the token has expired").hint("get a new one"),
        Refusal::Revoked => {
            Fault::Revoked.because("the key was revoked").hint("ask whoever gave it to you")
        }
        Refusal::NotForUs(text) => Fault::NotForUs.because(text),
        Refusal::Unusable(text) => Fault::Unusable.because(text),
        Refusal::Unavailable => {
            Fault::KeysAway.because("who sends the request cannot be found out now")
        }
    }
}

/// What the caller says that the request is part of.
fn correlation(headers: &HeaderMap) -> Option<uuid::Uuid> {
    headers.get("x-correlation-id")?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Result<Option<String>, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        let found = token(&headers).map_err(|problem| problem.body.code);
        found.map(|token| token.map(str::to_owned))
    }

    #[test]
    fn a_token_comes_by_either_header() {
        assert_eq!(read(&[]), Ok(None));
        for pair in
            [("authorization", "Bearer x"), ("authorization", "bearer  x "), ("x-api-key", "x")]
        {
            assert_eq!(read(&[pair]), Ok(Some("x".to_owned())), "{pair:?}");
        }
        let both = [("authorization", "Bearer x"), ("x-api-key", "x")];
        assert_eq!(read(&both), Ok(Some("x".to_owned())));
    }

    #[test]
    fn what_could_be_understood_in_two_ways_is_refused() {
        for wrong in [
            &[("authorization", "Bearer x"), ("x-api-key", "y")][..],
            &[("authorization", "Bearer x"), ("authorization", "Bearer y")],
            &[("authorization", "Basic eA==")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
            &[("authorization", "x")],
            &[("x-api-key", "")],
            &[("authorization", "Bearer \u{e4}")],
        ] {
            assert_eq!(read(wrong), Err("FC0720".to_owned()), "{wrong:?}");
        }
    }
}
