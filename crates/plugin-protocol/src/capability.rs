//! What a plugin may reach: single capabilities, sets of them, and how sets meet.
//!
//! One capability *covers* another when whoever has the first may do all that the second allows:
//! a folder covers what lies below it, writing covers reading, and `tcp` covers `https` at the
//! same host and port. The *meet* of two is the largest that both cover. A set holds no capability
//! that another of its members covers, so equal rights are equal sets.

mod endpoint;
mod name;
mod path;

use std::{collections::BTreeSet, fmt};

pub use endpoint::{Endpoint, Host, InvalidEndpoint, Transport};
pub use name::{InvalidName, SecretName, VariableName};
pub use path::{CapabilityPath, InvalidPath};

/// One thing that a plugin may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Connect to one host and port.
    Network(Endpoint),
    /// Read a file, or everything below a folder.
    FsRead(CapabilityPath),
    /// Read and write a file, or everything below a folder.
    FsWrite(CapabilityPath),
    /// See one environment variable of the host.
    Env(VariableName),
    /// Get the value of one secret.
    Secret(SecretName),
    /// Start other programs.
    Exec,
    /// Read the time of day, where a kind of plugin can be kept from it.
    Clock,
    /// Use the graphics processor.
    Gpu,
}

/// What a capability is about. Its text is the key in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapabilityKind {
    /// Connections.
    Network,
    /// Reading files.
    FsRead,
    /// Writing files.
    FsWrite,
    /// Environment variables of the host.
    Env,
    /// Secrets.
    Secrets,
    /// Starting programs.
    Exec,
    /// The time of day.
    Clock,
    /// The graphics processor.
    Gpu,
}

/// Why something is no capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCapability {
    /// No address.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// No path.
    #[error(transparent)]
    Path(#[from] InvalidPath),
    /// No name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A target where none belongs, or none where one does.
    #[error("`{}` is either there or not, and all others name what they open", .0.key())]
    Target(CapabilityKind),
}

impl InvalidCapability {
    /// What to do about it, where the message does not say it all.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::Endpoint(error) => error.hint(),
            Self::Path(_) | Self::Name(_) | Self::Target(_) => None,
        }
    }
}

impl CapabilityKind {
    /// The kind with a key.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.key() == key)
    }

    /// All of them, in the order of files.
    pub const ALL: [Self; 8] = [
        Self::Network,
        Self::FsRead,
        Self::FsWrite,
        Self::Env,
        Self::Secrets,
        Self::Exec,
        Self::Clock,
        Self::Gpu,
    ];

    /// The key in manifests, grants and pipeline files.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::FsRead => "fs_read",
            Self::FsWrite => "fs_write",
            Self::Env => "env",
            Self::Secrets => "secrets",
            Self::Exec => "exec",
            Self::Clock => "clock",
            Self::Gpu => "gpu",
        }
    }
}

impl Capability {
    /// A capability from its kind and what exactly it opens, as [`target`](Self::target) gives it.
    ///
    /// # Errors
    ///
    /// What is wrong with the target.
    pub fn from_parts(
        kind: CapabilityKind,
        target: Option<&str>,
    ) -> Result<Self, InvalidCapability> {
        match (kind, target) {
            (CapabilityKind::Network, Some(text)) => Ok(Self::Network(Endpoint::parse(text)?)),
            (CapabilityKind::FsRead, Some(text)) => Ok(Self::FsRead(CapabilityPath::parse(text)?)),
            (CapabilityKind::FsWrite, Some(text)) => {
                Ok(Self::FsWrite(CapabilityPath::parse(text)?))
            }
            (CapabilityKind::Env, Some(text)) => Ok(Self::Env(VariableName::parse(text)?)),
            (CapabilityKind::Secrets, Some(text)) => Ok(Self::Secret(SecretName::parse(text)?)),
            (CapabilityKind::Exec, None) => Ok(Self::Exec),
            (CapabilityKind::Clock, None) => Ok(Self::Clock),
            (CapabilityKind::Gpu, None) => Ok(Self::Gpu),
            (kind, _) => Err(InvalidCapability::Target(kind)),
        }
    }

    /// What it is about.
    pub const fn kind(&self) -> CapabilityKind {
        match self {
            Self::Network(_) => CapabilityKind::Network,
            Self::FsRead(_) => CapabilityKind::FsRead,
            Self::FsWrite(_) => CapabilityKind::FsWrite,
            Self::Env(_) => CapabilityKind::Env,
            Self::Secret(_) => CapabilityKind::Secrets,
            Self::Exec => CapabilityKind::Exec,
            Self::Clock => CapabilityKind::Clock,
            Self::Gpu => CapabilityKind::Gpu,
        }
    }

    /// What exactly it opens, as files write it; none for those that are only there or not.
    pub fn target(&self) -> Option<String> {
        match self {
            Self::Network(endpoint) => Some(endpoint.to_string()),
            Self::FsRead(path) | Self::FsWrite(path) => Some(path.to_string()),
            Self::Env(name) => Some(name.to_string()),
            Self::Secret(name) => Some(name.to_string()),
            Self::Exec | Self::Clock | Self::Gpu => None,
        }
    }

    /// Whether whoever has this may do all that the other allows.
    pub fn covers(&self, other: &Self) -> bool {
        self.meet(other).as_ref() == Some(other)
    }

    /// The largest capability that both cover.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Network(one), Self::Network(two)) => one.meet(two).map(Self::Network),
            (Self::FsWrite(one), Self::FsWrite(two)) => one.meet(two).map(Self::FsWrite),
            (Self::FsRead(one) | Self::FsWrite(one), Self::FsRead(two) | Self::FsWrite(two)) => {
                one.meet(two).map(Self::FsRead)
            }
            (one, two) => (one == two).then(|| one.clone()),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind().key())?;
        self.target().map_or(Ok(()), |target| write!(formatter, " {target}"))
    }
}

/// What a plugin may do, all together. Without members: nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Capabilities(BTreeSet<Capability>);

impl Capabilities {
    /// What needs nobody's grant, because it is private to one plugin: its scratch folder.
    pub fn free() -> Self {
        [Capability::FsWrite(CapabilityPath::Scratch)].into_iter().collect()
    }

    /// Each capability that no other of them covers, in the order of files.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them covers a capability.
    pub fn cover(&self, capability: &Capability) -> bool {
        self.0.iter().any(|own| own.covers(capability))
    }

    /// Whether they cover every one of the others.
    pub fn cover_all(&self, others: &Self) -> bool {
        others.iter().all(|other| self.cover(other))
    }

    /// All that both allow.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.0.iter().flat_map(|one| other.0.iter().filter_map(|two| one.meet(two))).collect()
    }

    /// All that either allows.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).cloned().collect()
    }

    /// The same with paths relative to the project as paths of the machine.
    ///
    /// # Errors
    ///
    /// If the project's folder is nothing that may be granted, such as `/`.
    pub fn in_project(&self, root: &str) -> Result<Self, InvalidPath> {
        let placed = self.0.iter().cloned().map(|capability| match capability {
            Capability::FsRead(path) => path.in_project(root).map(Capability::FsRead),
            Capability::FsWrite(path) => path.in_project(root).map(Capability::FsWrite),
            other => Ok(other),
        });
        placed.collect()
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        let all: BTreeSet<Capability> = capabilities.into_iter().collect();
        let is_covered =
            |one: &Capability| all.iter().any(|other| other != one && other.covers(one));
        Self(all.iter().filter(|one| !is_covered(one)).cloned().collect())
    }
}

#[cfg(test)]
pub(crate) mod tests;
