//! What leases mean for the processes of this machine.

use std::time::Instant;

use async_trait::async_trait;
use flexcore_ports::AttemptDeadline;
use flexcore_sandbox::Launcher;

/// The launcher as the watch over a lease: it runs on when this process is stopped.
#[derive(Debug)]
pub(crate) struct LauncherDeadline(pub(crate) Launcher);

#[async_trait]
impl AttemptDeadline for LauncherDeadline {
    async fn set(&self, deadline: Option<Instant>) {
        self.0.end_all_at(deadline).await;
    }
}
