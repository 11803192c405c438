//! Attempt logs: what plugins print, kept apart from events.

use std::fmt::Debug;

use async_trait::async_trait;
use flexcore_domain::{ExecutionId, StepId};
use flexcore_eventsourcing::Timestamp;

use crate::StorageError;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogSource {
    /// Standard output of a command.
    Stdout,
    /// Standard error of a command.
    Stderr,
    /// What a tap logs.
    Tap,
    /// What a target logs.
    Target,
    /// FlexCore itself.
    Runner,
}

impl LogSource {
    /// Its word in stored lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Tap => "tap",
            Self::Target => "target",
            Self::Runner => "runner",
        }
    }
}

/// One line of an attempt's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was read.
    pub time: Timestamp,
    /// Where it came from.
    pub source: String,
    /// Its text without the newline, masked.
    pub line: String,
}

/// The log of one attempt while it runs. Lines are masked, stamped with the time and written in
/// order; past a size the rest is dropped behind one line that says so.
pub trait AttemptLog: Send + Sync + Debug {
    /// Adds a line. A log that cannot be written (full disk) never ends the attempt: it is
    /// reported once through tracing.
    fn line(&self, source: LogSource, text: &str);
}

/// Attempt logs of all executions.
#[async_trait]
pub trait Logs: Send + Sync {
    /// Begins the log of an attempt.
    ///
    /// # Errors
    /// [`StorageError`] if its file cannot be made.
    fn open(
        &self,
        execution: ExecutionId,
        step: &StepId,
        attempt: u32,
    ) -> Result<std::sync::Arc<dyn AttemptLog>, StorageError>;

    /// The attempts that have logs, in the order in which they began: step and attempt.
    ///
    /// # Errors
    /// [`StorageError`] if the folder cannot be read.
    async fn attempts(&self, execution: ExecutionId) -> Result<Vec<(StepId, u32)>, StorageError>;

    /// The executions that have logs here, in no order.
    ///
    /// # Errors
    /// [`StorageError`] if the folder cannot be read.
    async fn executions(&self) -> Result<Vec<ExecutionId>, StorageError>;

    /// How many bytes the logs of an execution take.
    ///
    /// # Errors
    /// [`StorageError`] if their folder cannot be read.
    async fn size(&self, execution: ExecutionId) -> Result<u64, StorageError>;

    /// Removes the logs of an execution, of which none may be written any more; gives how many
    /// bytes they took.
    ///
    /// # Errors
    /// [`StorageError`] if they cannot be removed.
    async fn remove(&self, execution: ExecutionId) -> Result<u64, StorageError>;

    /// Lines of an attempt from byte `offset` of its log on, and the offset after them; none when
    /// there is nothing new.
    ///
    /// # Errors
    /// [`StorageError`] if the file cannot be read.
    async fn read(
        &self,
        execution: ExecutionId,
        step: &StepId,
        attempt: u32,
        offset: u64,
    ) -> Result<(Vec<LogLine>, u64), StorageError>;
}
