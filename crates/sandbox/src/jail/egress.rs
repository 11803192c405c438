//! The way out of a jail: for each granted address a listener inside it, on which the server accepts
//! and from which it connects outward. There is no other way, so an address list holds for every
//! program and needs no rights.
//!
//! Names are resolved here, outside. A name that leads into a private network is refused: whoever
//! owns a name could otherwise point it at the machine's own services after it was granted.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdListener},
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

use super::spec::HostPort;

/// How long a connection outward may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How many connections of one grant are open at once; more wait.
const CONNECTIONS: usize = 256;
const CHUNK: usize = 64 * 1024;

/// How a grant was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantUse {
    /// The grant.
    pub grant: HostPort,
    /// Connections that came about.
    pub connections: u64,
    /// Connections that did not: the name does not resolve, or nobody answers.
    pub failed: u64,
    /// Connections that were refused: the name leads where a name may not lead.
    pub refused: u64,
    /// Bytes that went out.
    pub bytes_sent: u64,
    /// Bytes that came in.
    pub bytes_received: u64,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// The listeners of one jail, served until this is dropped.
#[derive(Debug, Default)]
pub(super) struct Egress {
    served: Vec<(HostPort, Arc<Counts>)>,
    tasks: JoinSet<()>,
}

impl Egress {
    /// Serves the listener of a grant. Must be called in a runtime with I/O and time enabled.
    pub(super) fn serve(&mut self, grant: &HostPort, listener: OwnedFd) -> io::Result<()> {
        let listener = StdListener::from(listener);
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let counts = Arc::new(Counts::default());
        self.served.push((grant.clone(), Arc::clone(&counts)));
        self.tasks.spawn(accept(listener, grant.clone(), counts));
        Ok(())
    }

    pub(super) fn uses(&self) -> Vec<GrantUse> {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let describe = |(grant, counts): &(HostPort, Arc<Counts>)| GrantUse {
            grant: grant.clone(),
            connections: read(&counts.connections),
            failed: read(&counts.failed),
            refused: read(&counts.refused),
            bytes_sent: read(&counts.sent),
            bytes_received: read(&counts.received),
        };
        self.served.iter().map(describe).collect()
    }
}

async fn accept(listener: TcpListener, grant: HostPort, counts: Arc<Counts>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let Ok((inside, _)) = listener.accept().await else {
            // Out of descriptors, most likely: one that closes makes room.
            if connections.join_next().await.is_none() {
                return;
            }
            continue;
        };
        let (grant, counts) = (grant.clone(), Arc::clone(&counts));
        connections.spawn(async move {
            carry(inside, &grant, &counts).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Connects outward and copies both ways. What fails shows in the jail as a closed connection.
async fn carry(inside: TcpStream, grant: &HostPort, counts: &Counts) {
    let outside = match tokio::time::timeout(CONNECT, connect(grant)).await {
        Ok(Ok(outside)) => outside,
        Ok(Err(error)) => {
            let is_refused = error.kind() == io::ErrorKind::PermissionDenied;
            let count = if is_refused { &counts.refused } else { &counts.failed };
            count.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%grant, %error, "a granted address cannot be reached");
            return;
        }
        Err(_) => {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%grant, "a granted address does not answer");
            return;
        }
    };
    counts.connections.fetch_add(1, Ordering::Relaxed);
    // Small messages must not wait for each other; a failure costs speed only.
    let _ = (inside.set_nodelay(true), outside.set_nodelay(true));
    let (from_inside, to_inside) = inside.into_split();
    let (from_outside, to_outside) = outside.into_split();
    // Either direction may end first; an error ends both.
    let _ = tokio::try_join!(
        copy(from_inside, to_outside, &counts.sent),
        copy(from_outside, to_inside, &counts.received),
    );
}

async fn connect(grant: &HostPort) -> io::Result<TcpStream> {
    let resolved: Vec<SocketAddr> =
        tokio::net::lookup_host((grant.host.as_str(), grant.port)).await?.collect();
    let targets = permitted(grant, &resolved);
    if targets.is_empty() {
        let message =
            "the name leads into a private network; grant the address itself if that is meant";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    TcpStream::connect(targets.as_slice()).await
}

/// Those of the addresses that a grant may lead to.
fn permitted(grant: &HostPort, resolved: &[SocketAddr]) -> Vec<SocketAddr> {
    // Whoever grants `localhost` means it.
    let is_literal = grant.literal().is_some() || grant.host.eq_ignore_ascii_case("localhost");
    resolved.iter().copied().filter(|address| is_literal || is_public(address.ip())).collect()
}

/// Whether an address is of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let shared = first == 100 && (64..128).contains(&second);
            let reserved = first == 0 || first >= 240;
            let benchmarks = first == 198 && (second == 18 || second == 19);
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address == Ipv4Addr::BROADCAST
                || shared
                || reserved
                || benchmarks)
        }
        // Global unicast without the ranges that carry an IPv4 address inside (6to4, Teredo).
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            (first & 0xe000) == 0x2000 && first != 0x2002 && (first, second) != (0x2001, 0)
        }
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: &AtomicU64,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..length]).await?;
        count.fetch_add(u64::try_from(length).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_not_lead_into_private_networks() {
        let grant = HostPort { host: "db.example.com".into(), port: 443 };
        let private = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
        ];
        for address in private {
            let address = SocketAddr::new(address.parse().unwrap(), 443);
            assert_eq!(permitted(&grant, &[address]), [], "{address}");
        }
        for address in ["93.184.216.34", "2606:2800:220:1::1"] {
            let address = SocketAddr::new(address.parse().unwrap(), 443);
            assert_eq!(permitted(&grant, &[address]), [address]);
        }
    }

    #[test]
    fn a_mixed_answer_keeps_its_public_part_only() {
        let grant = HostPort { host: "rebound.example.com".into(), port: 1 };
        let public: SocketAddr = "93.184.216.34:1".parse().unwrap();
        let private: SocketAddr = "127.0.0.1:1".parse().unwrap();
        assert_eq!(permitted(&grant, &[private, public]), [public]);
    }

    #[test]
    fn an_address_that_was_granted_literally_is_meant() {
        for host in ["127.0.0.1", "10.0.0.5", "localhost"] {
            let address: SocketAddr = "127.0.0.1:5432".parse().unwrap();
            let grant = HostPort { host: host.into(), port: 5432 };
            assert_eq!(permitted(&grant, &[address]), [address]);
        }
    }
}
