//! What an author's code and the connection of its call share.
//!
//! One task does both: it takes the host's messages, polls the author's future, and sends what
//! that has made. The lock is for authors that hand [`Records`](crate::Records) or
//! [`Sink`](crate::Sink) to a task of their own; it is never held while author's code runs.

mod inbox;
mod outbox;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use flexcore_plugin_protocol::protobuf::v1::{
    self, execute_request, execute_response::Message as Answer,
};
use tonic::Status;

use crate::{DataStream, Failure};

use inbox::{Inbox, broken};
pub(crate) use inbox::{InputChunk, WINDOW};
use outbox::{Outbox, Room};

/// Both directions of one execution.
#[derive(Debug)]
pub(crate) struct Exchange(Mutex<State>);

#[derive(Debug)]
struct State {
    inbox: Inbox,
    outbox: Outbox,
    cancelled: Option<String>,
    /// Whoever waits for input, for room or for the cancel.
    waiting: Vec<Waker>,
    /// Who sends, unless it is at work anyway.
    sender: Option<Waker>,
}

impl Exchange {
    /// The exchange of an execution that begins.
    pub(crate) fn new(begin: &mut v1::BeginExecution) -> Result<Self, Status> {
        let credit = begin.credit.unwrap_or_default();
        Ok(Self(Mutex::new(State {
            inbox: Inbox::new(std::mem::take(&mut begin.schemas))?,
            outbox: Outbox::new(credit),
            cancelled: None,
            waiting: Vec::new(),
            sender: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // --- for the connection -----------------------------------------------------------------

    /// Takes a message of the host.
    pub(crate) fn receive(
        &self,
        message: execute_request::Message,
        context: &Context<'_>,
    ) -> Result<(), Status> {
        let mut state = self.lock();
        match message {
            execute_request::Message::Begin(_) => return Err(broken("an execution began twice")),
            execute_request::Message::Data(chunk) => state.inbox.take_in(chunk)?,
            execute_request::Message::Credit(credit) => state.outbox.add_credit(credit),
            execute_request::Message::EndOfInput(end) => state.inbox.end(end.chunks)?,
            execute_request::Message::Cancel(cancel) => state.cancelled = Some(cancel.reason),
        }
        state.wake_waiting(context);
        Ok(())
    }

    /// The host went away, or sends nothing any more.
    pub(crate) fn host_stopped(&self) -> Result<(), Status> {
        let state = self.lock();
        if state.inbox.ended || state.cancelled.is_some() {
            return Ok(());
        }
        Err(broken("the input ended without saying so"))
    }

    /// Why the host asked to stop, if it did.
    pub(crate) fn cancelled(&self) -> Option<String> {
        self.lock().cancelled.clone()
    }

    /// The next message for the host. An open chunk goes too, because the author has nothing to
    /// add now. Remembers who to wake when there is more.
    pub(crate) fn next_answer(&self, context: &Context<'_>) -> Option<Answer> {
        let mut state = self.lock();
        if state.outbox.has_room() {
            state.outbox.close();
        }
        let answer = state.outbox.next();
        match &answer {
            Some(_) => state.wake_waiting(context),
            None => state.sender = Some(context.waker().clone()),
        }
        answer
    }

    /// The author's code is about to run in the sender's own task, which needs no waking.
    pub(crate) fn at_work(&self) {
        self.lock().sender = None;
    }

    // --- for the author ---------------------------------------------------------------------

    /// The next chunk; `None` at the end of the input. `used` is the length of the one before.
    pub(crate) fn poll_chunk(
        &self,
        used: Option<u64>,
        context: &Context<'_>,
    ) -> Poll<Result<Option<InputChunk>, Failure>> {
        let mut state = self.lock();
        if let Some(credit) = used.and_then(|bytes| state.inbox.used(bytes)) {
            state.send(Answer::Credit(credit));
        }
        if let Err(failure) = state.check_cancelled() {
            return Poll::Ready(Err(failure));
        }
        if let Some(chunk) = state.inbox.next() {
            return Poll::Ready(Ok(Some(chunk)));
        }
        if state.inbox.ended {
            return Poll::Ready(Ok(None));
        }
        state.wait(context)
    }

    /// Sends a record.
    pub(crate) fn poll_send(
        &self,
        stream: &str,
        line: &[u8],
        context: &Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        let mut state = self.lock();
        state.check_cancelled()?;
        match state.outbox.push(stream, line)? {
            Room::Taken => {
                state.wake_sender();
                Poll::Ready(Ok(()))
            }
            Room::Wait => state.wait(context),
        }
    }

    /// Waits until everything that was sent is on its way, then sends `answer` after it.
    pub(crate) fn poll_answer(
        &self,
        answer: &mut Option<Answer>,
        context: &Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        let mut state = self.lock();
        state.check_cancelled()?;
        if !state.outbox.has_room() || !state.outbox.close() {
            return state.wait(context);
        }
        if let Some(answer) = answer.take() {
            state.send(answer);
        }
        Poll::Ready(Ok(()))
    }

    /// Says what the records of a data stream are like.
    pub(crate) fn declare(&self, stream: DataStream) -> Result<(), Failure> {
        self.lock().outbox.declare(stream)
    }

    /// Sends a line of the log, if the connection keeps up.
    pub(crate) fn log(&self, line: v1::LogLine) {
        let mut state = self.lock();
        if state.outbox.has_room() {
            state.send(Answer::Log(line));
        }
    }

    /// How many chunks were sent.
    pub(crate) fn chunks_sent(&self) -> u64 {
        self.lock().outbox.chunks()
    }

    pub(crate) fn poll_cancelled(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.cancelled.is_some() { Poll::Ready(()) } else { state.wait(context) }
    }
}

impl State {
    fn check_cancelled(&self) -> Result<(), Failure> {
        match &self.cancelled {
            Some(reason) => Err(Failure::cancelled(format!("stopped: {reason}"))),
            None => Ok(()),
        }
    }

    fn send(&mut self, answer: Answer) {
        self.outbox.send(answer);
        self.wake_sender();
    }

    fn wait<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        if !self.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            self.waiting.push(context.waker().clone());
        }
        // An author that waits for room in a task of its own needs the sender to make some.
        self.wake_sender();
        Poll::Pending
    }

    /// Wakes whoever waits, but for the sender's own task: that looks after the author anyway.
    fn wake_waiting(&mut self, own: &Context<'_>) {
        for waker in self.waiting.drain(..).filter(|waker| !waker.will_wake(own.waker())) {
            waker.wake();
        }
    }

    fn wake_sender(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.wake();
        }
    }
}
