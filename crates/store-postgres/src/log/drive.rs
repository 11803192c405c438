//! Waiting for a statement and driving its connection in one task.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use tokio_postgres::{Connection, Socket};

use super::failure::Failure;
use crate::{open_error::reason, tls::Encrypted};

/// How often what wakes itself is polled before others get their turn.
const ROUNDS: usize = 8;

/// Waits for a statement and drives its connection meanwhile.
pub(crate) async fn drive<T>(
    connection: &mut Pin<Box<Connection<Socket, Encrypted>>>,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Failure> {
    let mut statement = pin!(statement);
    let mut ended = None;
    let result = quietly(|context| {
        if let Poll::Ready(result) = statement.as_mut().poll(context) {
            return Poll::Ready(Some(result));
        }
        if ended.is_none()
            && let Poll::Ready(end) = connection.as_mut().poll(context)
        {
            ended = Some(end.err().map(|error| reason(&error)));
        }
        // The answer may have come, or the end of the connection ended the statement too.
        match statement.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            // Nobody is left who could bring an answer.
            Poll::Pending if ended.is_some() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    let result = result.await;
    match (result, ended) {
        (Some(Ok(value)), _) => Ok(value),
        (None, ended) => {
            let reason = ended.flatten().unwrap_or_else(|| "the connection was closed".to_owned());
            Err(Failure::Reconnect { reason, is_unknown: true })
        }
        (Some(Err(error)), Some(Some(reason))) if error.code().is_none() => {
            // Why the connection ended says more than that it did.
            let _ = error;
            Err(Failure::Reconnect { reason, is_unknown: true })
        }
        (Some(Err(error)), _) => Err(Failure::new(&error)),
    }
}

/// Polls again at once when a poll wakes itself. The statement wakes the connection and the
/// connection the statement; to the runtime a task that wakes itself is one that has more to do
/// than this thread can, so that it wakes another thread: twice for an append, and on the
/// processors that the server needs.
async fn quietly<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let mut muffle: Option<Arc<Muffle>> = None;
    poll_fn(move |context| {
        let muffle = match &mut muffle {
            Some(muffle) if muffle.outer.will_wake(context.waker()) => muffle,
            muffle => muffle.insert(Arc::new(Muffle::new(context.waker().clone()))),
        };
        let waker = Waker::from(Arc::clone(muffle));
        let mut context = Context::from_waker(&waker);
        for _ in 0..ROUNDS {
            muffle.is_polling.store(true, Ordering::SeqCst);
            muffle.is_woken.store(false, Ordering::SeqCst);
            let result = poll(&mut context);
            muffle.is_polling.store(false, Ordering::SeqCst);
            if result.is_ready() || !muffle.is_woken.load(Ordering::SeqCst) {
                return result;
            }
        }
        muffle.outer.wake_by_ref();
        Poll::Pending
    })
    .await
}

/// A waker that holds its peace while what it wakes is being polled anyway.
struct Muffle {
    outer: Waker,
    is_polling: AtomicBool,
    is_woken: AtomicBool,
}

impl Muffle {
    fn new(outer: Waker) -> Self {
        Self { outer, is_polling: AtomicBool::new(false), is_woken: AtomicBool::new(false) }
    }
}

impl Wake for Muffle {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // In this order: either the poller sees that it was woken, or it is woken.
        self.is_woken.store(true, Ordering::SeqCst);
        if !self.is_polling.load(Ordering::SeqCst) {
            self.outer.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, sync::atomic::AtomicUsize};

    use super::*;

    /// Counts how often a task would be woken.
    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn who_wakes_itself_is_polled_again_without_waking_its_task() {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&counter));
        let mut polls = 0;
        let mut future = pin!(quietly(|context: &mut Context<'_>| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls < 3 { Poll::Pending } else { Poll::Ready(polls) }
        }));
        assert_eq!(future.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(3));
        assert_eq!(counter.0.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn who_never_stops_waking_itself_lets_others_have_their_turn() {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&counter));
        let mut future = pin!(quietly(|context: &mut Context<'_>| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(counter.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn who_is_woken_between_polls_wakes_its_task() {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&counter));
        let kept = std::cell::RefCell::new(None);
        let mut polls = 0;
        let mut future = pin!(quietly(|context: &mut Context<'_>| {
            polls += 1;
            *kept.borrow_mut() = Some(context.waker().clone());
            if polls < 2 { Poll::Pending } else { Poll::Ready(polls) }
        }));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(counter.0.load(Ordering::SeqCst), 0);
        let inner = kept.borrow_mut().take().unwrap();
        inner.wake();
        assert_eq!(counter.0.load(Ordering::SeqCst), 1);
        assert_eq!(future.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(2));
    }
}
