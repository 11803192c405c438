//! The log of one attempt while it runs.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use flexcore_ports::{AttemptLog, Clock, LogSource, Mask};

use super::{flusher::Unflushed, writer::Writer};

/// A log that many threads add lines to.
pub(super) struct FolderAttemptLog {
    writer: Mutex<Writer>,
    mask: Arc<dyn Mask>,
    clock: Arc<dyn Clock>,
    unflushed: Arc<Unflushed>,
    /// What the list of unflushed logs is given, so that it keeps no log alive.
    myself: Weak<Self>,
}

impl FolderAttemptLog {
    pub(super) fn new(
        writer: Writer,
        mask: Arc<dyn Mask>,
        clock: Arc<dyn Clock>,
        unflushed: Arc<Unflushed>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|myself| Self {
            writer: Mutex::new(writer),
            mask,
            clock,
            unflushed,
            myself: Weak::clone(myself),
        })
    }

    /// Writes out what waits.
    pub(super) fn flush(&self) {
        self.writer().flush();
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AttemptLog for FolderAttemptLog {
    fn line(&self, source: LogSource, text: &str) {
        let masked = self.mask.apply(text);
        let mut writer = self.writer();
        let was_waiting = writer.is_waiting();
        // The time is taken under the lock: lines are in the order of their times.
        writer.add(self.clock.now(), source, &masked);
        let waits = writer.is_waiting();
        drop(writer);
        if waits && !was_waiting && !self.unflushed.add(Weak::clone(&self.myself)) {
            self.flush();
        }
    }
}

impl Drop for FolderAttemptLog {
    fn drop(&mut self) {
        self.flush();
    }
}

impl fmt::Debug for FolderAttemptLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FolderAttemptLog").finish_non_exhaustive()
    }
}
