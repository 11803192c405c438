//! Partitions of `event`, created before they are needed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio_postgres::Client;

use super::read::bound;
use crate::connection::Pool;

/// How far partitions reach, and who extends them.
#[derive(Debug, Clone)]
pub(crate) struct Partitions {
    pool: Pool,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The position from which on more partitions are due.
    due_at: AtomicU64,
    is_running: AtomicBool,
}

impl Partitions {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool, state: Arc::default() }
    }

    /// Creates what is due, now, and what so many events need.
    pub(crate) async fn ensure(
        &self,
        client: &Client,
        events: usize,
    ) -> Result<(), tokio_postgres::Error> {
        let sql = "SELECT covered, size FROM flexcore.ensure_partitions($1)";
        let row = client.query_one(sql, &[&bound(events as u64)]).await?;
        let (covered, size): (i64, i64) = (row.get(0), row.get(1));
        self.state.due_at.store((covered - size / 2).unsigned_abs(), Ordering::Relaxed);
        Ok(())
    }

    /// The log has reached `position`: creates what is due, in the background.
    pub(crate) fn reached(&self, position: u64) {
        if position < self.state.due_at.load(Ordering::Relaxed)
            || self.state.is_running.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            let result = match this.pool.get().await {
                Ok(client) => this.ensure(&client, 0).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            this.state.is_running.store(false, Ordering::Relaxed);
            if let Err(error) = result {
                // The append that finds no partition creates it.
                tracing::warn!(error, "partitions of the event log could not be created ahead");
            }
        });
    }
}
