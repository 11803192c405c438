//! What the launcher is born with: a socket, a lock, and nothing else.

use std::{
    fs::{self, OpenOptions},
    os::fd::{OwnedFd, RawFd},
};

use rustix::{
    io::Errno,
    net::{SocketType, sockopt::socket_type},
};

/// Closes every descriptor but the standard streams. The server may itself have inherited some from
/// its parent that are not closed on exec, and no program shall get them.
#[expect(unsafe_code, reason = "descriptors that no value owns are closed by number")]
pub(super) fn close_inherited() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<RawFd> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&descriptor| descriptor > 2)
        .collect();
    for descriptor in open {
        // SAFETY: the process has just begun, so no value of it owns a descriptor above the standard
        // streams. The one that listed the folder is among these numbers and already closed, which
        // the system answers with an error.
        unsafe { libc::close(descriptor) };
    }
}

/// Takes the socket from standard input and the lock from standard output, where the server put
/// them, and leaves `/dev/null` in their place.
pub(super) fn take() -> Result<(OwnedFd, OwnedFd), Errno> {
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    if socket_type(&socket)? != SocketType::SEQPACKET {
        return Err(Errno::NOTSOCK);
    }
    let lock = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    let null = null.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok((socket, lock))
}
