//! Making a process in namespaces of its own, and furnishing them.
#![expect(unsafe_code, reason = "a fork into namespaces has no safe wrapper")]

use std::{fs, io};

use rustix::{
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    process::{Pid, getgid, getpid, getuid, set_child_subreaper},
};

use super::signals::last_error;
use crate::{Isolation, IsolationPolicy};

/// Which side of a fork this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fork {
    Parent(Pid),
    Child,
}

/// Forks a child, in new namespaces if the policy says so. Works on a process with one thread only.
pub(super) fn fork(policy: IsolationPolicy) -> Result<Fork, Errno> {
    let namespaces = match policy {
        IsolationPolicy::Strongest => libc::CLONE_NEWPID | libc::CLONE_NEWNS,
        IsolationPolicy::UserNamespace => {
            libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::CLONE_NEWNS
        }
        IsolationPolicy::ProcessGroup => 0,
    };
    let identity = (getuid(), getgid());
    let flags = libc::c_long::from(namespaces | libc::SIGCHLD);
    let nothing: libc::c_long = 0;
    // SAFETY: without CLONE_VM and with no new stack this is fork: the child goes on with a copy of
    // the caller's memory on a copy of its stack. The launcher has one thread, so that no lock can
    // be held by a thread that the child does not have. clone3 would do the same, but is refused by
    // the system call filters of common containers, which cannot look into its arguments.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, nothing, nothing, nothing, nothing) };
    if pid < 0 {
        return Err(last_error());
    }
    match i32::try_from(pid).map(Pid::from_raw) {
        Ok(Some(pid)) => Ok(Fork::Parent(pid)),
        Ok(None) => {
            if policy == IsolationPolicy::UserNamespace
                && keep_identity(identity.0.as_raw(), identity.1.as_raw()).is_err()
            {
                // The launcher finds that this init never became ready, and tries the next tier.
                std::process::exit(1);
            }
            Ok(Fork::Child)
        }
        Err(_) => Err(Errno::OVERFLOW),
    }
}

/// Maps the caller to itself in its new user namespace.
fn keep_identity(uid: u32, gid: u32) -> io::Result<()> {
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    // An ordinary user may map a group only after giving up setgroups, which could otherwise drop a
    // group that denies access. See user_namespaces(7).
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// Makes the calling child ready to be an attempt's init.
///
/// # Errors
/// The tier does not work here.
pub(super) fn furnish(policy: IsolationPolicy) -> Result<Isolation, Errno> {
    if policy == IsolationPolicy::ProcessGroup {
        set_child_subreaper(Some(getpid()))?;
        return Ok(Isolation::ProcessGroup);
    }
    if !getpid().is_init() {
        return Err(Errno::PERM);
    }
    // Mounts of the machine still appear here, ours stay here.
    let downstream = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", downstream)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // Containers that hide parts of /proc forbid a whole one.
    let own_proc = mount("proc", "/proc", "proc", flags, None).is_ok();
    Ok(Isolation::PidNamespace { own_proc })
}
