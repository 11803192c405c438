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

/// Sets the limits. `countable` says that the user's processes are those of this jail alone.
pub(super) fn apply(limits: &Limits, countable: bool) -> Result<Option<Control>, Failed> {
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
    let pids = countable.then_some((libc::RLIMIT_NPROC, u64::from(limits.pids)));
    for (resource, wanted) in own.into_iter().chain(pids) {
        lower(resource, wanted)
            .map_err(|error| Failed::new("limits", format!("resource {resource}"), error))?;
    }
    Ok(Some(Control::enforced(ControlName::Rlimits)))
}

/// Says what limits per process are worth where the server found no control group.
pub(super) fn stand_in(controls: &mut Vec<Control>, limits: &Limits, countable: bool) {
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
        controls.push(if countable && !root {
            Control::enforced(ControlName::Pids).via("rlimit:nproc").limit(limits.pids.into())
        } else {
            Control::unavailable(
                ControlName::Pids,
                "the kernel does not count this user's processes",
            )
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
