//! One execution as the stream of its answers. Polling it is what drives it: the host's messages
//! come in, the author's code runs, and what that has made goes out, all in the task of the
//! connection. A small call so costs no change between tasks.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use flexcore_plugin_protocol::protobuf::v1::{
    self, ExecuteRequest, ExecuteResponse, execute_response::Message as Answer,
};
use serde_json::Value;
use tokio::time::Sleep;
use tokio_stream::Stream;
use tonic::{Status, Streaming};

use crate::{Failure, exchange::Exchange};

/// How long an author's code may go on after the host asked to stop.
const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// What the author's code ends with.
pub(crate) type Outcome = Result<Value, Failure>;
/// The author's code.
type Author = Pin<Box<dyn Future<Output = Outcome> + Send>>;
/// Called with what a panic said.
type OnPanic = Box<dyn Fn(&str) + Send>;

/// An execution that began.
pub(crate) struct Execution {
    requests: Option<Streaming<ExecuteRequest>>,
    exchange: Arc<Exchange>,
    author: Option<Author>,
    on_panic: OnPanic,
    grace: Option<Pin<Box<Sleep>>>,
    last: Option<Answer>,
}

impl Execution {
    pub(crate) fn new(
        requests: Streaming<ExecuteRequest>,
        exchange: Arc<Exchange>,
        author: impl Future<Output = Outcome> + Send + 'static,
        on_panic: impl Fn(&str) + Send + 'static,
    ) -> Self {
        Self {
            requests: Some(requests),
            exchange,
            author: Some(Box::pin(author)),
            on_panic: Box::new(on_panic),
            grace: None,
            last: None,
        }
    }

    /// Takes everything that the host has sent.
    fn receive(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        while let Some(requests) = &mut self.requests {
            match Pin::new(requests).poll_next(context) {
                Poll::Pending => break,
                Poll::Ready(Some(request)) => {
                    let message = request?.message.ok_or_else(|| {
                        Status::invalid_argument("the host broke the protocol: an empty message")
                    })?;
                    self.exchange.receive(message, context)?;
                }
                Poll::Ready(None) => {
                    self.requests = None;
                    self.exchange.host_stopped()?;
                }
            }
        }
        Ok(())
    }

    /// Lets the author's code go on, if it has not ended.
    fn work(&mut self, context: &mut Context<'_>) {
        let Some(author) = &mut self.author else { return };
        self.exchange.at_work();
        // What a panic leaves behind is dropped with the future; the plugin is unhealthy then.
        match catch_unwind(AssertUnwindSafe(|| author.as_mut().poll(context))) {
            Ok(Poll::Ready(outcome)) => self.end(outcome),
            Ok(Poll::Pending) if self.exchange.cancelled().is_some() => self.wait_for_end(context),
            Ok(Poll::Pending) => {}
            Err(panic) => {
                let message = panic_message(panic.as_ref());
                (self.on_panic)(message);
                self.end(Err(Failure::internal(format!("the plugin panicked: {message}"))));
            }
        }
    }

    fn wait_for_end(&mut self, context: &mut Context<'_>) {
        let grace = self.grace.get_or_insert_with(|| Box::pin(tokio::time::sleep(CANCEL_GRACE)));
        if grace.as_mut().poll(context).is_ready() {
            let reason = self.exchange.cancelled().unwrap_or_default();
            self.end(Err(Failure::cancelled(format!("stopped: {reason}"))));
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.author = None;
        self.last = Some(match outcome {
            Ok(output) => Answer::Completed(v1::ExecutionCompleted {
                output_json: if output.is_null() { String::new() } else { output.to_string() },
                chunks: self.exchange.chunks_sent(),
            }),
            Err(failure) => Answer::Failed(failure.into()),
        });
    }
}

impl Stream for Execution {
    type Item = Result<ExecuteResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.author.is_some() {
            if let Err(status) = self.receive(context) {
                self.author = None;
                return Poll::Ready(Some(Err(status)));
            }
            self.work(context);
        }
        let is_over = self.author.is_none();
        let answer = self.exchange.next_answer(context);
        match answer.or_else(|| self.last.take()) {
            Some(message) => Poll::Ready(Some(Ok(ExecuteResponse { message: Some(message) }))),
            None if is_over => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
