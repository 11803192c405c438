//! Connections for reading, lent out a few at a time.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use flexcore_ports::StoreError;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{
    connection::{Access, FileKind},
    log::NameCache,
};

/// How many reads run at once; each has a page cache of 4 MiB.
const CONNECTIONS: usize = 4;

/// A connection and what it has learned.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) connection: Connection,
    pub(crate) names: NameCache,
}

/// A pool of reading connections to one file, opened as they are needed.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    kind: &'static FileKind,
    access: Access,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Reader>>,
}

impl Readers {
    pub(crate) fn new(kind: &'static FileKind, file: PathBuf, access: Access) -> Self {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let idle = Mutex::default();
        Self { shared: Arc::new(Shared { file, kind, access, permits, idle }) }
    }

    /// How many connections are at work and how many wait for work.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let busy = CONNECTIONS.saturating_sub(self.shared.permits.available_permits());
        let idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).len();
        (busy, idle)
    }

    /// Runs `job` with a connection, on a thread that may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.shared.permits).acquire_owned().await;
        let pool = self.clone();
        let finished = tokio::task::spawn_blocking(move || {
            let _permit = permit.map_err(|_| gone("it was closed"))?;
            pool.run_blocking(job)
        });
        finished.await.unwrap_or_else(|error| Err(gone(&error.to_string())))
    }

    /// Runs a `job` of microseconds with a connection, on the thread that asks: to wake another one
    /// would take longer than the job.
    pub(crate) fn run_briefly<T>(
        &self,
        job: impl FnOnce(&mut Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.shared.permits.is_closed() {
            return Err(gone("it was closed"));
        }
        self.run_blocking(job)
    }

    /// Runs `job` with a connection on this thread.
    pub(crate) fn run_blocking<T>(
        &self,
        job: impl FnOnce(&mut Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut reader = self.take()?;
        let result = job(&mut reader);
        let idle = &mut *self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.shared.permits.is_closed() && idle.len() < CONNECTIONS {
            idle.push(reader);
        }
        result
    }

    /// Closes the connections; later reads are refused.
    pub(crate) fn close(&self) {
        self.shared.permits.close();
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn take(&self) -> Result<Reader, StoreError> {
        let idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(reader) = idle {
            return Ok(reader);
        }
        let connection = self.shared.kind.open(&self.shared.file, self.shared.access)?;
        Ok(Reader { connection, names: NameCache::default() })
    }
}

fn gone(reason: &str) -> StoreError {
    StoreError::Unavailable(format!("the store cannot be read: {reason}"))
}
