//! The passing of time, which tests decide.

use std::time::Duration;

/// Time since something began.
#[cfg(not(test))]
#[derive(Debug)]
pub(super) struct Time(tokio::time::Instant);

#[cfg(not(test))]
impl Time {
    pub(super) fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(super) fn now(&self) -> Duration {
        self.0.elapsed()
    }

    pub(super) async fn wait(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Time that passes only for those who wait.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Time(std::sync::Mutex<Duration>);

#[cfg(test)]
impl Time {
    pub(super) fn start() -> Self {
        Self::default()
    }

    pub(super) fn now(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    pub(super) async fn wait(&self, duration: Duration) {
        *self.0.lock().unwrap() += duration;
        tokio::task::yield_now().await;
    }
}
