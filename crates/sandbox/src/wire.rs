//! What the server, the launcher and the attempt's init say to each other.
//!
//! Both sides are always the same binary, so nothing here is versioned or stored. An order is a
//! list of byte strings, each behind its length as a little-endian `u32`: arguments, paths and
//! environment are bytes on Unix, not text. Reports have nine bytes.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use crate::{ExitStatus, Isolation};

/// The first byte of a spawn packet whose order follows in the packet itself.
pub(crate) const ORDER_INLINE: u8 = b'i';
/// The first byte of a spawn packet whose order is in the memory file, its last descriptor.
pub(crate) const ORDER_IN_MEMORY_FILE: u8 = b'm';

/// The same for a program that is to run in a jail, which an init has to be readier for.
pub(crate) const JAIL_INLINE: u8 = b'I';
/// The same.
pub(crate) const JAIL_IN_MEMORY_FILE: u8 = b'M';

/// The first byte of a packet that sets the deadline: the time in nanoseconds of the monotonic clock
/// follows, as a little-endian `u64`.
const DEADLINE: u8 = b'd';

/// When everything that a launcher started must have ended, in the time of the monotonic clock,
/// which all processes of a machine share; `None` for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadline(pub(crate) Option<Duration>);

impl Deadline {
    pub(crate) fn encode(self) -> [u8; 9] {
        let nanos =
            self.0.map_or(u64::MAX, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let mut bytes = [DEADLINE; 9];
        bytes[1..].copy_from_slice(&nanos.to_le_bytes());
        bytes
    }

    /// `None` for a packet that is something else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[DEADLINE], nanos) = bytes.split_first_chunk()? else { return None };
        let nanos = u64::from_le_bytes(nanos.try_into().ok()?);
        Some(Self((nanos != u64::MAX).then(|| Duration::from_nanos(nanos))))
    }

    /// How long it is until then; zero if it has passed.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.map(|time| time.saturating_sub(monotonic_now()))
    }
}

/// The monotonic clock. Unlike [`std::time::Instant`] its value means the same to every process.
pub(crate) fn monotonic_now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    // It counts from the start of the machine: neither part is negative.
    Duration::new(now.tv_sec.cast_unsigned(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) argv: Vec<OsString>,
    pub(crate) cwd: PathBuf,
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// A [`crate::jail::wire::JailOrder`], or nothing for a program outside of any jail.
    pub(crate) jail: Vec<u8>,
}

/// An order that does not follow the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MalformedOrder;

impl Order {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4096);
        put(&mut bytes, self.cwd.as_os_str().as_bytes());
        put_count(&mut bytes, self.argv.len());
        for argument in &self.argv {
            put(&mut bytes, argument.as_bytes());
        }
        put_count(&mut bytes, self.environment.len());
        for (name, value) in &self.environment {
            put(&mut bytes, name.as_bytes());
            put(&mut bytes, value.as_bytes());
        }
        put(&mut bytes, &self.jail);
        bytes
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, MalformedOrder> {
        let bytes = &mut bytes;
        let cwd = PathBuf::from(take(bytes)?);
        let argv = (0..take_count(bytes)?).map(|_| take(bytes)).collect::<Result<_, _>>()?;
        let environment = (0..take_count(bytes)?)
            .map(|_| Ok((take(bytes)?, take(bytes)?)))
            .collect::<Result<_, _>>()?;
        let jail = take(bytes)?.into_vec();
        if bytes.is_empty() {
            Ok(Self { argv, cwd, environment, jail })
        } else {
            Err(MalformedOrder)
        }
    }
}

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("the kernel's limit on arguments is far below 4 GiB");
    bytes.extend_from_slice(&count.to_le_bytes());
}

fn put(bytes: &mut Vec<u8>, string: &[u8]) {
    put_count(bytes, string.len());
    bytes.extend_from_slice(string);
}

fn take_count(bytes: &mut &[u8]) -> Result<usize, MalformedOrder> {
    let (count, rest) = bytes.split_first_chunk().ok_or(MalformedOrder)?;
    *bytes = rest;
    usize::try_from(u32::from_le_bytes(*count)).map_err(|_| MalformedOrder)
}

fn take(bytes: &mut &[u8]) -> Result<OsString, MalformedOrder> {
    let length = take_count(bytes)?;
    let (string, rest) = bytes.split_at_checked(length).ok_or(MalformedOrder)?;
    *bytes = rest;
    Ok(OsString::from_vec(string.to_vec()))
}

