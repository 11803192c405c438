//! What is counted of calls of plugins.

use std::time::Instant;

use flexcore_ports::{PluginError, metric};

use super::error;

/// A call that is under way.
pub(super) struct Call {
    kind: &'static str,
    begun: Instant,
}

impl Call {
    pub(super) fn begin(kind: &'static str) -> Self {
        metrics::gauge!(metric::PLUGIN_CALLS_RUNNING.name).increment(1.0);
        Self { kind, begun: Instant::now() }
    }

    /// It ended, with an error or without.
    pub(super) fn ended(self, error: Option<&PluginError>) {
        let outcome = match error {
            None => "completed",
            Some(error) if error.cancelled => "cancelled",
            Some(error) if error.code == error::CIRCUIT_OPEN => "refused",
            Some(_) => "failed",
        };
        let labels = [("kind", self.kind), ("outcome", outcome)];
        metrics::counter!(metric::PLUGIN_CALLS.name, &labels).increment(1);
        let elapsed = self.begun.elapsed();
        metrics::histogram!(metric::PLUGIN_CALL_SECONDS.name, "kind" => self.kind).record(elapsed);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        metrics::gauge!(metric::PLUGIN_CALLS_RUNNING.name).decrement(1.0);
    }
}
