//! A program in its jail.

use std::{os::fd::OwnedFd, sync::Arc};

use super::{
    cgroup::Group,
    egress::{Egress, GrantUse},
    report::{ControlName, SandboxReport},
    users::User,
    watchdog::Watchdog,
};
use crate::{ExitStatus, Process, Spawned};

/// A program in its jail. Dropping this before the end kills everything in it.
#[derive(Debug)]
pub struct Jailed {
    /// The program.
    pub process: Arc<Process>,
    /// Where its standard input comes from, if a pipe was asked for; to be taken.
    pub stdin: Option<OwnedFd>,
    /// Where its standard output goes; to be taken.
    pub stdout: Option<OwnedFd>,
    /// Where its standard error goes; to be taken.
    pub stderr: Option<OwnedFd>,
    /// What holds it.
    pub report: SandboxReport,
    egress: Egress,
    group: Option<Group>,
    watchdog: Option<Watchdog>,
    _user: Option<User>,
}

/// What a jail has beside its program.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) report: SandboxReport,
    pub(super) egress: Egress,
    pub(super) group: Option<Group>,
    pub(super) user: Option<User>,
}

/// How a program in a jail ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JailExit {
    /// How it ended.
    pub status: ExitStatus,
    /// Whether the kernel killed a process of it for lack of memory.
    pub out_of_memory: bool,
    /// How each network grant was used.
    pub network: Vec<GrantUse>,
    /// How many connections and packets it tried to send where no grant leads. Not known where
    /// there are no network namespaces.
    pub denied_connects: u64,
}

impl Jailed {
    pub(super) fn new(spawned: Spawned, holding: Holding, memory_bytes: Option<u64>) -> Self {
        let Spawned { process, stdin, stdout, stderr } = spawned;
        let Holding { report, egress, group, user } = holding;
        let process = Arc::new(process);
        // Without a group nobody counts the memory of all processes together.
        let watchdog = memory_bytes
            .filter(|_| !report.enforces(ControlName::Memory))
            .map(|bytes| Watchdog::start(&process, bytes));
        let (stdout, stderr) = (Some(stdout), Some(stderr));
        Self { process, stdin, stdout, stderr, report, egress, group, watchdog, _user: user }
    }

    /// Waits until no process of the jail is alive, and removes what the jail needed.
    pub async fn wait(self) -> JailExit {
        let status = self.process.wait().await;
        self.finish(status).await
    }

    /// Kills the program and every process below it; returns when none is left.
    pub async fn kill(self) -> JailExit {
        self.begin_kill();
        self.wait().await
    }

    /// Has everything in the jail killed, and returns at once.
    pub fn begin_kill(&self) {
        if let Some(group) = &self.group {
            group.kill();
        }
        self.process.begin_kill();
    }

    /// How each network grant was used so far.
    pub fn network(&self) -> Vec<GrantUse> {
        self.egress.uses()
    }

    async fn finish(mut self, status: ExitStatus) -> JailExit {
        let mut out_of_memory = self.watchdog.as_ref().is_some_and(Watchdog::has_bitten);
        if let Some(group) = self.group.take() {
            out_of_memory |= group.was_out_of_memory();
            group.remove().await;
        }
        let denied_connects = self.process.denied();
        JailExit { status, out_of_memory, network: self.egress.uses(), denied_connects }
    }
}
