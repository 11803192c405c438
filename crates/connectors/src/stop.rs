//! SIGTERM and SIGINT as a wish to stop, without unsafe and without busy waiting.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use signal_hook::consts::{SIGINT, SIGTERM};

/// Whether the process was asked to stop.
#[derive(Debug)]
pub(crate) struct Stop {
    requested: Arc<AtomicBool>,
    wake: UnixStream,
}

impl Stop {
    /// Takes SIGTERM and SIGINT over from the system's default, which would kill the process.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let requested = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            signal_hook::flag::register(signal, Arc::clone(&requested))?;
            signal_hook::low_level::pipe::register(signal, waker.try_clone()?)?;
        }
        Ok(Self { requested, wake })
    }

    /// Whether a signal has come.
    #[inline]
    pub(crate) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    /// Becomes readable when a signal comes, to be polled beside an input.
    pub(crate) fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
