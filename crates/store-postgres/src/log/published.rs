//! The end of the log, as this process knows it.

use std::sync::{Mutex, PoisonError};

use flexcore_ports::LogHead;
use tokio::sync::watch;

/// The end of the log, as this process knows it: from its own appends and from the tailer.
#[derive(Debug)]
pub(crate) struct Published {
    head: Mutex<LogHead>,
    appended: watch::Sender<u64>,
}

impl Published {
    pub(crate) fn new(head: LogHead) -> Self {
        Self { head: Mutex::new(head), appended: watch::Sender::new(head.position) }
    }

    /// The end of the log.
    pub(crate) fn head(&self) -> LogHead {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes when the log grows.
    pub(crate) fn appended(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }

    /// Announces an end, unless a later one is known. Gives whether it was news.
    pub(crate) fn publish(&self, head: LogHead) -> bool {
        let mut known = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if head.position <= known.position {
            return false;
        }
        *known = head;
        self.appended.send_replace(head.position);
        true
    }

    /// Announces an end that may lie before the known one: the server was replaced by another that
    /// has less. Whoever follows the log finds out by the hashes.
    pub(crate) fn replace(&self, head: LogHead) {
        let mut known = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != head {
            *known = head;
            self.appended.send_replace(head.position);
        }
    }
}
