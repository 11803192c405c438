//! Idempotency: commands with the same key happen one after the other.
//!
//! That the second one changes nothing is its handler's business: an id derived from the key makes
//! the log itself refuse to do a thing twice, also after a restart. This layer only sees to it that
//! two of them at once do not race.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll},
};

use tower::Service;

use super::{Message, layer::Answer};
use crate::UseCaseError;

/// A lock per key that is in use.
type Keys = HashMap<String, Weak<tokio::sync::Mutex<()>>>;

#[derive(Clone)]
pub(super) struct Serialised<S> {
    inner: S,
    keys: Arc<Mutex<Keys>>,
}

impl<S> Serialised<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, keys: Arc::default() }
    }

    fn lock_of(&self, key: String) -> Arc<tokio::sync::Mutex<()>> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = keys.get(&key).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        keys.insert(key, Arc::downgrade(&lock));
        lock
    }
}

impl<M, S> Service<M> for Serialised<S>
where
    M: Message,
    S: Service<M, Response = M::Reply, Error = UseCaseError> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = M::Reply;
    type Error = UseCaseError;
    type Future = Answer<M::Reply>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UseCaseError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, message: M) -> Self::Future {
        let Some(key) = message.idempotency_key() else {
            return Box::pin(self.inner.call(message));
        };
        let lock = self.lock_of(format!("{}/{}/{key}", message.context().tenant, M::NAME));
        // The clone keeps the readiness that was just polled, as tower asks for.
        let fresh = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, fresh);
        Box::pin(async move {
            let _turn = lock.lock().await;
            ready.call(message).await
        })
    }
}
