//! What the tests share: a clock, logs in a folder, and this test program run again.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use flexcore_artifacts::{FolderLogs, LogOptions};
use flexcore_domain::{ExecutionId, StepId};
use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{Clock, LogLine, Logs};
use flexcore_secrets::SecretMask;
use uuid::Uuid;

/// Each look at it is a microsecond later, from 1970 on.
#[derive(Default)]
pub(crate) struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

pub(crate) const EXECUTION: ExecutionId = ExecutionId(Uuid::from_u128(7));

pub(crate) fn step(id: &str) -> StepId {
    id.parse().unwrap()
}

pub(crate) fn logs(folder: &Path) -> FolderLogs {
    limited_logs(folder, LogOptions::default().max_bytes)
}

pub(crate) fn limited_logs(folder: &Path, max_bytes: u64) -> FolderLogs {
    let mask = SecretMask::default();
    mask.hide("hunter2!");
    FolderLogs::new(folder, Arc::new(mask), Arc::new(Ticks::default()), LogOptions { max_bytes })
}

/// Everything in the log of the first attempt of `load`.
pub(crate) async fn all_lines(logs: &FolderLogs) -> Vec<LogLine> {
    let (mut all, mut offset) = (Vec::new(), 0);
    loop {
        let (lines, after) = logs.read(EXECUTION, &step("load"), 1, offset).await.unwrap();
        if lines.is_empty() {
            return all;
        }
        all.extend(lines);
        offset = after;
    }
}

/// The text of lines.
pub(crate) fn texts(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.line.as_str()).collect()
}

/// A command that is followed by this test program, so that it runs one of its own tests.
pub(crate) fn run_again(mut command: Command, test: &str) -> Command {
    command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    command
}
