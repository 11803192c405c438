//! What a jail is to be, as a value.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::{report::ControlName, verified::FileIdentity};

/// What one program may see, reach and use. Everything that is not said here does not exist for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JailSpec {
    /// Folders of the machine that programs need to run at all, shown read-only where they are.
    /// One that is a link is shown as that link; one that does not exist is left out.
    pub runtime: Vec<PathBuf>,
    /// Other files and folders of the machine.
    pub binds: Vec<Bind>,
    /// Folders of the machine in whose place an empty one is shown, wherever a bind shows them. What
    /// is bound from inside one is shown nevertheless. Without mount namespaces the names of the files
    /// in them can be listed, and nothing more.
    #[serde(default)]
    pub hidden: Vec<PathBuf>,
    /// Files that must be what they were when they were verified: one that was swapped or written
    /// since is an error. The program itself, unless it is a script, is started from the very file
    /// that was compared, so that a swap in the last moment has no effect.
    #[serde(default)]
    pub verified: Vec<FileIdentity>,
    /// The size of its private `/tmp`, in bytes.
    pub tmp_bytes: u64,
    /// How many files its private `/tmp` can hold.
    pub tmp_files: u64,
    /// Files of `/etc` besides those that every jail has: name and content.
    pub etc: Vec<(String, Vec<u8>)>,
    /// What it may connect to.
    pub network: Network,
    /// What it may use.
    pub limits: Limits,
    /// Which system calls it may make.
    pub profile: Profile,
    /// The controls without which it is not safe enough.
    pub required: Vec<ControlName>,
    /// Whether to refuse the program if a required control is not enforced, rather than to say so
    /// in the report.
    pub strict: bool,
    /// Whether ports are enough where the machine cannot hold the list of addresses: the program
    /// may then connect to those ports of any host, and the report says so. Otherwise it is refused.
    #[serde(default)]
    pub ports_will_do: bool,
    /// Whether the operator wants no jail: nothing of the above holds, but for secrets.
    #[serde(default)]
    pub off: bool,
}

impl Default for JailSpec {
    /// The machine's programs and libraries, no network, small limits, strict.
    fn default() -> Self {
        let runtime = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
        let etc = ["/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/etc/ssl/certs"];
        Self {
            runtime: runtime.iter().chain(&etc).map(PathBuf::from).collect(),
            binds: Vec::new(),
            hidden: Vec::new(),
            verified: Vec::new(),
            tmp_bytes: 64 << 20,
            tmp_files: 10_000,
            etc: Vec::new(),
            network: Network::None,
            limits: Limits::default(),
            profile: Profile::Default,
            required: vec![
                ControlName::MountNs,
                ControlName::NetNs,
                ControlName::Root,
                ControlName::NoNewPrivs,
                ControlName::Seccomp,
            ],
            strict: true,
            ports_will_do: false,
            off: false,
        }
    }
}

/// A file or folder of the machine and where the jail shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Its absolute path on the machine. Links in it are followed when the jail is made.
    pub source: PathBuf,
    /// Its absolute path in the jail. Where the machine has no mount namespaces, the jail can only
    /// show it under `source`.
    pub target: PathBuf,
    /// What the program may do with it.
    pub access: Access,
}

/// What a program may do with a part of the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Read and execute.
    ReadOnly,
    /// Write as well, as far as the owner of the files allows the jail's user to.
    ReadWrite,
}

/// What a program may connect to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Nothing but itself.
    None,
    /// These TCP addresses and no other.
    Only(Vec<HostPort>),
}

impl Network {
    /// The addresses that are granted.
    pub fn grants(&self) -> &[HostPort] {
        match self {
            Self::None => &[],
            Self::Only(grants) => grants,
        }
    }
}

/// A TCP address that is granted, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostPort {
    /// A name, or an address that is meant literally.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// The address, if the host is one.
    pub fn literal(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Where the jail listens for it: the address itself if that was granted, an address of the
    /// loopback network that stands for the name otherwise.
    pub(crate) fn address_in_jail(&self, index: usize) -> IpAddr {
        // 127.1.0.1 and up; `JailSpec::problem` holds the number of grants below 2^16.
        let number = u16::try_from(index + 1).unwrap_or(u16::MAX).to_be_bytes();
        self.literal().unwrap_or(IpAddr::V4(Ipv4Addr::new(127, 1, number[0], number[1])))
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.literal() {
            Some(IpAddr::V6(address)) => write!(formatter, "[{address}]:{}", self.port),
            _ => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

/// What a program and everything that it starts may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory in bytes, of all processes together.
    pub memory_bytes: u64,
    /// Swap space beside the memory, in bytes, of all processes together.
    #[serde(default)]
    pub swap_bytes: u64,
    /// Processes and threads.
    pub pids: u32,
    /// Processor time in thousandths of one processor; `None` for all there is.
    pub cpu_milli: Option<u32>,
    /// Open files of each process.
    pub open_files: u32,
    /// The largest file that may be written, in bytes.
    pub file_bytes: u64,
    /// Bytes per second from the disk that holds the writable binds; `None` for no limit.
    pub io_read_bytes_per_second: Option<u64>,
    /// Bytes per second to the disk that holds the writable binds; `None` for no limit.
    pub io_write_bytes_per_second: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            swap_bytes: 0,
            pids: 64,
            cpu_milli: None,
            open_files: 256,
            file_bytes: 512 << 20,
            io_read_bytes_per_second: None,
            io_write_bytes_per_second: None,
        }
    }
}

