//! The body of a request: whole, no larger than it may be, and not too slow.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::header,
};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use crate::{
    Api,
    problem::{Fault, Problem},
};

/// All of a request's body.
#[derive(Debug)]
pub(crate) struct WholeBody(pub(crate) Bytes);

impl FromRequest<Arc<Api>> for WholeBody {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        let limit = api.options.body;
        let too_large =
            || Fault::TooLarge.because(format!("a body has at most {limit} bytes here"));
        let declared = request.headers().get(header::CONTENT_LENGTH);
        let declared = declared.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        // Who says so beforehand need not send it.
        if declared.is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let deadline = Instant::now() + api.options.body_patience;
        let mut chunks = request.into_body().into_data_stream();
        let mut next = async || match timeout_at(deadline, chunks.next()).await {
            Ok(chunk) => chunk
                .transpose()
                .map_err(|_| Fault::Malformed.because("the body broke off before its end")),
            Err(_) => {
                let seconds = api.options.body_patience.as_secs();
                Err(Fault::SlowBody.because(format!("the body was not here after {seconds} s")))
            }
        };
        // Most come in one piece, which is then not copied.
        let Some(first) = next().await? else { return Ok(Self(Bytes::new())) };
        if first.len() > limit {
            return Err(too_large());
        }
        let mut whole = BytesMut::new();
        while let Some(chunk) = next().await? {
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            if whole.len() + chunk.len() > limit {
                return Err(too_large());
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(Self(if whole.is_empty() { first } else { whole.freeze() }))
    }
}
