//! Support for the tests of this crate.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// The result of a future that never waits, as those of local providers; needs no runtime.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a local provider waited"),
    }
}
