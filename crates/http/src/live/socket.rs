//! Watchers with a WebSocket (RFC 6455): one text message for each message, in JSON.

use std::time::Duration;

use async_trait::async_trait;
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message as Sent, Utf8Bytes,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::{
    message::{Message, heartbeat_text},
    pump::{Feed, Gone, Limits, Watcher, pump},
    run_on,
};
use crate::problem::{Fault, Problem};

/// The largest message that a watcher may send: it has nothing to say but that it goes.
const LARGEST: usize = 4 * 1024;
/// What is read at once.
const READ: usize = 4 * 1024;
/// How long a watcher that is being left may take to hear of it.
const FAREWELL: Duration = Duration::from_secs(2);

/// Whether a request asks for a WebSocket.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    has(headers, &header::UPGRADE, "websocket")
}

/// Whether a list header names a word.
fn has(headers: &HeaderMap, name: &header::HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
}

/// Changes the protocol and tells the watcher what a feed has.
///
/// # Errors
/// A handshake that is none.
pub(super) fn answer(
    mut request: Request,
    feed: impl Feed + Send + 'static,
    limits: Limits,
    place: OwnedSemaphorePermit,
) -> Result<Response<Body>, Problem> {
    let accept = accept(&request)?;
    let upgrade = hyper::upgrade::on(&mut request);
    run_on(async move {
        let _place = place;
        match upgrade.await {
            Ok(connection) => pump(feed, Socket::new(connection).await, limits).await,
            Err(error) => tracing::debug!(%error, "a WebSocket did not come about"),
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// The answer to the handshake (RFC 6455, 4.2.2).
fn accept(request: &Request) -> Result<HeaderValue, Problem> {
    let headers = request.headers();
    let refused = |text: &str| Fault::WebSocket.because(text);
    if !has(headers, &header::CONNECTION, "upgrade") {
        return Err(refused("the header Connection does not say upgrade"));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(refused("only version 13 of WebSockets is spoken"));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let key = key.ok_or_else(|| refused("the header Sec-WebSocket-Key is missing"))?;
    HeaderValue::try_from(derive_accept_key(key.as_bytes()))
        .map_err(|_| refused("the header Sec-WebSocket-Key is no key"))
}

/// The connection of a watcher.
struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
}

impl Socket {
    async fn new(connection: Upgraded) -> Self {
        // A thousand of them: no buffer is larger than it has to be.
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            .max_message_size(Some(LARGEST))
            .max_frame_size(Some(LARGEST));
        let connection = TokioIo::new(connection);
        let stream = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        Self { stream }
    }

    async fn say(&mut self, text: String) -> Result<(), Gone> {
        self.stream.send(Sent::text(text)).await.map_err(|_| Gone)
    }
}

#[async_trait]
impl Watcher for Socket {
    async fn tell(&mut self, message: Message) -> Result<(), Gone> {
        self.say(message.into_text()).await
    }

    async fn greet(&mut self, place: Option<String>) -> Result<(), Gone> {
        self.say(heartbeat_text(place.as_deref())).await
    }

    async fn gone(&mut self) {
        // What a watcher sends is read, so that pings are answered, and forgotten.
        while let Some(Ok(sent)) = self.stream.next().await {
            if sent.is_close() {
                // The farewell is answered by reading on.
                let _ = timeout(FAREWELL, self.stream.next()).await;
                return;
            }
        }
    }

    async fn end(mut self, problem: Option<Problem>) {
        let farewell = async {
            let code = match &problem {
                None => CloseCode::Away,
                Some(problem) if problem.status.is_server_error() => CloseCode::Error,
                Some(_) => CloseCode::Policy,
            };
            if let Some(problem) = &problem {
                self.tell(Message::of_problem(problem)).await.ok()?;
            }
            let reason =
                problem.map_or_else(Utf8Bytes::default, |problem| problem.body.code.into());
            self.stream.close(Some(CloseFrame { code, reason })).await.ok()?;
            // Until it has said farewell too, or went without.
            while self.stream.next().await?.is_ok() {}
            Some(())
        };
        // Who does not listen is left all the same.
        let _ = timeout(FAREWELL, farewell).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let request = headers
            .iter()
            .fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn a_handshake_is_answered_as_the_rfc_has_it() {
        let asked = request(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
        assert!(is_asked_for(asked.headers()));
        assert_eq!(accept(&asked).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_handshake_that_is_none_is_refused() {
        let upgrade = ("connection", "upgrade");
        let (version, key) = (("sec-websocket-version", "13"), ("sec-websocket-key", "x"));
        for headers in [vec![version, key], vec![upgrade, key], vec![upgrade, version]] {
            assert!(accept(&request(&headers)).is_err(), "{headers:?}");
        }
    }
}
