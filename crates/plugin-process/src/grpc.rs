//! gRPC, as much of it as a host of plugins needs: a client on one HTTP/2 connection over a Unix
//! socket, without TLS and without compression.
//!
//! Written on h2 and not on a general client for two reasons. A call is driven by the task that makes
//! it, so that a round trip wakes two tasks and not six; and everything that comes from a plugin meets
//! a limit of ours before memory is taken for it.

mod call;
mod frames;
mod status;

use std::time::Duration;

use bytes::Bytes;
use flexcore_ports::TraceContext;
use h2::client::{Builder, SendRequest};
use http::{HeaderValue, Method, Request, Version, header};
use prost::Message;
use tokio::{net::UnixStream, task::JoinHandle};

pub(crate) use call::{Call, Receiving, Sending};
pub(crate) use frames::{encode, prefixed};
pub(crate) use status::{GrpcError, Status};

/// What a plugin may send on one stream before we have read it, and on all of them together.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Headers and trailers of one answer, together with the text of its error.
const HEADER_BYTES: u32 = 64 << 10;
const FRAME_BYTES: u32 = 1 << 20;

/// A connection to a plugin.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Takes a connected socket.
    pub(crate) async fn open(socket: UnixStream) -> Result<Self, GrpcError> {
        let (sender, connection) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME_BYTES)
            .max_header_list_size(HEADER_BYTES)
            .max_send_buffer_size(STREAM_WINDOW as usize)
            .enable_push(false)
            .handshake(socket)
            .await
            .map_err(|error| GrpcError::from_h2(&error))?;
        // How it ended is told to every call that is open then.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, driver })
    }

    /// Whether the plugin can still be called over it.
    pub(crate) fn is_open(&self) -> bool {
        !self.driver.is_finished()
    }

    /// Begins a call. `path` is `/package.Service/Method`, `limit` the longest message that may come
    /// back.
    pub(crate) async fn call(&self, path: &str, limit: usize) -> Result<Call, GrpcError> {
        self.call_under(path, limit, None).await
    }

    /// The same, as a part of a trace: what the plugin does hangs from this span.
    pub(crate) async fn call_under(
        &self,
        path: &str,
        limit: usize,
        span: Option<TraceContext>,
    ) -> Result<Call, GrpcError> {
        let mut request = request(path)?;
        if let Some(span) = span.and_then(|span| span.to_string().parse().ok()) {
            request.headers_mut().insert("traceparent", span);
        }
        let mut sender = self.sender.clone();
        std::future::poll_fn(|context| sender.poll_ready(context))
            .await
            .map_err(|error| GrpcError::from_h2(&error))?;
        let (response, stream) =
            sender.send_request(request, false).map_err(|error| GrpcError::from_h2(&error))?;
        Ok(Call { sending: Sending::new(stream), receiving: Receiving::new(response, limit) })
    }

    /// A call with one message each way.
    pub(crate) async fn unary<A: Message + Default>(
        &self,
        path: &str,
        question: &impl Message,
        (limit, deadline): (usize, Duration),
    ) -> Result<A, GrpcError> {
        let answer = self.unary_bytes(path, encode([question]), limit);
        let bytes = tokio::time::timeout(deadline, answer)
            .await
            .map_err(|_| GrpcError::Late { after: deadline })??;
        A::decode(bytes).map_err(|error| GrpcError::undecodable(&error))
    }

    /// A call with one message each way; `question` is framed, the answer is not.
    pub(crate) async fn unary_bytes(
        &self,
        path: &str,
        question: Bytes,
        limit: usize,
    ) -> Result<Bytes, GrpcError> {
        let Call { mut sending, mut receiving } = self.call(path, limit).await?;
        sending.push(question);
        sending.end();
        let mut answer = None;
        loop {
            match sending.flush_while(receiving.next_bytes()).await? {
                Some(bytes) if answer.is_none() => answer = Some(bytes),
                Some(_) => return Err(GrpcError::broken("answered twice to one question")),
                None => break,
            }
        }
        answer.ok_or_else(|| GrpcError::broken("said that it was done, and gave no answer"))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn request(path: &str) -> Result<Request<()>, GrpcError> {
    let uri = http::Uri::builder().scheme("http").authority("localhost").path_and_query(path);
    let uri = uri.build().map_err(|_| GrpcError::NoMethod { path: path.to_owned() })?;
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("flexcore"));
    Ok(request)
}
