//! Leases in the database, by the database's clock.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use flexcore_ports::{
    Coordinator, CoordinatorError, Lease, LeaseAnswer, LeaseHolder, lease_margin,
};
use tokio::sync::Mutex;
use tokio_postgres::{Client, Row, types::ToSql};
use uuid::Uuid;

use crate::{connection::Connector, open_error::reason};

/// Who asks for leases.
#[derive(Debug, Clone)]
pub struct LeaseOwner {
    /// This process: a fresh id for each, never used again.
    pub process: Uuid,
    /// The state folder that it works in, where it holds a lock: a lease that another process of
    /// the same node left behind is free at once.
    pub node: Uuid,
    /// The node for people, for example host and process id.
    pub label: String,
}

/// The authority over leases: a table that only its functions write.
///
/// It has a connection of its own, so that no long query keeps a renewal waiting, and makes another
/// when that one is lost.
#[derive(Debug)]
pub struct PostgresCoordinator {
    connector: Connector,
    owner: LeaseOwner,
    client: Mutex<Option<Client>>,
}

/// Waits that are longer than a lease make no sense; the caller's own deadline is shorter still.
const SETTINGS: [(&str, &str); 3] = [
    ("statement_timeout", "5s"),
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "1s"),
];

impl PostgresCoordinator {
    pub(crate) fn new(connector: &Connector, owner: LeaseOwner) -> Self {
        let connector = connector.with_settings("leases", &SETTINGS);
        Self { connector, owner, client: Mutex::default() }
    }

    /// Asks the database. Whoever stops waiting for the answer takes the connection along: one that
    /// does not answer is not asked again.
    async fn ask(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, CoordinatorError> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.take_if(|client| !client.is_closed()) {
            match client.query_opt(sql, parameters).await {
                // It was closed by the other side while nobody looked.
                Err(error) if error.is_closed() => {}
                answer => {
                    *kept = Some(client);
                    return answer.map_err(|error| self.failed(&error));
                }
            }
        }
        let client = self.connector.connect().await;
        let client = client.map_err(|error| CoordinatorError { reason: error.to_string() })?;
        let answer = client.query_opt(sql, parameters).await;
        *kept = Some(client);
        answer.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &tokio_postgres::Error) -> CoordinatorError {
        CoordinatorError { reason: format!("{}: {}", self.connector.server(), reason(error)) }
    }
}

#[async_trait]
impl Coordinator for PostgresCoordinator {
    async fn acquire(&self, name: &str, ttl: Duration) -> Result<LeaseAnswer, CoordinatorError> {
        let LeaseOwner { process, node, label } = &self.owner;
        let sql = "SELECT granted, token, label, extract(epoch FROM expires_in)::float8 \
                   FROM flexcore.lease_acquire($1, $2, $3, $4, make_interval(secs => $5))";
        let seconds = ttl.as_secs_f64();
        let asked = Instant::now();
        let row = self.ask(sql, &[&name, process, node, label, &seconds]).await?;
        let row = row.ok_or_else(|| CoordinatorError { reason: "no answer".to_owned() })?;
        if row.get(0) {
            return Ok(LeaseAnswer::Granted(Lease {
                name: name.to_owned(),
                token: row.get::<_, i64>(1).cast_unsigned(),
                deadline: asked + ttl.saturating_sub(lease_margin(ttl)),
            }));
        }
        let (label, left): (Option<String>, Option<f64>) = (row.get(2), row.get(3));
        Ok(LeaseAnswer::Held(LeaseHolder {
            node: label.unwrap_or_default(),
            expires_in: seconds_left(left.unwrap_or_default()),
        }))
    }

    async fn release(&self, lease: &Lease) -> Result<(), CoordinatorError> {
        let token = lease.token.cast_signed();
        let sql = "SELECT flexcore.lease_release($1, $2, $3)";
        self.ask(sql, &[&lease.name, &self.owner.process, &token]).await.map(drop)
    }

    async fn holder(&self, name: &str) -> Result<Option<LeaseHolder>, CoordinatorError> {
        let sql = "SELECT label, extract(epoch FROM expires_at - clock_timestamp())::float8 \
                   FROM flexcore.lease WHERE name = $1 AND expires_at > clock_timestamp() \
                   AND (node <> $2 OR owner = $3)";
        let row = self.ask(sql, &[&name, &self.owner.node, &self.owner.process]).await?;
        Ok(row.map(|row| LeaseHolder { node: row.get(0), expires_in: seconds_left(row.get(1)) }))
    }
}

/// Negative where the lease ran out while it was looked at.
fn seconds_left(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()
}
