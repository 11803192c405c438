//! Process trees as `/proc` shows them: who descends from whom, and how to end them all.
//!
//! A process id read from `/proc` may belong to another process a moment later, so a signal goes
//! through a pidfd that was opened first and checked against the start time afterwards.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{self, Read as _},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{
        Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, kill_process, pidfd_open,
        pidfd_send_signal, wait,
    },
};

use crate::ATTEMPT_VARIABLE;

/// A process at one moment: an id and the start time that tells it from a later bearer of the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Seen {
    pid: Pid,
    parent: i32,
    started: u64,
}

impl Seen {
    /// Reads `/proc/<pid>/stat`; `None` if there is no such process (any more).
    fn read(pid: Pid) -> Option<Self> {
        let stat = read_whole(Path::new(&format!("/proc/{pid}/stat")))?;
        Self::parse(pid, &stat)
    }

    /// The second field is the program's name in parentheses, which may itself hold spaces and
    /// parentheses: the fields after it begin behind the last one. See proc_pid_stat(5).
    fn parse(pid: Pid, stat: &[u8]) -> Option<Self> {
        let behind_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
        let mut fields = str::from_utf8(&stat[behind_name..]).ok()?.split_ascii_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self { pid, parent, started })
    }

    /// A descriptor of exactly this process; `None` if it is gone.
    fn open(self) -> Option<OwnedFd> {
        let pidfd = pidfd_open(self.pid, PidfdFlags::empty()).ok()?;
        (Self::read(self.pid)?.started == self.started).then_some(pidfd)
    }

    fn kill(self) {
        match pidfd_open(self.pid, PidfdFlags::empty()) {
            Ok(pidfd) => {
                if Self::read(self.pid).is_some_and(|now| now.started == self.started) {
                    // It may have ended in between, which is what we want.
                    let _ = pidfd_send_signal(pidfd, Signal::KILL);
                }
            }
            // A kernel or filter without pidfds.
            Err(Errno::NOSYS | Errno::PERM) => {
                let _ = kill_process(self.pid, Signal::KILL);
            }
            Err(_) => {}
        }
    }
}

/// When a process started, in ticks since the machine did: with its number a name that is never
/// given twice. `None` if there is no such process.
pub(crate) fn started(pid: Pid) -> Option<u64> {
    Seen::read(pid).map(|seen| seen.started)
}

/// The parent of a process; `None` if either is gone.
pub(crate) fn parent(pid: Pid) -> Option<Pid> {
    Seen::read(pid).and_then(|seen| Pid::from_raw(seen.parent))
}

/// The processes below one, as far as a look without locks can tell.
pub(crate) fn pids_below(root: Pid) -> Vec<Pid> {
    listed_descendants(root).into_iter().map(|seen| seen.pid).collect()
}

/// Every process that `/proc` shows.
fn all_processes() -> Vec<Seen> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Seen::read(Pid::from_raw(pid)?))
        .collect()
}

/// The processes below `root`, without itself.
///
/// The kernel's own lists of children are asked first: a walk over all of `/proc` takes many
/// milliseconds on a busy machine, and every normal end of a launcher would wait for it. The lists
/// may miss a child while others end (proc_pid_task_children(5)); whoever ends trees looks again
/// until no child is left, and where the lists name nobody the walk has the last word.
fn descendants(root: Pid) -> Vec<Seen> {
    let listed = listed_descendants(root);
    if listed.is_empty() { walked_descendants(root) } else { listed }
}

/// The processes below `root` by the kernel's lists; none where the kernel keeps no lists.
fn listed_descendants(root: Pid) -> Vec<Seen> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        let Ok(tasks) = fs::read_dir(format!("/proc/{parent}/task")) else { continue };
        for task in tasks.flatten() {
            let Some(list) = read_whole(&task.path().join("children")) else { continue };
            let list = String::from_utf8_lossy(&list);
            let pids = list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
            for child in pids.filter_map(Pid::from_raw).filter_map(Seen::read) {
                open.push(child.pid);
                found.push(child);
            }
        }
    }
    found
}

/// Reads a file of `/proc`, whose size is not known beforehand, in as few calls as can be.
fn read_whole(path: &Path) -> Option<Vec<u8>> {
    let mut file = fs::File::open(path).ok()?;
    let mut content = Vec::with_capacity(4_096);
    file.read_to_end(&mut content).ok()?;
    Some(content)
}

/// The processes below `root` by a walk over all of `/proc`.
fn walked_descendants(root: Pid) -> Vec<Seen> {
    let mut children: HashMap<i32, Vec<Seen>> = HashMap::new();
    for process in all_processes() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut open = vec![root.as_raw_pid()];
    while let Some(parent) = open.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            open.push(child.pid.as_raw_pid());
            found.push(child);
        }
    }
    found
}

