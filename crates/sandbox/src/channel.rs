//! Packets with descriptors over `SOCK_SEQPACKET` pairs: whole messages, no framing, and an end of
//! file as soon as the other side is gone, however it went.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
    process::Pid,
};
use tokio::io::unix::AsyncFd;

/// The most descriptors that one packet carries: the control socket, the three standard streams,
/// a memory file for a long order, and what a jail needs: control groups and secrets.
pub(crate) const MAX_DESCRIPTORS: usize = 48;

/// The longest packet that is sent, well below the default send buffer of 208 KiB. What is longer
/// travels in a memory file.
pub(crate) const MAX_PACKET: usize = 64 * 1024;

/// A packet that was received.
#[derive(Debug)]
pub(crate) struct Packet {
    /// How many bytes of the buffer it fills.
    pub(crate) length: usize,
    /// The descriptors that came with it, closed on exec.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// Who sent it, in the receiver's PID namespace, if the receiver asked for credentials.
    pub(crate) sender: Option<Pid>,
}

/// Makes two connected ends, both closed on exec.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Gives a socket to the runtime, which must be the current one.
#[expect(unsafe_code, reason = "the runtime asks for a promise about descriptors")]
pub(crate) fn register(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open and stays the same descriptor until it is dropped.
    let registered = unsafe { AsyncFd::register(socket) };
    Ok(registered?)
}

/// Sends one packet without blocking; a full buffer is [`Errno::AGAIN`], a lost peer
/// [`Errno::PIPE`].
pub(crate) fn send(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::INVAL);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::io::retry_on_intr(|| {
        sendmsg(socket.as_fd(), &[IoSlice::new(bytes)], &mut ancillary, flags)
    })?;
    Ok(())
}

/// Receives one packet into `buffer`; `None` once the peer is gone. Waits for one unless `flags`
/// say otherwise.
pub(crate) fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
    flags: RecvFlags,
) -> Result<Option<Packet>, Errno> {
    let mut space =
        [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS), ScmCredentials(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        recvmsg(socket.as_fd(), &mut [IoSliceMut::new(buffer)], &mut ancillary, flags)
    });
    let length = match received {
        Ok(received) => received.bytes,
        // The peer went away with packets unread.
        Err(Errno::CONNRESET) => 0,
        Err(error) => return Err(error),
    };
    let mut packet = Packet { length, descriptors: Vec::new(), sender: None };
    for message in ancillary.drain() {
        match message {
            RecvAncillaryMessage::ScmRights(descriptors) => packet.descriptors.extend(descriptors),
            RecvAncillaryMessage::ScmCredentials(sender) => packet.sender = Some(sender.pid),
            _ => {}
        }
    }
    // No side ever sends an empty packet, so nothing read means that nobody is left to write.
    Ok((length > 0).then_some(packet))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn a_packet_arrives_whole_with_its_descriptors() {
        let (here, there) = pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        send(&here, b"hello", &[writer.as_fd()]).unwrap();
        drop(writer);

        let mut buffer = [0; 16];
        let packet = receive(&there, &mut buffer, RecvFlags::empty()).unwrap().unwrap();
        assert_eq!(&buffer[..packet.length], b"hello");
        let [descriptor] = <[OwnedFd; 1]>::try_from(packet.descriptors).unwrap();
        std::fs::File::from(descriptor).write_all(b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn a_peer_that_is_gone_reads_as_the_end_and_writes_as_a_broken_pipe() {
        let (here, there) = pair().unwrap();
        drop(there);
        assert!(receive(&here, &mut [0; 4], RecvFlags::empty()).unwrap().is_none());
        assert_eq!(send(&here, b"x", &[]), Err(Errno::PIPE));
    }
}
