//! One thread that writes out what gathers in the buffers of all logs.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::attempt::FolderAttemptLog;

/// How long lines may gather: short enough for eyes, long enough that a log that gets a line now
/// and then costs few writes.
const INTERVAL: Duration = Duration::from_millis(200);

/// The logs in whose buffers lines wait.
#[derive(Default)]
pub(super) struct Unflushed {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    logs: Vec<Weak<FolderAttemptLog>>,
    closed: bool,
}

impl Unflushed {
    /// Adds a log whose buffer was empty until now; `false` if it has to write itself out, because
    /// the thread has ended.
    #[must_use]
    pub(super) fn add(&self, log: Weak<FolderAttemptLog>) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        state.logs.push(log);
        if state.logs.len() == 1 {
            self.changed.notify_one();
        }
        true
    }

    /// Writes out all of them.
    pub(super) fn flush(&self) {
        let logs = std::mem::take(&mut self.state().logs);
        for log in logs.iter().filter_map(Weak::upgrade) {
            log.flush();
        }
    }

    /// Waits until lines wait, then a while for more; `false` once it is closed.
    fn wait(&self) -> bool {
        let state = self
            .changed
            .wait_while(self.state(), |state| state.logs.is_empty() && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        let (state, _) = self
            .changed
            .wait_timeout_while(state, INTERVAL, |state| !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread; it ends when this is dropped, after it has written everything out.
pub(super) struct Flusher {
    unflushed: Arc<Unflushed>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    /// Starts the thread.
    ///
    /// # Errors
    /// Those of the system, when it has no room for another thread.
    pub(super) fn start(unflushed: Arc<Unflushed>) -> io::Result<Self> {
        let own = Arc::clone(&unflushed);
        let thread = thread::Builder::new().name("log-flusher".to_owned()).spawn(move || {
            while own.wait() {
                own.flush();
            }
            own.flush();
        })?;
        Ok(Self { unflushed, thread: Some(thread) })
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.unflushed.close();
        if let Some(thread) = self.thread.take() {
            // It ends in an error only if it panicked, which its own message has told.
            let _ = thread.join();
        }
    }
}
