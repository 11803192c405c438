//! The end of the process, which the host asks for in one of several ways.

use std::time::Duration;

use tokio::sync::watch;

/// How long letting go may take where the host does not say.
const GRACE: Duration = Duration::from_secs(2);

/// Whether the process is about to end.
#[derive(Debug)]
pub(crate) struct Ending(watch::Sender<bool>);

impl Ending {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets go, once, and then has everything end that waits for it.
    pub(crate) async fn begin(
        &self,
        letting_go: impl Future<Output = ()>,
        grace: Option<Duration>,
    ) {
        if *self.0.borrow() {
            return;
        }
        let grace = grace.filter(|grace| !grace.is_zero()).unwrap_or(GRACE);
        // Whoever asked gets an answer either way; the host ends what does not end.
        let _ = tokio::time::timeout(grace, letting_go).await;
        self.0.send_replace(true);
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) {
        // The sender is ours, so it cannot have gone away.
        let _ = self.0.subscribe().wait_for(|ends| *ends).await;
    }
}
