//! Attempt logs in a folder.
//!
//! The log of an attempt is `<execution>/<step>/<attempt>.jsonl`; [`mod@line`] has its form. Beside the
//! steps of an execution lies `attempts.jsonl`, a line for each attempt in the order in which they
//! began, which neither names nor file times could tell.

mod attempt;
mod flusher;
mod index;
mod line;
mod reader;
mod writer;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use flexcore_domain::{ExecutionId, StepId};
use flexcore_ports::{AttemptLog, Clock, LogLine, Logs, Mask, StorageError};

use crate::folder;
use attempt::FolderAttemptLog;
use flusher::{Flusher, Unflushed};
use writer::Writer;

/// How attempt logs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// The largest log of one attempt, in bytes, with the line that says that the rest was
    /// dropped. 64 MiB unless given; below 256 bytes that line is all there is.
    pub max_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { max_bytes: 64 * 1024 * 1024 }
    }
}

/// Attempt logs in a folder.
///
/// Lines gather in memory for up to a fifth of a second or 32 KiB, so that another process that
/// follows a log sees them at once to a person's eye, and a killed process takes at most that
/// moment with it. A log is written out when its last user drops it, when this is dropped, and
/// before it is read through this; a process that ends without dropping it calls
/// [`FolderLogs::flush`].
pub struct FolderLogs {
    folder: PathBuf,
    mask: Arc<dyn Mask>,
    clock: Arc<dyn Clock>,
    options: LogOptions,
    unflushed: Arc<Unflushed>,
    /// Started with the first log that is opened: who only reads needs no thread.
    flusher: Mutex<Option<Flusher>>,
}

impl FolderLogs {
    /// Logs in `folder`, which is made with the first log. Lines pass `mask` and carry the time of
    /// `clock`.
    pub fn new(
        folder: impl Into<PathBuf>,
        mask: Arc<dyn Mask>,
        clock: Arc<dyn Clock>,
        options: LogOptions,
    ) -> Self {
        let (unflushed, flusher) = (Arc::default(), Mutex::default());
        Self { folder: folder.into(), mask, clock, options, unflushed, flusher }
    }

    /// Writes out what has gathered in memory.
    pub fn flush(&self) {
        self.unflushed.flush();
    }

    fn start_flusher(&self) -> Result<(), StorageError> {
        let mut flusher = self.flusher.lock().unwrap_or_else(PoisonError::into_inner);
        if flusher.is_none() {
            let started = Flusher::start(Arc::clone(&self.unflushed));
            *flusher = Some(started.map_err(folder::failed("start a writer for", &self.folder))?);
        }
        Ok(())
    }
}

#[async_trait]
impl Logs for FolderLogs {
    fn open(
        &self,
        execution: ExecutionId,
        step: &StepId,
        attempt: u32,
    ) -> Result<Arc<dyn AttemptLog>, StorageError> {
        self.start_flusher()?;
        let path = log_path(&self.folder, execution, step, attempt);
        let writer = Writer::open(path.clone(), self.options.max_bytes)
            .map_err(folder::failed("write", &path))?;
        index::add(&self.folder, execution, step, attempt);
        let (mask, clock) = (Arc::clone(&self.mask), Arc::clone(&self.clock));
        Ok(FolderAttemptLog::new(writer, mask, clock, Arc::clone(&self.unflushed)))
    }

    async fn attempts(&self, execution: ExecutionId) -> Result<Vec<(StepId, u32)>, StorageError> {
        let logs = self.folder.clone();
        let folder = execution_folder(&logs, execution);
        let name = folder.clone();
        folder::blocking("list", &folder, move || {
            index::list(&logs, execution).map_err(folder::failed("list", &name))
        })
        .await
    }

    async fn executions(&self) -> Result<Vec<ExecutionId>, StorageError> {
        let logs = self.folder.clone();
        folder::blocking("list", &self.folder, move || {
            index::executions(&logs).map_err(folder::failed("list", &logs))
        })
        .await
    }

    async fn size(&self, execution: ExecutionId) -> Result<u64, StorageError> {
        let folder = execution_folder(&self.folder, execution);
        let (name, unflushed) = (folder.clone(), Arc::clone(&self.unflushed));
        folder::blocking("look into", &folder, move || {
            unflushed.flush();
            index::bytes(&name).map_err(folder::failed("look into", &name))
        })
        .await
    }

    async fn remove(&self, execution: ExecutionId) -> Result<u64, StorageError> {
        let bytes = self.size(execution).await?;
        let folder = execution_folder(&self.folder, execution);
        let name = folder.clone();
        folder::blocking("remove", &folder, move || {
            index::remove(&name).map_err(folder::failed("remove", &name))
        })
        .await?;
        Ok(bytes)
    }

    async fn read(
        &self,
        execution: ExecutionId,
        step: &StepId,
        attempt: u32,
        offset: u64,
    ) -> Result<(Vec<LogLine>, u64), StorageError> {
        let path = log_path(&self.folder, execution, step, attempt);
        let (name, unflushed) = (path.clone(), Arc::clone(&self.unflushed));
        folder::blocking("read", &path, move || {
            unflushed.flush();
            reader::read(&name, offset).map_err(folder::failed("read", &name))
        })
        .await
    }
}

impl fmt::Debug for FolderLogs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FolderLogs")
            .field("folder", &self.folder)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn execution_folder(logs: &Path, execution: ExecutionId) -> PathBuf {
    logs.join(execution.to_string())
}

/// The parts are safe in a path: ids and step ids have neither `/` nor `.`.
fn log_path(logs: &Path, execution: ExecutionId, step: &StepId, attempt: u32) -> PathBuf {
    execution_folder(logs, execution).join(step.as_str()).join(format!("{attempt}.jsonl"))
}
