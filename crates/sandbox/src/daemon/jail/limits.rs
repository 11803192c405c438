//! Limits of each process, and what they stand in for where there are no control groups.
#![expect(unsafe_code, reason = "close_range and some limits have no safe wrapper")]

use std::io;

use super::Failed;
use crate::jail::{
    report::{Control, ControlName, ControlState},
    spec::Limits,
};

/// Makes the attempt what the kernel ends first when the whole machine runs out of memory.
pub(super) fn volunteer_for_oom() {
    // Where this is refused the kernel chooses by size alone.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
}

/// Whose processes the kernel counts with those of a jail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Nobody's.
    Alone,
    /// Those of the same user, wherever they are: so many at this moment.
    WithOthers(u64),
    /// The kernel counts none: root may have as many as it likes, or a group counts already.
    Nothing,
}

impl Counted {
    /// For a jail whose user has processes of its own only if `alone`, and a group if `has_group`.
    pub(super) fn of(alone: bool, has_group: bool) -> Self {
        if alone {
            Self::Alone
        } else if has_group || rustix::process::getuid().is_root() {
            Self::Nothing
        } else {
            Self::WithOthers(threads_of_user(rustix::process::getuid().as_raw()))
        }
    }
}

/// How many threads a user has, as far as `/proc` shows.
fn threads_of_user(uid: u32) -> u64 {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes =
        entries.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    let status =
        processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("status")).ok());
    status.map(|status| threads_of(&status, uid)).sum()
}

fn threads_of(status: &str, uid: u32) -> u64 {
    let field = |name: &str| {
        let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
        rest.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    if field("Uid:") == Some(uid.into()) { field("Threads:").unwrap_or(0) } else { 0 }
}

/// Sets the limits.
pub(super) fn apply(limits: &Limits, counted: Counted) -> Result<Option<Control>, Failed> {
    let own = [
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_NOFILE, u64::from(limits.open_files)),
        // Not RLIMIT_AS: runtimes with garbage collectors reserve far more than they use.
        (libc::RLIMIT_DATA, limits.memory_bytes),
        (libc::RLIMIT_FSIZE, limits.file_bytes),
        (libc::RLIMIT_STACK, 8 << 20),
        (libc::RLIMIT_MEMLOCK, 64 << 10),
        (libc::RLIMIT_MSGQUEUE, 0),
        (libc::RLIMIT_SIGPENDING, 256),
        (libc::RLIMIT_NICE, 0),
        (libc::RLIMIT_RTPRIO, 0),
    ];
    let pids = match counted {
        Counted::Alone => Some(limits.pids.into()),
        Counted::WithOthers(others) => Some(u64::from(limits.pids) + others),
        Counted::Nothing => None,
    };
    let pids = pids.map(|pids| (libc::RLIMIT_NPROC, pids));
    for (resource, wanted) in own.into_iter().chain(pids) {
        lower(resource, wanted)
            .map_err(|error| Failed::new("limits", format!("resource {resource}"), error))?;
    }
    Ok(Some(Control::enforced(ControlName::Rlimits)))
}

/// Says what limits per process are worth where the server found no control group.
pub(super) fn stand_in(controls: &mut Vec<Control>, limits: &Limits, counted: Counted) {
    let has = |controls: &[Control], name| controls.iter().any(|control| control.name == name);
    if !has(controls, ControlName::Memory) {
        let control = Control::new(ControlName::Memory, ControlState::BestEffort)
            .via("rlimit:data")
            .detail("each process for itself; shared and file memory are not counted")
            .limit(limits.memory_bytes);
        controls.push(control);
    }
    if !has(controls, ControlName::Pids) {
        let root = rustix::process::getuid().is_root();
        let stand_in = |state| Control::new(ControlName::Pids, state).via("rlimit:nproc");
        controls.push(match counted {
            Counted::Alone if !root => stand_in(ControlState::Enforced).limit(limits.pids.into()),
            Counted::WithOthers(_) => stand_in(ControlState::BestEffort)
                .detail("counted with the other processes of its user")
                .limit(limits.pids.into()),
            Counted::Alone | Counted::Nothing => Control::unavailable(
                ControlName::Pids,
                "the kernel does not count this user's processes",
            ),
        });
    }
}

fn lower(resource: libc::__rlimit_resource_t, wanted: u64) -> io::Result<()> {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit fills the struct that it is given.
    if unsafe { libc::getrlimit(resource, &raw mut now) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let value = wanted.min(now.rlim_max);
    let wanted = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: setrlimit reads the struct that it is given.
    let result = unsafe { libc::setrlimit(resource, &raw const wanted) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has every descriptor from this number on closed by the next exec.
pub(super) fn close_on_exec_from(first: u32) -> io::Result<()> {
    let flag = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: takes plain numbers and closes nothing yet.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flag) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_counted_for_their_user_only() {
        let status = "Name:\tx\nUid:\t7\t7\t7\t7\nThreads:\t5\n";
        assert_eq!((threads_of(status, 7), threads_of(status, 8), threads_of("", 0)), (5, 0, 0));
        assert!(threads_of_user(rustix::process::getuid().as_raw()) > 0);
    }
}
