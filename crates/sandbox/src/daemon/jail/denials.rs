//! Counting what a program tried to reach and did not: the kernel counts, for each network, what it
//! had no route for, and a jail's network has routes to nothing but itself.

use std::{fs::File, os::unix::fs::FileExt as _};

/// The counters of the network that the opening process is in.
#[derive(Debug)]
pub(in crate::daemon) struct Denials {
    v4: File,
    /// `None` where the kernel has no IPv6.
    v6: Option<File>,
}

impl Denials {
    /// `None` if the kernel does not show its counters.
    pub(super) fn open() -> Option<Self> {
        let v4 = File::open("/proc/self/net/snmp").ok()?;
        Some(Self { v4, v6: File::open("/proc/self/net/snmp6").ok() })
    }

    /// How many connections and packets had nowhere to go.
    pub(in crate::daemon) fn count(&self) -> u64 {
        let v6 = self.v6.as_ref().map(read);
        no_routes_v4(&read(&self.v4)) + v6.map_or(0, |text| no_routes_v6(&text))
    }
}

fn read(file: &File) -> String {
    let mut bytes = vec![0; 16 * 1024];
    let length = file.read_at(&mut bytes, 0).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// The names of the counters are in one line, their values in the next.
fn no_routes_v4(text: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Ip: "));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut both = names.split(' ').zip(values.split(' '));
    let value = both.find_map(|(name, value)| (name == "OutNoRoutes").then_some(value));
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn no_routes_v6(text: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix("Ip6OutNoRoutes"));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_are_found_by_their_names() {
        let v4 = "Ip: Forwarding OutNoRoutes Other\nIp: 1 7 3\nTcp: OutNoRoutes\nTcp: 9\n";
        assert_eq!(no_routes_v4(v4), 7);
        assert_eq!(no_routes_v6("Ip6InReceives 1\nIp6OutNoRoutes    \t4\n"), 4);
        assert_eq!((no_routes_v4(""), no_routes_v6("")), (0, 0));
        assert!(Denials::open().is_some());
    }
}
