//! One call: messages out, messages in.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client::ResponseFuture};
use http::{HeaderValue, Response, StatusCode, header};
use prost::Message;

use super::{GrpcError, Status, frames::Frames};

/// A call that has begun.
#[derive(Debug)]
pub(crate) struct Call {
    /// What goes to the plugin.
    pub(crate) sending: Sending,
    /// What comes from it.
    pub(crate) receiving: Receiving,
}

/// What goes to the plugin: bytes that wait until it has room for them.
#[derive(Debug)]
pub(crate) struct Sending {
    stream: SendStream<Bytes>,
    queue: VecDeque<Bytes>,
    ends: bool,
    has_ended: bool,
}

impl Sending {
    pub(super) fn new(stream: SendStream<Bytes>) -> Self {
        Self { stream, queue: VecDeque::new(), ends: false, has_ended: false }
    }

    /// Adds framed messages behind those that wait.
    pub(crate) fn push(&mut self, frames: Bytes) {
        if !frames.is_empty() {
            self.queue.push_back(frames);
        }
    }

    /// Nothing comes after what waits.
    pub(crate) fn end(&mut self) {
        self.ends = true;
    }

    /// Sends what the plugin has room for; ready when nothing waits. An error is the end of the call,
    /// and the receiving side says why.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), GrpcError>> {
        while let Some(first) = self.queue.front_mut() {
            let mut room = self.stream.capacity();
            if room < first.len() {
                self.stream.reserve_capacity(first.len());
                room = self.stream.capacity();
            }
            if room == 0 {
                match ready!(self.stream.poll_capacity(context)) {
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => return Poll::Ready(Err(GrpcError::from_h2(&error))),
                    None => return Poll::Ready(Err(closed())),
                }
            }
            let piece = first.split_to(room.min(first.len()));
            let is_last = first.is_empty();
            if is_last {
                self.queue.pop_front();
            }
            let ends = is_last && self.queue.is_empty() && self.ends;
            self.stream.send_data(piece, ends).map_err(|error| GrpcError::from_h2(&error))?;
            self.has_ended |= ends;
        }
        if self.ends && !self.has_ended {
            self.has_ended = true;
            // The plugin may have closed the call already; then nobody waits for this.
            let _ = self.stream.send_data(Bytes::new(), true);
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for `receive`, and sends meanwhile. An error of sending is not reported: the plugin's
    /// answer says more.
    pub(crate) async fn flush_while<T>(&mut self, receive: impl Future<Output = T>) -> T {
        let mut receive = pin!(receive);
        let mut is_sending = true;
        poll_fn(|context| {
            if is_sending {
                is_sending = !matches!(self.poll_flush(context), Poll::Ready(Err(_)));
            }
            receive.as_mut().poll(context)
        })
        .await
    }

    /// Breaks the call off.
    pub(crate) fn reset(&mut self) {
        self.queue.clear();
        self.has_ended = true;
        self.stream.send_reset(h2::Reason::CANCEL);
    }
}

fn closed() -> GrpcError {
    GrpcError::Lost { what: "the call was closed".to_owned() }
}

/// What comes from the plugin.
#[derive(Debug)]
pub(crate) struct Receiving {
    state: State,
    frames: Frames,
}

#[derive(Debug)]
enum State {
    /// No headers yet.
    Waiting(ResponseFuture),
    /// Messages come.
    Open(RecvStream),
    /// Nothing more comes.
    Ended,
}

impl Receiving {
    pub(super) fn new(response: ResponseFuture, limit: usize) -> Self {
        Self { state: State::Waiting(response), frames: Frames::new(limit) }
    }

    /// The next message; `None` once the plugin said that all went well. Nothing is lost when the
    /// future is dropped.
    pub(crate) async fn next<A: Message + Default>(&mut self) -> Result<Option<A>, GrpcError> {
        let Some(bytes) = self.next_bytes().await? else { return Ok(None) };
        A::decode(bytes).map(Some).map_err(|error| GrpcError::undecodable(&error))
    }

    /// The next message as it is.
    pub(crate) async fn next_bytes(&mut self) -> Result<Option<Bytes>, GrpcError> {
        poll_fn(|context| self.poll_next(context)).await
    }

    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, GrpcError>> {
        loop {
            if let Some(message) = self.frames.next()? {
                return Poll::Ready(Ok(Some(message)));
            }
            match &mut self.state {
                State::Waiting(response) => {
                    let response = ready!(Pin::new(response).poll(context));
                    let response = response.map_err(|error| GrpcError::from_h2(&error))?;
                    self.state = open(response)?;
                }
                State::Open(body) => match ready!(body.poll_data(context)) {
                    Some(Ok(data)) => {
                        self.frames.feed(&data);
                        // It fails only for more than was received.
                        let _ = body.flow_control().release_capacity(data.len());
                    }
                    Some(Err(error)) => return Poll::Ready(Err(GrpcError::from_h2(&error))),
                    None => {
                        let trailers = ready!(body.poll_trailers(context));
                        let trailers = trailers.map_err(|error| GrpcError::from_h2(&error))?;
                        self.state = State::Ended;
                        let status = trailers.as_ref().and_then(Status::read).transpose()?;
                        return Poll::Ready(self.ended(status));
                    }
                },
                State::Ended => return Poll::Ready(Ok(None)),
            }
        }
    }

    fn ended(&self, status: Option<Status>) -> Result<Option<Bytes>, GrpcError> {
        match status {
            Some(status) if status.code != 0 => Err(GrpcError::Status(status)),
            Some(_) if self.frames.has_half_a_message() => {
                Err(GrpcError::broken("ended a call in the middle of a message"))
            }
            Some(_) => Ok(None),
            None => Err(GrpcError::broken("ended a call without saying how")),
        }
    }
}

/// Looks at the headers of an answer.
fn open(response: Response<RecvStream>) -> Result<State, GrpcError> {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        let what = format!("answered with HTTP status {} instead of gRPC", head.status.as_u16());
        return Err(GrpcError::Broken { what });
    }
    let content = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !content.is_some_and(|content| content.starts_with(b"application/grpc")) {
        return Err(GrpcError::broken("answered with something that is not gRPC"));
    }
    match Status::read(&head.headers).transpose()? {
        Some(status) if status.code != 0 => Err(GrpcError::Status(status)),
        Some(_) if body.is_end_stream() => Ok(State::Ended),
        _ => Ok(State::Open(body)),
    }
}
