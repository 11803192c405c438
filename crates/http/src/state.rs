//! What every route is given.

use std::sync::Arc;

use flexcore_app::{CommandBus, LogSubscriptions, QueryBus};
use flexcore_ports::{EventStore, Ids, Logs};
use tokio_util::sync::CancellationToken;

use crate::{Authenticate, HealthChecks, Hosts, Observation, RequestOptions};

/// What the interface stands on.
#[derive(Clone)]
pub struct Api {
    /// Takes commands.
    pub commands: CommandBus,
    /// Takes queries.
    pub queries: QueryBus,
    /// The log, for live streams that begin in the past.
    pub events: Arc<dyn EventStore>,
    /// The log as it grows.
    pub log: LogSubscriptions,
    /// What attempts print.
    pub logs: Arc<dyn Logs>,
    /// Gives requests their ids.
    pub ids: Arc<dyn Ids>,
    /// How requests are treated.
    pub options: RequestOptions,
    /// Knows who asks.
    pub access: Arc<dyn Authenticate>,
    /// The names under which the server may be reached.
    pub hosts: Hosts,
    /// How the process is.
    pub health: Arc<dyn HealthChecks>,
    /// How requests are observed.
    pub observed: Observation,
    /// Fires when the server is to end: live streams end then, requests may finish.
    pub ending: CancellationToken,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Api").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}
