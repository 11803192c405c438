//! Connecting to a plugin's socket, and to no other.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use flexcore_sandbox::processes_of_attempt;
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use tokio::net::UnixStream;

use super::folder::RunFolder;
use crate::error::Fault;

/// Connects to the socket `name` in the plugin's folder, if it is one and a process of the plugin
/// listens on it. `pid` is the plugin's program, `attempt` what marks every process of it.
pub(super) async fn connect(
    folder: &RunFolder,
    name: &str,
    (pid, attempt): (u32, &str),
) -> Result<UnixStream, Fault> {
    let refuse = |what: String| Fault::Socket { name: name.to_owned(), what };
    // The file itself, held: from here on nobody can put another in its place, and a link is not
    // followed. Its path may be longer than a socket's address, this one is not.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(folder.handle().as_fd(), name, flags, Mode::empty())
        .map_err(|error| refuse(format!("cannot be opened: {}", io::Error::from(error))))?;
    let kind = fstat(&file).map(|stat| FileType::from_raw_mode(stat.st_mode));
    if kind != Ok(FileType::Socket) {
        return Err(refuse("is no socket".to_owned()));
    }
    let address = format!("/proc/self/fd/{}", file.as_raw_fd());
    let stream = UnixStream::connect(&address)
        .await
        .map_err(|error| refuse(format!("cannot be connected to: {error}")))?;
    let listener = stream
        .peer_cred()
        .ok()
        .and_then(|peer| peer.pid())
        .and_then(|pid| u32::try_from(pid).ok())
        .ok_or_else(|| refuse("does not say who listens on it".to_owned()))?;
    if listener != pid && !is_of_attempt(listener, attempt) {
        let what = format!("belongs to process {listener}, which is not the plugin's");
        return Err(refuse(what));
    }
    Ok(stream)
}

/// A plugin may be started through a program of its own, such as a shell.
fn is_of_attempt(pid: u32, attempt: &str) -> bool {
    processes_of_attempt(attempt).contains(&pid)
}
