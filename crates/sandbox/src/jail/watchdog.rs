//! Counting memory where no control group does: a look at all processes of a jail ten times a
//! second. A program that is quick enough is past the limit before it is seen, so this is against
//! accidents; the report says so.

use std::{
    fs,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::Pid;
use tokio::{task::JoinHandle, time::MissedTickBehavior};

use crate::{Process, tree};

const INTERVAL: Duration = Duration::from_millis(100);

/// Ends a jail that uses too much memory, until this is dropped.
#[derive(Debug)]
pub(super) struct Watchdog {
    has_bitten: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Watchdog {
    /// Watches the processes of the attempt that `process` is the program of. Must be called in a
    /// runtime with time enabled.
    pub(super) fn start(process: &Arc<Process>, limit: u64) -> Self {
        let has_bitten = Arc::new(AtomicBool::new(false));
        let task = watch(Arc::downgrade(process), limit, Arc::clone(&has_bitten));
        Self { has_bitten, task: tokio::spawn(task) }
    }

    /// Whether it has ended the jail.
    pub(super) fn has_bitten(&self) -> bool {
        self.has_bitten.load(Ordering::Relaxed)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(process: Weak<Process>, limit: u64, has_bitten: Arc<AtomicBool>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let program = process.upgrade().and_then(|process| Pid::from_raw(process.pid().cast_signed()));
    // Daemons come back to the init, so everything is below that one.
    let Some(init) = program.and_then(tree::parent) else { return };
    loop {
        ticks.tick().await;
        // Whoever holds it no longer, needs no watching.
        let Some(process) = process.upgrade() else { return };
        let used: u64 = tree::pids_below(init).into_iter().map(memory_of).sum();
        if used > limit {
            has_bitten.store(true, Ordering::Relaxed);
            process.begin_kill();
            return;
        }
    }
}

/// The bytes that are this process's own and those that it shares with others of its jail, which
/// are counted for each of them. None for one that has ended.
fn memory_of(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    counted(&status)
}

fn counted(status: &str) -> u64 {
    let kibibytes = |line: &str| -> Option<u64> {
        let number = line.strip_prefix("RssAnon:").or(line.strip_prefix("RssShmem:"))?;
        number.trim().strip_suffix(" kB")?.parse().ok()
    };
    status.lines().filter_map(kibibytes).sum::<u64>().saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_and_shared_memory_are_counted_and_files_are_not() {
        let status = "Name:\tx\nRssAnon:\t     10 kB\nRssFile:\t 99 kB\nRssShmem:\t 2 kB\n";
        assert_eq!(counted(status), 12 * 1024);
        assert_eq!(counted(""), 0);
    }
}
