//! A clock that tests set.

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use flexcore_eventsourcing::Timestamp;
use flexcore_ports::Clock;

/// A clock that stands still until it is set.
#[derive(Debug, Default)]
pub struct ManualClock {
    micros: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `micros` since the Unix epoch.
    pub fn at(micros: i64) -> Self {
        Self { micros: AtomicI64::new(micros) }
    }

    /// Sets it, also backwards.
    pub fn set(&self, micros: i64) {
        self.micros.store(micros, Ordering::SeqCst);
    }
}

/// The clock of a store under test, wherever the store has it from.
#[async_trait]
pub trait SetTime: Send + Sync {
    /// Sets it to microseconds since the Unix epoch, also backwards.
    async fn set_time(&self, micros: i64);
}

#[async_trait]
impl SetTime for ManualClock {
    async fn set_time(&self, micros: i64) {
        self.set(micros);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }
}