impl Limits {
    /// Limits for programs that people run themselves anyway: they keep the machine alive and are in
    /// nobody's way. Four fifths of the memory, 4096 processes, files of any size.
    pub fn generous() -> Self {
        let information = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            memory_bytes: total_memory(&information).unwrap_or(4 << 30) / 5 * 4,
            pids: 4_096,
            open_files: 65_536,
            file_bytes: u64::MAX,
            ..Self::default()
        }
    }

    pub(crate) fn limits_io(&self) -> bool {
        self.io_read_bytes_per_second.or(self.io_write_bytes_per_second).is_some()
    }
}

fn total_memory(information: &str) -> Option<u64> {
    let line = information.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1_024)
}

/// A set of system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// What programs in common languages use; nothing that reaches into the kernel or into other
    /// processes.
    Default,
    /// As [`Profile::Default`], without sockets.
    Compute,
    /// Only what common runtimes need; any other call ends the program.
    Strict,
}

/// A secret that a program is given through a descriptor.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Vec<u8>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Tells a program the descriptors of its secrets: `name=descriptor`, separated by commas. Each is a
/// pipe that can be read once, to its end.
pub const SECRETS_VARIABLE: &str = "FLEXCORE_SECRET_FDS";

impl JailSpec {
    /// What is wrong with the value, in a person's words.
    pub fn problem(&self) -> Option<String> {
        let paths = self.binds.iter().flat_map(|bind| [&bind.source, &bind.target]);
        for path in paths.chain(&self.runtime).chain(&self.hidden) {
            let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
            if !path.is_absolute() || climbs {
                return Some(format!("{} is not an absolute path without `..`", path.display()));
            }
        }
        if let Some(bind) = self.binds.iter().find(|bind| bind.target.parent().is_none()) {
            return Some(format!("{} cannot be shown as the root folder", bind.source.display()));
        }
        let plain = |name: &str| {
            !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
        };
        if let Some((name, _)) = self.etc.iter().find(|(name, _)| !plain(name)) {
            return Some(format!("`{name}` is not a file name for /etc"));
        }
        if self.network.grants().len() > 1_000 {
            return Some("more than 1000 network addresses are granted".to_owned());
        }
        self.network.grants().iter().find_map(problem_of_grant)
    }
}

fn problem_of_grant(grant: &HostPort) -> Option<String> {
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let right = match grant.literal() {
        Some(IpAddr::V4(address)) => !address.is_unspecified() && !address.is_multicast(),
        Some(IpAddr::V6(address)) => {
            let is_link_local = address.segments()[0] & 0xffc0 == 0xfe80;
            !address.is_unspecified()
                && !address.is_multicast()
                && !is_link_local
                && address.to_ipv4_mapped().is_none()
        }
        None => !grant.host.is_empty() && grant.host.len() < 254 && grant.host.bytes().all(name),
    };
    (!right || grant.port == 0).then(|| {
        format!(
            "`{grant}` cannot be granted: give a host name or the address of one machine, and a port"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_a_jail_without_network() {
        let spec = JailSpec::default();
        assert_eq!(spec.problem(), None);
        assert!(spec.strict && spec.network.grants().is_empty());
    }

    #[test]
    fn generous_limits_leave_a_part_of_the_memory_to_the_machine() {
        assert_eq!(total_memory("MemTotal:       100 kB\nMemFree: 1 kB\n"), Some(102_400));
        assert_eq!(total_memory(""), None);
        assert!(Limits::generous().memory_bytes > 0);
    }

    #[test]
    fn paths_that_climb_and_names_that_are_paths_are_problems() {
        let bind = |source: &str, target: &str| JailSpec {
            binds: vec![Bind {
                source: source.into(),
                target: target.into(),
                access: Access::ReadOnly,
            }],
            ..JailSpec::default()
        };
        assert!(bind("/a/../etc", "/x").problem().is_some());
        assert!(bind("relative", "/x").problem().is_some());
        assert!(bind("/a", "/").problem().is_some());
        let etc = JailSpec { etc: vec![("../x".into(), vec![])], ..JailSpec::default() };
        assert!(etc.problem().is_some());
    }

    #[test]
    fn hosts_that_would_break_the_hosts_file_are_problems() {
        for host in ["", "a b", "a\nb", "::", "fe80::1", "ff02::1", "::ffff:10.0.0.1", "0.0.0.0"] {
            let grant = HostPort { host: host.into(), port: 1 };
            assert!(problem_of_grant(&grant).is_some(), "{host}");
        }
        let grant = HostPort { host: "db.example.com".into(), port: 5432 };
        assert_eq!(problem_of_grant(&grant), None);
        assert_eq!(grant.address_in_jail(0).to_string(), "127.1.0.1");
        let grant = HostPort { host: "2001:db8::1".into(), port: 443 };
        assert_eq!(problem_of_grant(&grant), None);
        assert_eq!(grant.to_string(), "[2001:db8::1]:443");
    }

    #[test]
    fn a_secret_does_not_show_its_value() {
        let secret = Secret { name: "token".into(), value: b"hunter2".to_vec() };
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert!(!format!("{secret:?}").contains("104"), "the value as bytes");
    }
}
