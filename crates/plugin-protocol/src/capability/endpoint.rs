//! `tcp://host:port` and `https://host:port`: one host, one port, no wildcards.
//!
//! The host has to be exact because the jail gives each granted address a listener of its own;
//! there is no listener for a pattern.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What goes over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Anything.
    Tcp,
    /// TLS.
    Https,
}

impl Transport {
    const fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Https => "https",
        }
    }
}

/// A host: a name in lower case, or an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A DNS name, lower case.
    Name(String),
    /// An IP address; IPv4 in IPv6 is IPv4.
    Address(IpAddr),
}

/// A place to connect to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// What may go over the connection.
    pub transport: Transport,
    /// The host.
    pub host: Host,
    /// The port, never 0.
    pub port: u16,
}

/// Why a text is no endpoint. The text itself is left out, because it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// Neither `tcp://` nor `https://`.
    #[error("an address begins with `tcp://` or `https://`")]
    Scheme,
    /// `user:password@`.
    #[error("an address has no user and no password")]
    Credentials,
    /// Something follows the port.
    #[error("an address ends with its port; it has no path and no query")]
    Path,
    /// No `:port`.
    #[error("an address needs its port, as in `tcp://db.example.com:5432`")]
    NoPort,
    /// The port is no number from 1 to 65535.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// `*` or `?`.
    #[error("an address names one host; there are no wildcards")]
    Wildcard,
    /// Not a name that DNS could have.
    #[error(
        "a host is a DNS name such as `db.example.com`, an IPv4 address or an IPv6 address in `[]`"
    )]
    Host,
    /// `0.0.0.0`, `::` or a multicast address.
    #[error("a connection goes to one machine; this address means none or many")]
    Unspecified,
}

impl InvalidEndpoint {
    /// What to do about it, where the message does not say it all.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::Credentials => Some("name a secret in `secrets` instead"),
            Self::Wildcard => Some("list each host; every one gets a listener of its own"),
            Self::Path => Some("paths are not filtered; leave the path out"),
            _ => None,
        }
    }
}

impl Endpoint {
    /// Reads `tcp://host:port` or `https://host:port`. Host names become lower case.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        // First of all, so that no later message or shown line can repeat a password.
        if text.contains('@') {
            return Err(InvalidEndpoint::Credentials);
        }
        let (scheme, rest) = text.split_once("://").ok_or(InvalidEndpoint::Scheme)?;
        let transport = match scheme {
            "tcp" => Transport::Tcp,
            "https" => Transport::Https,
            _ => return Err(InvalidEndpoint::Scheme),
        };
        if rest.contains(['*', '?']) && !rest.contains('/') {
            return Err(InvalidEndpoint::Wildcard);
        }
        if rest.contains(['/', '?', '#']) {
            return Err(InvalidEndpoint::Path);
        }
        let (host, port) = split_port(rest)?;
        Ok(Self { transport, host: Host::parse(host)?, port: parse_port(port)? })
    }

    /// The largest endpoint that both cover: the same host and port, and TLS if either is TLS.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let same = self.host == other.host && self.port == other.port;
        let transport = self.transport.max(other.transport);
        same.then(|| Self { transport, ..self.clone() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}:{}", self.transport.scheme(), self.host, self.port)
    }
}

impl Host {
    /// Reads a DNS name, an IPv4 address, or an IPv6 address in `[]`.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr = inner.parse().map_err(|_| InvalidEndpoint::Host)?;
            return Self::address(IpAddr::V6(address).to_canonical());
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Self::address(IpAddr::V4(address));
        }
        let name = text.to_ascii_lowercase();
        let last = name.rsplit('.').next().unwrap_or_default();
        // Resolvers read `127.1`, `0x7f.1` and `2130706433` as addresses in disguise.
        let numeric = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
        let legal = !name.is_empty() && name.len() <= 253 && name.split('.').all(is_label);
        if legal && !numeric { Ok(Self::Name(name)) } else { Err(InvalidEndpoint::Host) }
    }

    /// Whether it can only be the machine itself.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Address(address) => address.is_loopback(),
        }
    }

    fn address(address: IpAddr) -> Result<Self, InvalidEndpoint> {
        if address.is_unspecified() || address.is_multicast() {
            return Err(InvalidEndpoint::Unspecified);
        }
        Ok(Self::Address(address))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(formatter),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

fn split_port(text: &str) -> Result<(&str, &str), InvalidEndpoint> {
    let bracket = text.rfind(']').map_or(0, |at| at + 1);
    match text[bracket..].rfind(':') {
        Some(colon) => Ok((&text[..bracket + colon], &text[bracket + colon + 1..])),
        None => Err(InvalidEndpoint::NoPort),
    }
}

fn parse_port(text: &str) -> Result<u16, InvalidEndpoint> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let port = if canonical { text.parse().ok() } else { None };
    port.ok_or(InvalidEndpoint::Port)
}

fn is_label(label: &str) -> bool {
    let legal =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (1..=63).contains(&label.len())
        && label.bytes().all(legal)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts_become_lower_case_and_addresses_canonical() {
        for (text, shown) in [
            ("tcp://DB.Example.com:5432", "tcp://db.example.com:5432"),
            ("https://10.0.0.1:443", "https://10.0.0.1:443"),
            ("tcp://[2001:DB8::1]:1", "tcp://[2001:db8::1]:1"),
            ("tcp://[::ffff:10.0.0.1]:1", "tcp://10.0.0.1:1"),
            ("tcp://my_service:65535", "tcp://my_service:65535"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn each_mistake_has_its_name() {
        use InvalidEndpoint as Wrong;
        for (text, wrong) in [
            ("db:5432", Wrong::Scheme),
            ("http://db:80", Wrong::Scheme),
            ("TCP://db:80", Wrong::Scheme),
            ("tcp://u:p@db:80", Wrong::Credentials),
            ("u:p@db", Wrong::Credentials),
            ("tcp://db", Wrong::NoPort),
            ("tcp://[::1]", Wrong::NoPort),
            ("tcp://db:", Wrong::Port),
            ("tcp://db:0", Wrong::Port),
            ("tcp://db:+80", Wrong::Port),
            ("tcp://db:080", Wrong::Port),
            ("tcp://db:65536", Wrong::Port),
            ("tcp://*.example.com:80", Wrong::Wildcard),
            ("https://db:443/path", Wrong::Path),
            ("https://db:443#x", Wrong::Path),
            ("tcp://:80", Wrong::Host),
            ("tcp://db.:80", Wrong::Host),
            ("tcp://-db:80", Wrong::Host),
            ("tcp://127.1:80", Wrong::Host),
            ("tcp://0x7f000001:80", Wrong::Host),
            ("tcp://2130706433:80", Wrong::Host),
            ("tcp://dä:80", Wrong::Host),
            ("tcp://::1:80", Wrong::Host),
            ("tcp://0.0.0.0:80", Wrong::Unspecified),
            ("tcp://[::]:80", Wrong::Unspecified),
            ("tcp://224.0.0.1:80", Wrong::Unspecified),
        ] {
            assert_eq!(Endpoint::parse(text), Err(wrong), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_shown_and_read_again(text in "(tcp|https)://[A-Za-z0-9.:\\[\\]_-]{0,24}:[0-9]{1,5}|\\PC{0,40}") {
            if let Ok(endpoint) = Endpoint::parse(&text) {
                prop_assert_eq!(Endpoint::parse(&endpoint.to_string()), Ok(endpoint));
            }
        }
    }
}
