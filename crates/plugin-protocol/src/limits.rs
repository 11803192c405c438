//! How much a plugin may use.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::units::{ByteSize, MilliCpu, TimeSpan};

/// What a limit is about. Its text is the key in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitName {
    /// Memory of all processes together, in bytes.
    Memory,
    /// Swap of all processes together, in bytes.
    Swap,
    /// Processors, in thousandths of one.
    Cpu,
    /// Processes and threads together.
    Pids,
    /// Open files of each process.
    Nofile,
    /// Space in the private folder, in bytes.
    Disk,
    /// Files and folders in the private folder.
    Inodes,
    /// What is read from disks, in bytes a second.
    IoReadBps,
    /// What is written to disks, in bytes a second.
    IoWriteBps,
    /// All that it may hand over in one execution, in bytes.
    OutputBytes,
    /// The largest single message or line, in bytes.
    MaxFrame,
    /// Until it is ready for its first call, in milliseconds.
    Start,
    /// Until a call has its answer, in milliseconds.
    Execute,
    /// Until it must have moved something during a call, in milliseconds.
    Idle,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Milliseconds,
    Thousandths,
    Number,
}

impl LimitName {
    /// All of them, in the order of files.
    pub const ALL: [Self; 14] = [
        Self::Memory,
        Self::Swap,
        Self::Cpu,
        Self::Pids,
        Self::Nofile,
        Self::Disk,
        Self::Inodes,
        Self::IoReadBps,
        Self::IoWriteBps,
        Self::OutputBytes,
        Self::MaxFrame,
        Self::Start,
        Self::Execute,
        Self::Idle,
    ];

    /// The limit with a key.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.key() == key)
    }

    /// The key in manifests, grants and pipeline files.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Swap => "swap",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
            Self::Nofile => "nofile",
            Self::Disk => "disk",
            Self::Inodes => "inodes",
            Self::IoReadBps => "io_read_bps",
            Self::IoWriteBps => "io_write_bps",
            Self::OutputBytes => "output_bytes",
            Self::MaxFrame => "max_frame",
            Self::Start => "start",
            Self::Execute => "execute",
            Self::Idle => "idle",
        }
    }

    const fn unit(self) -> Unit {
        match self {
            Self::Cpu => Unit::Thousandths,
            Self::Pids | Self::Nofile | Self::Inodes => Unit::Number,
            Self::Start | Self::Execute | Self::Idle => Unit::Milliseconds,
            _ => Unit::Bytes,
        }
    }

    /// A value of this limit as files write it, quotes included.
    pub fn show(self, value: u64) -> String {
        match self.unit() {
            Unit::Bytes => format!("\"{}\"", ByteSize(value)),
            Unit::Milliseconds => format!("\"{}\"", TimeSpan::from_millis(value)),
            Unit::Thousandths => MilliCpu::show(value),
            Unit::Number => value.to_string(),
        }
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.key())
    }
}

/// How much a plugin may use; what is not there is not limited here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Limits(BTreeMap<LimitName, u64>);

impl Limits {
    /// The value of a limit, in the unit that its name says.
    pub fn get(&self, name: LimitName) -> Option<u64> {
        self.0.get(&name).copied()
    }

    /// The value of a limit that counts time.
    pub fn duration(&self, name: LimitName) -> Option<Duration> {
        let counts_time = name.unit() == Unit::Milliseconds;
        self.get(name).filter(|_| counts_time).map(Duration::from_millis)
    }

    /// Each limit that is there, in the order of files.
    pub fn iter(&self) -> impl Iterator<Item = (LimitName, u64)> + '_ {
        self.0.iter().map(|(name, value)| (*name, *value))
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smaller of both, limit by limit.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.merged(other, u64::min)
    }

    /// The larger of both, limit by limit: two grants for the same plugin.
    #[must_use]
    pub(crate) fn larger(&self, other: &Self) -> Self {
        self.merged(other, u64::max)
    }

    /// These, and the other's where these say nothing.
    #[must_use]
    pub fn or(&self, others: &Self) -> Self {
        self.merged(others, |own, _| own)
    }

    fn merged(&self, other: &Self, choose: impl Fn(u64, u64) -> u64) -> Self {
        let mut merged = self.0.clone();
        for (name, value) in &other.0 {
            merged.entry(*name).and_modify(|own| *own = choose(*own, *value)).or_insert(*value);
        }
        Self(merged)
    }
}

impl FromIterator<(LimitName, u64)> for Limits {
    fn from_iter<I: IntoIterator<Item = (LimitName, u64)>>(limits: I) -> Self {
        Self(limits.into_iter().collect())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn any_limits() -> impl Strategy<Value = Limits> {
        let name = proptest::sample::select(LimitName::ALL.to_vec());
        proptest::collection::vec((name, 1..5_u64), 0..6)
            .prop_map(|limits| limits.into_iter().collect())
    }

    #[test]
    fn a_limit_is_shown_as_files_write_it() {
        assert_eq!(LimitName::Memory.show(256 << 20), "\"256MiB\"");
        assert_eq!(LimitName::Execute.show(600_000), "\"10m\"");
        assert_eq!(LimitName::Cpu.show(500), "0.5");
        assert_eq!(LimitName::Pids.show(64), "64");
    }

    proptest! {
        #[test]
        fn an_intersection_is_no_larger_than_either(one in any_limits(), two in any_limits()) {
            let both = one.intersection(&two);
            for (name, value) in one.iter().chain(two.iter()) {
                prop_assert!(both.get(name).is_some_and(|least| least <= value));
            }
        }
    }
}
