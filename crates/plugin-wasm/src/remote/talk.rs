//! The calls that a worker carries out, and what it says about them.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::oneshot;

use crate::{
    broker::Broker,
    services::{HttpRequest, Services as _},
    task::{Failure, FailureKind, Finish},
    wire::{Ask, Assembly, End, Frame, Inbox, LogHead, Outbox, Reply, Tag, bad, pack, unpack},
};

/// What is known of a call.
pub(super) struct Pending {
    finish: oneshot::Sender<Finish>,
    broker: Arc<Broker>,
    output: Assembly,
    most: u64,
    asks: bool,
}

impl Pending {
    pub(super) fn new(finish: oneshot::Sender<Finish>, broker: Arc<Broker>, most: u64) -> Self {
        Self { finish, broker, output: Assembly::default(), most, asks: false }
    }
}

/// The conversation with one worker.
pub(super) struct Talk {
    outbox: Outbox,
    calls: Mutex<Calls>,
}

struct Calls {
    pending: HashMap<u64, Pending>,
    /// Why the worker ended, once it has.
    ended: Option<Failure>,
}

impl Talk {
    pub(super) fn new(outbox: Outbox) -> Self {
        Self { outbox, calls: Mutex::new(Calls { pending: HashMap::new(), ended: None }) }
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_open(&self) -> bool {
        self.calls().ended.is_none()
    }

    /// Notes a call, unless the worker has ended.
    pub(super) fn begin(&self, call: u64, pending: Pending) -> io::Result<()> {
        let mut calls = self.calls();
        if calls.ended.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        calls.pending.insert(call, pending);
        Ok(())
    }

    /// Forgets a call; whether it had not ended.
    pub(super) fn forget(&self, call: u64) -> bool {
        self.calls().pending.remove(&call).is_some()
    }

    pub(super) fn send(&self, tag: Tag, call: u64, body: &[u8]) -> io::Result<()> {
        self.outbox.send(tag, call, body)
    }

    /// Writes what waits, until nobody reads any more.
    pub(super) async fn pump(&self) -> io::Error {
        self.outbox.pump().await
    }

    /// Why the worker ended.
    pub(super) fn end_of_worker(&self) -> Failure {
        self.calls().ended.clone().unwrap_or_else(|| {
            Failure::new(
                FailureKind::Worker,
                "the process that runs it does not take calls any more",
            )
        })
    }

    /// The worker is about to end: it takes no more calls.
    pub(super) fn closing(&self, failure: &Failure) {
        self.calls().ended.get_or_insert_with(|| failure.clone());
    }

    /// The worker has ended; every call with it.
    pub(super) fn close(&self, failure: Failure) {
        let pending = {
            let mut calls = self.calls();
            calls.ended = Some(failure);
            std::mem::take(&mut calls.pending)
        };
        // Whoever waits finds out from the end of the channel.
        drop(pending);
    }

    /// Listens to the worker until it ends or says something that no worker says.
    pub(super) async fn listen(self: &Arc<Self>, mut inbox: Inbox) -> io::Result<()> {
        while let Some(frame) = inbox.next().await? {
            self.hear(frame)?;
        }
        Ok(())
    }

    fn hear(self: &Arc<Self>, Frame { tag, call, body }: Frame) -> io::Result<()> {
        let mut calls = self.calls();
        // What comes after its end, because it was cancelled, is of no interest.
        let Some(pending) = calls.pending.get_mut(&call) else { return Ok(()) };
        match tag {
            Tag::Output => pending.output.take(&body, pending.most),
            Tag::Log => {
                let (head, line): (LogHead, _) = unpack(&body)?;
                pending.broker.log(head.level, &String::from_utf8_lossy(line));
                Ok(())
            }
            Tag::Ask => {
                if std::mem::replace(&mut pending.asks, true) {
                    return Err(bad("a call that asks two things at one time"));
                }
                let broker = Arc::clone(&pending.broker);
                drop(calls);
                self.answer(call, &body, broker)
            }
            Tag::End => {
                let (end, _): (End, _) = unpack(&body)?;
                if let Some(Pending { finish, output, .. }) = calls.pending.remove(&call) {
                    drop(calls);
                    // Nobody waits for a call that was given up meanwhile.
                    let _ = finish.send(end.with(output.payloads));
                }
                Ok(())
            }
            _ => Err(bad("a frame that is for the worker")),
        }
    }

    fn answer(self: &Arc<Self>, call: u64, body: &[u8], broker: Arc<Broker>) -> io::Result<()> {
        let (ask, rest): (Ask, _) = unpack(body)?;
        let (talk, rest) = (Arc::clone(self), rest.to_vec());
        tokio::spawn(async move {
            let (reply, body) = match ask {
                Ask::Secret(name) => (Reply::Secret(broker.secret(&name).await), Vec::new()),
                Ask::Http(request) => {
                    match broker.http(HttpRequest { body: rest, ..request }).await {
                        Ok(mut answer) => {
                            let body = std::mem::take(&mut answer.body);
                            (Reply::Http(Ok(answer)), body)
                        }
                        Err(refusal) => (Reply::Http(Err(refusal)), Vec::new()),
                    }
                }
            };
            if let Some(pending) = talk.calls().pending.get_mut(&call) {
                pending.asks = false;
            }
            if let Ok(body) = pack(&reply, &body) {
                let _ = talk.send(Tag::Reply, call, &body);
            }
        });
        Ok(())
    }
}
