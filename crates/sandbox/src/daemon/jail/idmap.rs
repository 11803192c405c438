//! Folders that belong to somebody else on disk and to the jail's user inside.
//!
//! Where the server is root, a program is a user that owns nothing. What it is shown is mounted with
//! its owner mapped to that user: the program reads and writes as the owner does, what it makes
//! belongs to the owner on disk, and nothing of the program's user is ever on a disk. No file can
//! become one that runs with its owner's rights: the filter of system calls refuses such modes, so
//! there is no mapping without that filter.
#![expect(unsafe_code, reason = "a process for a user namespace has no safe wrapper")]

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, kill_process, waitpid},
};

use crate::daemon::signals::last_error;

/// The user namespaces that map owners of files to one user, made as they are needed.
#[derive(Debug)]
pub(super) struct Mappings {
    user: u32,
    made: Vec<(Owner, OwnedFd)>,
}

/// User and group of a file.
pub(super) type Owner = (u32, u32);

impl Mappings {
    pub(super) const fn to(user: u32) -> Self {
        Self { user, made: Vec::new() }
    }

    /// The namespace that maps `owner` to the user.
    pub(super) fn of(&mut self, owner: Owner) -> io::Result<BorrowedFd<'_>> {
        let known = self.made.iter().position(|(known, _)| *known == owner);
        let index = known.unwrap_or(self.made.len());
        if known.is_none() {
            self.made.push((owner, make(owner, self.user)?));
        }
        Ok(self.made[index].1.as_fd())
    }
}

/// Makes a user namespace with one user and one group in it.
fn make((user, group): Owner, seen_as: u32) -> io::Result<OwnedFd> {
    let child = fork_into_user_namespace()?;
    let made = (|| {
        let folder = format!("/proc/{child}");
        fs::write(format!("{folder}/uid_map"), format!("{user} {seen_as} 1"))?;
        fs::write(format!("{folder}/gid_map"), format!("{group} {seen_as} 1"))?;
        File::open(format!("{folder}/ns/user"))
    })();
    // The descriptor keeps the namespace; the process was only needed to make it.
    kill_process(child, Signal::KILL)?;
    rustix::io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()))?;
    made.map(OwnedFd::from)
}

fn fork_into_user_namespace() -> Result<Pid, Errno> {
    let flags = libc::c_long::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
    let nothing: libc::c_long = 0;
    // SAFETY: without CLONE_VM this is fork. The calling process has one thread, and the child does
    // nothing but wait to be killed.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, nothing, nothing, nothing, nothing) };
    if pid == 0 {
        loop {
            // SAFETY: waits for a signal; all but SIGKILL are blocked.
            unsafe { libc::pause() };
        }
    }
    i32::try_from(pid).ok().and_then(Pid::from_raw).filter(|_| pid > 0).ok_or_else(last_error)
}
