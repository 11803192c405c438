//! Parts that count for themselves, or that are counted when somebody looks.

use std::sync::{Arc, Weak};

use flexcore_plugin_process::ProcessHost;
use flexcore_ports::metric;
use flexcore_sandbox::Jailer;

/// What is read with the metrics.
pub(crate) struct Watched {
    jailer: Weak<Jailer>,
    processes: Weak<ProcessHost>,
    connections: Box<dyn Fn() -> (usize, usize) + Send + Sync>,
}

impl Watched {
    /// These parts, for as long as somebody else keeps them.
    pub(crate) fn new(
        jailer: &Arc<Jailer>,
        processes: &Arc<ProcessHost>,
        connections: Box<dyn Fn() -> (usize, usize) + Send + Sync>,
    ) -> Self {
        let (jailer, processes) = (Arc::downgrade(jailer), Arc::downgrade(processes));
        Self { jailer, processes, connections }
    }

    /// Puts what they say into the metrics.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus knows doubles only")]
    pub(super) fn read(&self) {
        if let Some(jailer) = self.jailer.upgrade() {
            let counts = jailer.counts();
            for (outcome, count) in [("started", counts.started), ("failed", counts.failed)] {
                let spawns = metric::SANDBOX_SPAWNS.name;
                metrics::counter!(spawns, "outcome" => outcome).absolute(count);
            }
        }
        if let Some(processes) = self.processes.upgrade() {
            let states = ["idle", "busy", "starting"];
            for (state, count) in states.into_iter().zip(processes.census()) {
                let processes = metric::PLUGIN_PROCESSES.name;
                metrics::gauge!(processes, "state" => state).set(count as f64);
            }
        }
        let (busy, idle) = (self.connections)();
        for (state, count) in [("busy", busy), ("idle", idle)] {
            let connections = metric::STORE_CONNECTIONS.name;
            metrics::gauge!(connections, "pool" => "read", "state" => state).set(count as f64);
        }
    }
}
