//! Looking after plugins that are started, in a process that lives for long.

use std::time::Duration;

use flexcore_domain::plugin::PluginCommand;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::{RequestContext, Services};

/// How often plugins are asked whether they are well.
const EVERY: Duration = Duration::from_secs(5);

impl Services {
    /// Asks every plugin that this process has started and used lately whether it is well, again and
    /// again, until `stop` fires. Only a change of its health is written down.
    pub async fn watch_plugins(&self, context: &RequestContext, stop: &CancellationToken) {
        let Some(lifecycle) = &self.plugins else { return };
        let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            for known in lifecycle.waiting().await {
                let problem = lifecycle.health(&known.plugin).await.err();
                let name = &known.plugin.manifest.name;
                let Ok(found) = self.find_plugin(context, name).await else { continue };
                let problem = problem.map(|error| error.message);
                self.tell(context, &found, PluginCommand::ReportHealth { problem }).await;
            }
        }
    }
}
