//! The loopback network of a jail, and the listeners in it through which granted addresses are
//! reached. Nothing else leads out: the network namespace has no other interface.
#![expect(unsafe_code, reason = "interfaces are configured by ioctl, which has no safe wrapper")]

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::Failed;
use crate::{
    channel,
    jail::{spec::HostPort, wire::Message},
};

/// Brings the loopback interface up, listens for every grant, and sends the listeners to the
/// server, which accepts on them from outside.
pub(super) fn listen(grants: &[HostPort], control: BorrowedFd<'_>) -> Result<(), Failed> {
    let failed = |what: &str, error: io::Error| Failed::new("network", what, error);
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(|error| failed("a socket", error.into()))?;
    bring_up(&socket, b"lo").map_err(|error| failed("the loopback interface", error))?;
    for (index, grant) in grants.iter().enumerate() {
        let address = grant.address_in_jail(index);
        if let IpAddr::V4(address) = address
            && !address.is_loopback()
        {
            give_address(&socket, index, address)
                .map_err(|error| failed(&format!("the address {address}"), error))?;
        }
        let listener = TcpListener::bind(SocketAddr::new(address, grant.port))
            .map_err(|error| failed(&format!("listening for {grant}"), error))?;
        channel::send(control, &Message::Listener(index).encode(), &[listener.as_fd()])
            .map_err(|error| failed(&format!("handing on {grant}"), error.into()))?;
    }
    Ok(())
}

/// The request of netdevice(7), with its name and nothing else.
fn request(name: &[u8]) -> libc::ifreq {
    // SAFETY: `ifreq` is plain numbers, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name[..libc::IFNAMSIZ - 1].iter_mut().zip(name) {
        *to = from.cast_signed();
    }
    request
}

fn bring_up(socket: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let mut request = request(name);
    call(socket, libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: SIOCGIFFLAGS has just filled this member.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    let up = libc::c_short::try_from(libc::IFF_UP).unwrap_or(1);
    request.ifr_ifru.ifru_flags = flags | up;
    call(socket, libc::SIOCSIFFLAGS, &mut request)
}

/// Makes an address of the machine's network one of the jail's own, so that connecting to it ends at
/// our listener.
fn give_address(socket: &OwnedFd, index: usize, address: Ipv4Addr) -> io::Result<()> {
    let mut request = request(format!("lo:{}", index + 1).as_bytes());
    let mut bytes = [0; 14];
    bytes[2..6].copy_from_slice(&address.octets().map(u8::cast_signed));
    let family = libc::sa_family_t::try_from(libc::AF_INET).unwrap_or(2);
    request.ifr_ifru.ifru_addr = libc::sockaddr { sa_family: family, sa_data: bytes };
    call(socket, libc::SIOCSIFADDR, &mut request)
}

fn call(socket: &OwnedFd, number: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: these ioctls read and write one `ifreq`, which `request` is.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), number, std::ptr::from_mut(request)) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
