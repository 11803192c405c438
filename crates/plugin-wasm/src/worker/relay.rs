//! What a guest in a worker asks its host goes over the pipe.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::{
    services::{HttpRefusal, HttpRequest, HttpResponse, Level, LogBudget, SecretRefusal, Services},
    wire::{Ask, LogHead, Outbox, Reply, Tag, pack, unpack},
};

/// The services of one call.
pub(super) struct Relay {
    call: u64,
    outbox: Arc<Outbox>,
    replies: Arc<Replies>,
}

/// Who waits for a reply: a guest asks one thing at a time.
#[derive(Default)]
pub(super) struct Replies(Mutex<Option<oneshot::Sender<Vec<u8>>>>);

impl Replies {
    /// Hands over a reply; one that nobody waits for is dropped.
    pub(super) fn take(&self, body: Vec<u8>) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waiting) = waiting {
            let _ = waiting.send(body);
        }
    }
}

impl Relay {
    pub(super) fn new(call: u64, outbox: Arc<Outbox>, replies: Arc<Replies>) -> Self {
        Self { call, outbox, replies }
    }

    async fn ask(&self, ask: &Ask, body: &[u8]) -> Option<(Reply, Vec<u8>)> {
        let (sender, reply) = oneshot::channel();
        *self.replies.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        self.outbox.send(Tag::Ask, self.call, &pack(ask, body).ok()?).ok()?;
        let body = reply.await.ok()?;
        let (reply, rest) = unpack(&body).ok()?;
        Some((reply, rest.to_vec()))
    }
}

const SILENT: &str = "the host does not answer";

#[async_trait]
impl Services for Relay {
    fn log(&self, level: Level, line: &str) {
        let line = &line[..line.floor_char_boundary(LogBudget::MAX_LINE)];
        if let Ok(body) = pack(&LogHead { level }, line.as_bytes()) {
            // A host that is gone reads no log.
            let _ = self.outbox.send(Tag::Log, self.call, &body);
        }
    }

    async fn secret(&self, name: &str) -> Result<String, SecretRefusal> {
        match self.ask(&Ask::Secret(name.to_owned()), &[]).await {
            Some((Reply::Secret(answer), _)) => answer,
            _ => Err(SecretRefusal::Unavailable(SILENT.to_owned())),
        }
    }

    async fn http(&self, request: HttpRequest) -> Result<HttpResponse, HttpRefusal> {
        let body = request.body.clone();
        match self.ask(&Ask::Http(request), &body).await {
            Some((Reply::Http(answer), body)) => {
                answer.map(|answer| HttpResponse { body, ..answer })
            }
            _ => Err(HttpRefusal::Unreachable(SILENT.to_owned())),
        }
    }
}
