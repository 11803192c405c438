//! The loopback network of a jail, and the listeners in it through which granted addresses are
//! reached. Nothing else leads out: the network namespace has no other interface.
#![expect(unsafe_code, reason = "interfaces are configured by ioctl, which has no safe wrapper")]

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, listen as listen_on, socket_with,
    sockopt::set_ipv6_freebind,
};

use super::Failed;
use crate::{
    channel,
    jail::{spec::HostPort, wire::Message},
};

/// How many connections wait to be accepted.
const BACKLOG: i32 = 128;

/// Brings the loopback interface up, and returns the socket that it was done by.
pub(super) fn loopback() -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    bring_up(&socket, b"lo")?;
    Ok(socket)
}

/// Listens for every grant, and sends the listeners to the server, which accepts on them from
/// outside. `socket` is one of the jail's network.
pub(super) fn listen(
    socket: &OwnedFd,
    grants: &[HostPort],
    control: BorrowedFd<'_>,
) -> Result<(), Failed> {
    let failed = |what: &str, error: io::Error| Failed::new("network", what, error);
    for (index, grant) in grants.iter().enumerate() {
        let address = grant.address_in_jail(index);
        let given = match address {
            address if address.is_loopback() => Ok(()),
            IpAddr::V4(address) => give_address(socket, index, address),
            IpAddr::V6(address) => give_address_v6(address),
        };
        given.map_err(|error| failed(&format!("the address {address}"), error))?;
        let listener = listener(SocketAddr::new(address, grant.port))
            .map_err(|error| failed(&format!("listening for {grant}"), error))?;
        channel::send(control, &Message::Listener(index).encode(), &[listener.as_fd()])
            .map_err(|error| failed(&format!("handing on {grant}"), error.into()))?;
    }
    Ok(())
}

fn listener(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        // The kernel makes the address ours a moment after it was given.
        set_ipv6_freebind(&socket, true)?;
    }
    bind(&socket, &address)?;
    listen_on(&socket, BACKLOG)?;
    Ok(socket)
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

/// `struct in6_ifreq` of ipv6(7).
#[repr(C)]
struct AddressRequest {
    address: [u8; 16],
    prefix_length: u32,
    interface: libc::c_int,
}

/// The same for IPv6, which knows the interface by its number.
fn give_address_v6(address: Ipv6Addr) -> io::Result<()> {
    let socket = socket_with(AddressFamily::INET6, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut named = request(b"lo");
    call(&socket, libc::SIOCGIFINDEX, &mut named)?;
    // SAFETY: SIOCGIFINDEX has just filled this member.
    let interface = unsafe { named.ifr_ifru.ifru_ifindex };
    let mut request = AddressRequest { address: address.octets(), prefix_length: 128, interface };
    call(&socket, libc::SIOCSIFADDR, &mut request)
}

/// `request` is the struct that the kernel knows by this number.
fn call<T>(socket: &OwnedFd, number: libc::c_ulong, request: &mut T) -> io::Result<()> {
    // SAFETY: each of these ioctls reads and writes one struct of its own, which `request` is: an
    // `in6_ifreq` for SIOCSIFADDR on a socket of IPv6, an `ifreq` for all others.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), number, std::ptr::from_mut(request)) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
