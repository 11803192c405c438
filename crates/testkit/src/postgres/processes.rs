//! A server's processes, for whoever wants to hurt them.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

/// How long a killed process may take to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first process of the server in `data`, if it runs. A process that only happens to have the
/// number that a dead server left behind has another working folder.
pub(super) fn postmaster(data: &Path) -> Option<Pid> {
    let file = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let number = file.lines().next()?.trim().parse::<i32>().ok()?;
    let folder = fs::read_link(format!("/proc/{number}/cwd")).ok()?;
    (folder == data).then(|| Pid::from_raw(number))?
}

/// Sends a signal to the server and all that it started. The server comes first and is stopped
/// meanwhile, so that it starts nothing that would be missed.
pub(super) fn signal_all(data: &Path, signal: Signal) -> anyhow::Result<Vec<Pid>> {
    let server = postmaster(data).context("the server does not run")?;
    kill_process(server, Signal::STOP)?;
    let children = children(server)?;
    for child in &children {
        ignore_gone(kill_process(*child, signal))?;
    }
    if signal != Signal::STOP {
        kill_process(server, signal)?;
    }
    Ok(children.into_iter().chain([server]).collect())
}

/// Kills the server and all that it started, and waits until they are gone.
pub(super) fn kill(data: &Path) -> anyhow::Result<()> {
    let server = postmaster(data).context("the server does not run")?;
    kill_process(server, Signal::STOP)?;
    let all = children(server)?.into_iter().chain([server]);
    // A handle before the kill: later the number may be somebody else's.
    let handles: Vec<_> =
        all.filter_map(|pid| Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?))).collect();
    for (pid, _) in &handles {
        ignore_gone(kill_process(*pid, Signal::KILL))?;
    }
    let deadline = Instant::now() + PATIENCE;
    for (pid, handle) in &handles {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left)?;
        let mut wait = [PollFd::new(handle, PollFlags::IN)];
        if poll(&mut wait, Some(&timeout))? == 0 {
            bail!("process {} did not end within {PATIENCE:?} of being killed", pid.as_raw_pid());
        }
    }
    Ok(())
}

fn children(server: Pid) -> anyhow::Result<Vec<Pid>> {
    let number = server.as_raw_pid();
    let list = fs::read_to_string(format!("/proc/{number}/task/{number}/children"))?;
    Ok(list.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?)).collect())
}

fn ignore_gone(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::SRCH) => Ok(()),
        other => other,
    }
}