/// What the server tells an attempt's init, one byte each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// SIGTERM to the program's process group.
    Terminate,
    /// End the whole tree now.
    Kill,
}

impl Demand {
    pub(crate) const fn encode(self) -> [u8; 1] {
        match self {
            Self::Terminate => *b"t",
            Self::Kill => *b"k",
        }
    }

    pub(crate) const fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes {
            b"t" => Some(Self::Terminate),
            b"k" => Some(Self::Kill),
            _ => None,
        }
    }
}

/// Where a spawn failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The launcher could not make a process for the attempt.
    Launch,
    /// The program could not be started in it.
    Exec,
}

/// What the server is told about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// The program's process exists; it sends this itself, so that the kernel stamps the packet
    /// with its process id.
    Forked,
    /// The program runs.
    Started(Isolation),
    /// It could not be started, with the system's error number.
    Refused(Stage, i32),
    /// How many attempts to reach what was not granted came to nothing; said before the end.
    Denied(u32),
    /// The program ended, and no process of its tree is left.
    Ended(ExitStatus),
}

/// The length of an encoded report.
pub(crate) const REPORT_LENGTH: usize = 9;

impl Report {
    pub(crate) fn encode(self) -> [u8; REPORT_LENGTH] {
        let (tag, detail, number) = match self {
            Self::Forked => (1, 0, 0),
            Self::Started(isolation) => (2, isolation.encode(), 0),
            Self::Refused(Stage::Launch, errno) => (3, 0, errno),
            Self::Refused(Stage::Exec, errno) => (3, 1, errno),
            Self::Ended(ExitStatus::Code(code)) => (4, 0, code),
            Self::Ended(ExitStatus::Signal(signal)) => (4, 1, signal),
            Self::Denied(count) => (5, 0, count.cast_signed()),
        };
        let mut bytes = [0; REPORT_LENGTH];
        bytes[0] = tag;
        bytes[1] = detail;
        bytes[2..6].copy_from_slice(&i32::to_le_bytes(number));
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; REPORT_LENGTH] = bytes.try_into().ok()?;
        let number = i32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
        Some(match (bytes[0], bytes[1]) {
            (1, _) => Self::Forked,
            (2, isolation) => Self::Started(Isolation::decode(isolation)?),
            (3, 0) => Self::Refused(Stage::Launch, number),
            (3, 1) => Self::Refused(Stage::Exec, number),
            (4, 0) => Self::Ended(ExitStatus::Code(number)),
            (4, 1) => Self::Ended(ExitStatus::Signal(number)),
            (5, 0) => Self::Denied(number.cast_unsigned()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn string() -> impl Strategy<Value = OsString> {
        vec(any::<u8>(), 0..40).prop_map(OsString::from_vec)
    }

    proptest! {
        #[test]
        fn an_order_survives_its_encoding(
            argv in vec(string(), 0..8),
            cwd in string(),
            environment in vec((string(), string()), 0..8),
            jail in vec(any::<u8>(), 0..40),
        ) {
            let order = Order { argv, cwd: cwd.into(), environment, jail };
            prop_assert_eq!(Order::decode(&order.encode()), Ok(order));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in vec(any::<u8>(), 0..200)) {
            if let Ok(order) = Order::decode(&bytes) {
                prop_assert_eq!(order.encode(), bytes);
            }
        }

        #[test]
        fn a_deadline_survives_its_encoding(nanos in 0..u64::MAX) {
            for deadline in [Deadline(None), Deadline(Some(Duration::from_nanos(nanos)))] {
                prop_assert_eq!(Deadline::decode(&deadline.encode()), Some(deadline));
            }
            let order = [ORDER_INLINE; 9];
            prop_assert_eq!(Deadline::decode(&order), None);
        }

        #[test]
        fn a_report_survives_its_encoding(number in any::<i32>(), own_proc in any::<bool>()) {
            for report in [
                Report::Forked,
                Report::Started(Isolation::ProcessGroup),
                Report::Started(Isolation::PidNamespace { own_proc }),
                Report::Refused(Stage::Launch, number),
                Report::Refused(Stage::Exec, number),
                Report::Ended(ExitStatus::Code(number)),
                Report::Ended(ExitStatus::Signal(number)),
                Report::Denied(number.cast_unsigned()),
            ] {
                prop_assert_eq!(Report::decode(&report.encode()), Some(report));
            }
        }
    }
}