/// Kills every descendant of the calling process and reaps until it has no child left, which for a
/// subreaper proves that no descendant is left. `reaped` is told of every child that ends.
pub(crate) fn exterminate_descendants(mut reaped: impl FnMut(Pid, WaitStatus)) {
    loop {
        for process in descendants(getpid()) {
            process.kill();
        }
        if !reap_one_or_more(&mut reaped) {
            return;
        }
    }
}

/// Waits for a child to end and reaps all that have ended; false if there is no child left.
///
/// A process that a walk over `/proc` missed is the child of one that it found (or the child of
/// such a one): that one's end reaches us as a reaped child, so waiting here never sleeps through
/// the need for another walk.
pub(crate) fn reap_one_or_more(reaped: &mut impl FnMut(Pid, WaitStatus)) -> bool {
    let mut options = WaitOptions::empty();
    loop {
        match wait(options) {
            Ok(Some((pid, status))) => reaped(pid, status),
            Ok(None) => return true,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
        options = WaitOptions::NOHANG;
    }
}

/// Kills the trees below the calling process's children, other than those in `kept`, without
/// waiting for them.
pub(crate) fn kill_stray_children(kept: &HashSet<Pid>) {
    let own = getpid();
    let strays: Vec<Seen> = all_processes()
        .into_iter()
        .filter(|process| process.parent == own.as_raw_pid() && !kept.contains(&process.pid))
        .collect();
    for stray in strays {
        for process in descendants(stray.pid) {
            process.kill();
        }
        stray.kill();
    }
}

/// Finds the processes whose environment says that they belong to the attempt: their
/// `FLEXCORE_ATTEMPT` is `marker`, or `marker` and a part after a slash.
///
/// This is the last resort of a resume on a machine without PID namespaces, after the launcher's
/// lock was waited for. Processes of other users are not seen, and a process can overwrite the
/// memory that its environment is read from.
pub fn processes_of_attempt(marker: &str) -> Vec<u32> {
    seen_of_attempt(marker).iter().map(|seen| seen.pid.as_raw_pid().cast_unsigned()).collect()
}

fn seen_of_attempt(marker: &str) -> Vec<Seen> {
    all_processes().into_iter().filter(|process| belongs_to(process.pid, marker)).collect()
}

fn belongs_to(pid: Pid, marker: &str) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    let prefix = format!("{ATTEMPT_VARIABLE}=");
    environment
        .split(|&byte| byte == 0)
        .filter_map(|variable| variable.strip_prefix(prefix.as_bytes()))
        .filter_map(|value| value.strip_prefix(std::ffi::OsStr::new(marker).as_bytes()))
        .any(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Kills the processes that [`processes_of_attempt`] finds and waits until they have ended.
/// Returns how many there were.
///
/// Blocks for as long as that takes; call it from a thread that may.
///
/// # Errors
/// `TimedOut` if some have not ended `patience` after they were killed (a process in
/// uninterruptible I/O, for one); the error names them.
pub fn end_processes_of_attempt(marker: &str, patience: Duration) -> io::Result<usize> {
    let mut ended = 0;
    loop {
        let found: Vec<(Seen, OwnedFd)> = seen_of_attempt(marker)
            .into_iter()
            .filter_map(|seen| Some((seen, seen.open()?)))
            .collect();
        if found.is_empty() {
            return Ok(ended);
        }
        for (_, pidfd) in &found {
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
        for (seen, pidfd) in &found {
            if !wait_for_end(pidfd, patience)? {
                let message =
                    format!("process {} of attempt {marker} does not end when killed", seen.pid);
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
        }
        ended += found.len();
    }
}

/// Whether the process ended within `patience`.
fn wait_for_end(pidfd: &OwnedFd, patience: Duration) -> Result<bool, Errno> {
    let timeout = Timespec::try_from(patience).map_err(|_| Errno::INVAL)?;
    rustix::io::retry_on_intr(|| {
        poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)).map(|ready| ready > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let pid = Pid::from_raw(7).unwrap();
        let stat = b"7 (a) b (c)) S 42 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 9876 1 1\n";
        let seen = Seen::parse(pid, stat).unwrap();
        assert_eq!((seen.parent, seen.started), (42, 9876));
    }

    #[test]
    fn a_stat_line_that_is_cut_short_is_no_process() {
        let pid = Pid::from_raw(7).unwrap();
        assert_eq!(Seen::parse(pid, b"7 (a) S 42 7"), None);
        assert_eq!(Seen::parse(pid, b""), None);
    }

    #[test]
    fn the_walk_finds_a_grandchild() {
        let mut child = std::process::Command::new("/bin/sh")
            .args(["-c", "sleep 1000 & echo started; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        let below = descendants(Pid::from_child(&child));
        assert_eq!(below.len(), 1);
        below[0].kill();
        assert!(child.wait().unwrap().code().is_some());
    }
}
