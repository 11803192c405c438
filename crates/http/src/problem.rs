//! Errors as callers see them: `application/problem+json` (RFC 9457).

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use flexcore_api::ErrorBody;
use flexcore_app::UseCaseError;
use serde_json::json;

use crate::frame::RequestId;

/// A request that is answered with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) body: ErrorBody,
    /// In how many seconds it may be worth to ask again.
    retry_after: Option<u64>,
}

/// What a request did wrong before it came to a use case. Each has a page in `docs/errors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody knows who asks.
    Unauthenticated,
    /// What says who asks cannot be read.
    Credentials,
    /// Who asks was known once.
    Expired,
    /// Who asks is not to be known any more.
    Revoked,
    /// Who asks is known elsewhere.
    NotForUs,
    /// Who asks is known, but not well enough.
    Unusable,
    /// Who asks cannot be found out now.
    KeysAway,
    /// A name under which this server is not to be reached.
    Host,
    /// A page of another origin sent it.
    Origin,
    /// The body is no JSON.
    MediaType,
    /// Too much.
    TooLarge,
    /// There is nothing at this path.
    Path,
    /// Not with this method.
    Method,
    /// A parameter or the body is wrong.
    Malformed,
    /// It took too long.
    Timeout,
    /// A mistake of ours.
    Internal,
    /// The body came too slowly.
    SlowBody,
    /// More requests than the caller may send.
    Rate,
    /// This node has not come to the position that the caller wants to see.
    Behind,
    /// What is there is not what the caller saw.
    Precondition,
    /// More live streams than there may be.
    Watchers,
    /// A watcher does not take what waits for it.
    SlowWatcher,
    /// A WebSocket was asked for in a way that is none.
    WebSocket,
}

impl Fault {
    const fn code(self) -> (&'static str, StatusCode) {
        match self {
            Self::Unauthenticated => ("FC0701", StatusCode::UNAUTHORIZED),
            Self::Credentials => ("FC0720", StatusCode::UNAUTHORIZED),
            Self::Expired => ("FC0721", StatusCode::UNAUTHORIZED),
            Self::Revoked => ("FC0722", StatusCode::UNAUTHORIZED),
            Self::NotForUs => ("FC0723", StatusCode::UNAUTHORIZED),
            Self::Unusable => ("FC0727", StatusCode::FORBIDDEN),
            Self::KeysAway => ("FC0726", StatusCode::SERVICE_UNAVAILABLE),
            Self::Host => ("FC0702", StatusCode::MISDIRECTED_REQUEST),
            Self::Origin => ("FC0703", StatusCode::FORBIDDEN),
            Self::MediaType => ("FC0704", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::TooLarge => ("FC0705", StatusCode::PAYLOAD_TOO_LARGE),
            Self::Path => ("FC0706", StatusCode::NOT_FOUND),
            Self::Method => ("FC0707", StatusCode::METHOD_NOT_ALLOWED),
            Self::Malformed => ("FC0708", StatusCode::BAD_REQUEST),
            Self::Timeout => ("FC0709", StatusCode::GATEWAY_TIMEOUT),
            Self::Internal => ("FC0710", StatusCode::INTERNAL_SERVER_ERROR),
            Self::SlowBody => ("FC0740", StatusCode::REQUEST_TIMEOUT),
            Self::Rate => ("FC0741", StatusCode::TOO_MANY_REQUESTS),
            Self::Behind => ("FC0742", StatusCode::PRECONDITION_FAILED),
            Self::Precondition => ("FC0743", StatusCode::PRECONDITION_FAILED),
            Self::Watchers => ("FC0744", StatusCode::SERVICE_UNAVAILABLE),
            Self::SlowWatcher => ("FC0745", StatusCode::REQUEST_TIMEOUT),
            Self::WebSocket => ("FC0746", StatusCode::BAD_REQUEST),
        }
    }

    /// The problem, in a person's words.
    pub(crate) fn because(self, message: impl Into<String>) -> Problem {
        let (code, status) = self.code();
        let body = ErrorBody { code: code.to_owned(), message: message.into(), hint: None };
        Problem { status, body, retry_after: None }
    }
}

impl Problem {
    /// The same with what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }

    /// The same with when to ask again.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// An error that a use case named by its code.
    pub(crate) fn of_body(body: ErrorBody) -> Self {
        let status = match &*body.code {
            "FC0201" => StatusCode::NOT_FOUND,
            "FC0203" | "FC0209" | "FC0210" => StatusCode::CONFLICT,
            "FC0208" => StatusCode::PRECONDITION_FAILED,
            "FC0205" | "FC0724" => StatusCode::FORBIDDEN,
            "FC0204" | "FC0301" => StatusCode::SERVICE_UNAVAILABLE,
            "FC0302" | "FC0303" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, body, retry_after: None }.without_internals()
    }

    /// What went wrong inside is for the log: addresses and paths are nobody else's business.
    fn without_internals(mut self) -> Self {
        if self.status.is_server_error() && self.body.code != "FC0204" {
            tracing::error!(code = self.body.code, error = self.body.message, "a request failed");
            self.body.message = match &*self.body.code {
                "FC0301" => "the event store does not answer; nothing was lost".to_owned(),
                _ => "what is stored cannot be read; the server's log says where".to_owned(),
            };
        }
        self
    }
}

impl From<UseCaseError> for Problem {
    fn from(error: UseCaseError) -> Self {
        Self::of_body(error.body())
    }
}

impl Problem {
    /// Its document; where it is known, with the path and the id of the request.
    pub(crate) fn document(&self, request: Option<(&str, &RequestId)>) -> String {
        let Self { status, body, .. } = self;
        let mut document = json!({
            "type": format!("urn:flexcore:error:{}", body.code),
            "title": status.canonical_reason().unwrap_or("error"),
            "status": status.as_u16(),
            "detail": body.message,
            "code": body.code,
        });
        if let Some(hint) = &body.hint {
            document["hint"] = hint.as_str().into();
        }
        if let Some((path, id)) = request {
            document["instance"] = path.into();
            document["request_id"] = id.as_str().into();
        }
        document.to_string()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = (self.status, self.document(None)).into_response();
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media_type);
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let is_away = self.status == StatusCode::SERVICE_UNAVAILABLE;
        if let Some(seconds) = self.retry_after.or(is_away.then_some(1)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // The outermost layer tells it once more, with what it knows of the request.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_inside_stays_inside() {
        let message = "the event store is unavailable: connection to 10.0.0.5:5432 refused";
        let body = ErrorBody { code: "FC0301".into(), message: message.into(), hint: None };
        let problem = Problem::of_body(body);
        assert_eq!(problem.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!problem.body.message.contains("10.0.0.5"));
    }

    #[test]
    fn an_error_of_the_caller_is_told_whole() {
        let body = ErrorBody {
            code: "FC0201".into(),
            message: "there is no pipeline `x`".into(),
            hint: Some("y?".into()),
        };
        let problem = Problem::of_body(body.clone());
        assert_eq!((problem.status, problem.body), (StatusCode::NOT_FOUND, body));
    }
}
