//! Running binaries, and the processes that they leave or do not leave.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open},
};

use super::{Finished, PATIENCE};

/// A call of the binary that goes on. Killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    arguments: String,
    stdout: PathBuf,
    stderr: PathBuf,
    ended: Option<ExitStatus>,
}

impl Running {
    /// Output goes to files, so that nobody has to read it for the process to go on.
    pub(super) fn start(mut command: Command, arguments: &[&str], scratch: &Path) -> Self {
        let file = |end: &str| {
            let named = tempfile::Builder::new().prefix("run-").suffix(end).tempfile_in(scratch);
            named.and_then(|file| file.keep().map_err(Into::into)).expect("a file for the output")
        };
        let ((out, stdout), (err, stderr)) = (file(".stdout"), file(".stderr"));
        let child = command.stdout(out).stderr(err).spawn().expect("the binary starts");
        Self { child, arguments: arguments.join(" "), stdout, stderr, ended: None }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal; a process that has ended is not an error.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }

    /// Sends a signal to its whole process group, whose leader it is.
    pub(crate) fn signal_group(&self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.child), signal).expect("a group of its own");
    }

    /// Waits until its end, at most for so long; whether it has ended.
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        if self.ended.is_none() && !self.wait_for_end(time) {
            return false;
        }
        self.ended.get_or_insert_with(|| self.child.wait().expect("our own child"));
        true
    }

    fn wait_for_end(&self, time: Duration) -> bool {
        let pidfd = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty());
        let pidfd = pidfd.expect("a pidfd of our own child");
        let timeout = Timespec::try_from(time).expect("a wait of a test is short");
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)).expect("poll works") > 0
    }

    /// Kills it after this time; whether it was still running.
    pub(crate) fn kill_after(mut self, time: Duration) -> bool {
        let ended = self.ends_within(time);
        if !ended {
            self.signal(Signal::KILL);
            assert!(self.ends_within(PATIENCE), "a killed process ends");
        }
        // What ended by itself just before the signal was not killed.
        self.ended.and_then(|status| status.signal()) == Some(9)
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Finished {
        if !self.ends_within(PATIENCE) {
            self.signal(Signal::KILL);
            let said = fs::read_to_string(&self.stderr).unwrap_or_default();
            panic!("`flexcore {}` does not end; it said:\n{said}", self.arguments);
        }
        Finished {
            arguments: self.arguments.clone(),
            status: self.ended.expect("it has ended"),
            stdout: fs::read_to_string(&self.stdout).expect("stdout is UTF-8"),
            stderr: fs::read_to_string(&self.stderr).expect("stderr is UTF-8"),
        }
    }

    /// What it wrote to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    /// What it wrote to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The `FLEXCORE_ATTEMPT` markers of all living processes that belong to an execution.
pub(crate) fn attempts_alive(execution: &str) -> Vec<String> {
    markers_alive(&format!("{execution}/"))
}

/// The `FLEXCORE_ATTEMPT` markers of all living processes that begin like this.
pub(crate) fn markers_alive(prefix: &str) -> Vec<String> {
    let wanted = format!("FLEXCORE_ATTEMPT={prefix}");
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").expect("/proc").flatten() {
        // Processes that end meanwhile, zombies and those of other users have nothing to read.
        let Ok(environment) = fs::read(process.path().join("environ")) else { continue };
        let variables = environment.split(|&byte| byte == 0);
        let marker = variables.filter_map(|variable| str::from_utf8(variable).ok());
        found.extend(marker.filter(|text| text.starts_with(&wanted)).map(str::to_owned));
    }
    found
}

/// The living children of a process.
pub(crate) fn children_of(parent: u32) -> Vec<Pid> {
    let is_child = |pid: &Pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name of the program stands in parentheses and may hold anything.
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        behind_name.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    pids.filter(is_child).collect()
}

/// Kills a process that a run of this test started.
pub(crate) fn kill(process: Pid) {
    // It may have ended by itself.
    let _ = kill_process(process, Signal::KILL);
}
