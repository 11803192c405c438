//! gRPC, as much of it as a host of plugins needs: tonic's client on one HTTP/2 connection over a
//! Unix socket, without TLS and without compression.
//!
//! What is ours is the connection, because its socket was opened and looked at before, the limits of
//! everything that a plugin can send, and what the errors say.

mod call;
mod codec;
mod status;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use flexcore_ports::TraceContext;
use http::{Request, Response, StatusCode, Uri, header, uri::PathAndQuery};
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::{net::UnixStream, task::JoinHandle};
use tonic::{body::Body, client::Grpc, codegen::Service};

pub(crate) use call::{Call, Sending};
pub(crate) use status::{GrpcError, Status};
use status::{NotGrpc, Wrong};

/// What a plugin may send on one stream before we have read it, and on all of them together.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Headers and trailers of one answer, together with the text of its error.
const HEADER_BYTES: u32 = 64 << 10;
const FRAME_BYTES: u32 = 1 << 20;

/// What requests are addressed to; nobody looks at it.
const ORIGIN: &str = "http://localhost";

/// A connection to a plugin.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Takes a connected socket.
    pub(crate) async fn open(socket: UnixStream) -> Result<Self, GrpcError> {
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME_BYTES)
            .max_header_list_size(HEADER_BYTES)
            .max_send_buf_size(STREAM_WINDOW as usize)
            .handshake(TokioIo::new(socket))
            .await
            .map_err(|error| GrpcError::of_connection(&error))?;
        // How it ended is told to every call that is open then.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, driver })
    }

    /// Whether the plugin can still be called over it.
    pub(crate) fn is_open(&self) -> bool {
        !self.driver.is_finished() && !self.sender.is_closed()
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
        let method = PathAndQuery::try_from(path);
        let method = method.map_err(|_| GrpcError::NoMethod { path: path.to_owned() })?;
        let mut client = Grpc::with_origin(Plugin(self.sender.clone()), Uri::from_static(ORIGIN))
            .max_decoding_message_size(limit)
            .max_encoding_message_size(usize::MAX);
        client.ready().await.map_err(|error| GrpcError::of_connection(&*error))?;
        Ok(Call::begin(client, method, span))
    }

    /// A call with one message each way.
    pub(crate) async fn unary<A: Message + Default>(
        &self,
        path: &str,
        question: &impl Message,
        (limit, deadline): (usize, Duration),
    ) -> Result<A, GrpcError> {
        let answer = self.unary_bytes(path, question.encode_to_vec().into(), limit);
        let bytes = tokio::time::timeout(deadline, answer)
            .await
            .map_err(|_| GrpcError::Late { after: deadline })??;
        A::decode(bytes).map_err(|error| GrpcError::undecodable(&error))
    }

    /// A call with one message each way, both as they are.
    pub(crate) async fn unary_bytes(
        &self,
        path: &str,
        question: Bytes,
        limit: usize,
    ) -> Result<Bytes, GrpcError> {
        let Call { mut sending, mut receiving } = self.call(path, limit).await?;
        sending.push_bytes(question);
        sending.end();
        let mut answer = None;
        while let Some(bytes) = receiving.next_bytes().await? {
            if answer.replace(bytes).is_some() {
                return Err(GrpcError::broken("answered twice to one question"));
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

/// The connection as tonic takes it. Answers that are not gRPC's do not get to it.
#[derive(Debug, Clone)]
pub(crate) struct Plugin(SendRequest<Body>);

impl Service<Request<Body>> for Plugin {
    type Response = Response<Incoming>;
    type Error = Wrong;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Wrong>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Wrong>> {
        self.0.poll_ready(context).map_err(Wrong::from)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.0.send_request(request);
        Box::pin(async move { Ok(checked(answer.await?)?) })
    }
}

/// An answer whose headers are those of gRPC.
fn checked(answer: Response<Incoming>) -> Result<Response<Incoming>, NotGrpc> {
    if answer.status() != StatusCode::OK {
        let status = answer.status().as_u16();
        return Err(NotGrpc(format!("answered with HTTP status {status} instead of gRPC")));
    }
    let content = answer.headers().get(header::CONTENT_TYPE);
    if content.is_some_and(|content| content.as_bytes().starts_with(b"application/grpc")) {
        Ok(answer)
    } else {
        Err(NotGrpc("answered with something that is not gRPC".to_owned()))
    }
}
