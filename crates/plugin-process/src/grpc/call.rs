//! One call: messages out, messages in.

use std::{fmt, future::Future, pin::Pin};

use bytes::Bytes;
use flexcore_ports::TraceContext;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Streaming, client::Grpc};

use super::{GrpcError, Plugin, codec::AsTheyAre};

/// A call that has begun. One that is dropped is broken off.
#[derive(Debug)]
pub(crate) struct Call {
    /// What goes to the plugin.
    pub(crate) sending: Sending,
    /// What comes from it.
    pub(crate) receiving: Receiving,
}

impl Call {
    pub(super) fn begin(
        mut client: Grpc<Plugin>,
        method: PathAndQuery,
        span: Option<TraceContext>,
    ) -> Self {
        let (sender, messages) = unbounded_channel();
        let mut request = Request::new(UnboundedReceiverStream::new(messages));
        if let Some(span) = span.and_then(|span| span.to_string().parse().ok()) {
            request.metadata_mut().insert("traceparent", span);
        }
        let answer = Box::pin(async move { client.streaming(request, method, AsTheyAre).await });
        let receiving = Receiving { state: State::Waiting(answer) };
        Self { sending: Sending { sender: Some(sender) }, receiving }
    }
}

/// What goes to the plugin. How much waits is bounded by who calls: by the credit that a plugin gave.
#[derive(Debug)]
pub(crate) struct Sending {
    sender: Option<UnboundedSender<Bytes>>,
}

impl Sending {
    /// Adds a message behind those that wait.
    pub(crate) fn push(&mut self, message: &impl Message) {
        self.push_bytes(message.encode_to_vec().into());
    }

    /// Adds a message that is bytes already.
    pub(crate) fn push_bytes(&mut self, message: Bytes) {
        if let Some(sender) = &self.sender {
            // Nobody takes it once the call is over, and the receiving side says why.
            let _ = sender.send(message);
        }
    }

    /// Nothing comes after what waits.
    pub(crate) fn end(&mut self) {
        self.sender = None;
    }
}

/// What comes from the plugin.
pub(crate) struct Receiving {
    state: State,
}

type Answer =
    Pin<Box<dyn Future<Output = Result<Response<Streaming<Bytes>>, tonic::Status>> + Send>>;

enum State {
    /// No headers yet.
    Waiting(Answer),
    /// Messages come.
    Open(Box<Streaming<Bytes>>),
    /// Nothing more comes.
    Ended,
}

impl Receiving {
    /// The next message; `None` once the plugin said that all went well. Nothing is lost when the
    /// future is dropped.
    pub(crate) async fn next<A: Message + Default>(&mut self) -> Result<Option<A>, GrpcError> {
        let Some(bytes) = self.next_bytes().await? else { return Ok(None) };
        A::decode(bytes).map(Some).map_err(|error| GrpcError::undecodable(&error))
    }

    /// The next message as it is.
    pub(crate) async fn next_bytes(&mut self) -> Result<Option<Bytes>, GrpcError> {
        loop {
            match &mut self.state {
                State::Waiting(answer) => {
                    let answer = answer.await.map_err(|status| GrpcError::of_call(&status));
                    match answer {
                        Ok(answer) => self.state = State::Open(Box::new(answer.into_inner())),
                        Err(error) => {
                            self.state = State::Ended;
                            return Err(error);
                        }
                    }
                }
                State::Open(messages) => {
                    let next = messages.message().await;
                    let next = next.map_err(|status| GrpcError::of_call(&status));
                    if !matches!(next, Ok(Some(_))) {
                        self.state = State::Ended;
                    }
                    return next;
                }
                State::Ended => return Ok(None),
            }
        }
    }
}

impl fmt::Debug for Receiving {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiving").finish_non_exhaustive()
    }
}
