//! Time and ids of the real world: the one home of calls that differ between two runs.

use std::time::{SystemTime, UNIX_EPOCH};

use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{Clock, Ids, NoRandomness};
use rustix::rand::{GetRandomFlags, getrandom};
use uuid::Uuid;

/// The system's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is what the Clock port stands for")]
        let now = SystemTime::now();
        let micros = match now.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros)
            }
        };
        Timestamp::from_micros(micros)
    }
}

/// Random, time-ordered ids.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RandomIds;

impl Ids for RandomIds {
    fn next(&self) -> Uuid {
        #[expect(clippy::disallowed_methods, reason = "this is what the Ids port stands for")]
        Uuid::now_v7()
    }

    fn secret(&self) -> Result<[u8; 32], NoRandomness> {
        let mut bytes = [0; 32];
        match getrandom(&mut bytes, GetRandomFlags::empty()) {
            Ok(length) if length == bytes.len() => Ok(bytes),
            _ => Err(NoRandomness),
        }
    }
}
