//! The views: generations of tables, one of them in use.
//!
//! A handle remembers which generation is in use. Every read asks for it again in the same round
//! trip, and is made anew where another one has taken its place; every write holds a shared lock
//! that whoever moves the pointer waits for.

mod columns;
mod data_streams;
mod executions;
mod lists;
mod metrics;
mod moving;
mod notes;
mod pipelines;
mod plugins;
mod projected;
mod query;
mod rebuild;
mod upsert;

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
};

use deadpool_postgres::Object;
use flexcore_ports::StoreError;
use tokio_postgres::{Error, Row, types::ToSql};

use crate::{connection::Pool, error::store_error};
pub use rebuild::PostgresRebuildViews;

/// How often a read is made when views are swapped or a connection is lost meanwhile.
const ATTEMPTS: usize = 4;

/// What stands for the number of a generation in a statement.
const PLACE: &str = "view_#_";

const GENERATION: &str = "SELECT generation FROM flexcore.view_current";

/// A parameter of a statement.
type Parameter = Box<dyn ToSql + Sync + Send>;

/// The views on PostgreSQL. A handle stays good over a rebuild.
#[derive(Debug)]
pub struct PostgresViewStore {
    pool: Pool,
    /// The generation in use, as far as is known; 0: not asked yet.
    generation: AtomicI32,
    /// Whether it is one that is being filled, whatever is in use.
    is_fixed: bool,
    /// The months whose partition is known to be there, with their generation.
    months: Mutex<BTreeSet<(i32, i64)>>,
}

impl PostgresViewStore {
    /// The views in use.
    pub(crate) fn in_use(pool: &Pool) -> Self {
        Self::of(pool, 0, false)
    }

    /// One generation, whatever is in use.
    fn fixed(pool: &Pool, generation: i32) -> Self {
        Self::of(pool, generation, true)
    }

    fn of(pool: &Pool, generation: i32, is_fixed: bool) -> Self {
        let generation = AtomicI32::new(generation);
        Self { pool: pool.clone(), generation, is_fixed, months: Mutex::default() }
    }

    /// The rows of a query; `view_#_` in it stands for the generation in use.
    async fn rows(&self, sql: &str, parameters: &[Parameter]) -> Result<Vec<Row>, StoreError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let client = self.pool.get().await?;
            let answer = self.rows_once(&client, sql, parameters).await;
            match answer {
                Ok(Some(rows)) => return Ok(rows),
                Ok(None) if attempts < ATTEMPTS => {}
                Ok(None) => {
                    let reason = "the views are being replaced again and again".to_owned();
                    return Err(StoreError::Unavailable(reason));
                }
                Err(error) if attempts == ATTEMPTS => return Err(store_error(&error)),
                // The server closed it while it was idle.
                Err(error) if error.is_closed() => {}
                Err(error) => {
                    let known = self.generation.load(Ordering::Relaxed);
                    let present = self.ask_generation(&client).await;
                    if self.is_fixed || present.map_err(|error| store_error(&error))? == known {
                        return Err(store_error(&error));
                    }
                }
            }
        }
    }

    /// `None`: other views took their place meanwhile.
    async fn rows_once(
        &self,
        client: &Object,
        sql: &str,
        parameters: &[Parameter],
    ) -> Result<Option<Vec<Row>>, Error> {
        let generation = self.known_generation(client).await?;
        let statement = client.prepare_cached(&placed(sql, generation)).await?;
        let borrowed = borrow(parameters);
        if self.is_fixed {
            return client.query(&statement, &borrowed).await.map(Some);
        }
        let pointer = client.prepare_cached(GENERATION).await?;
        let (rows, present) =
            tokio::join!(client.query(&statement, &borrowed), client.query_one(&pointer, &[]),);
        let present: i32 = present?.get(0);
        if present != generation {
            self.generation.store(present, Ordering::Relaxed);
            return Ok(None);
        }
        rows.map(Some)
    }

    async fn known_generation(&self, client: &Object) -> Result<i32, Error> {
        match self.generation.load(Ordering::Relaxed) {
            0 => self.ask_generation(client).await,
            known => Ok(known),
        }
    }

    async fn ask_generation(&self, client: &Object) -> Result<i32, Error> {
        if self.is_fixed {
            return Ok(self.generation.load(Ordering::Relaxed));
        }
        let pointer = client.prepare_cached(GENERATION).await?;
        let present = client.query_one(&pointer, &[]).await?.get(0);
        self.generation.store(present, Ordering::Relaxed);
        Ok(present)
    }

    fn months(&self) -> std::sync::MutexGuard<'_, BTreeSet<(i32, i64)>> {
        self.months.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A statement for one generation.
fn placed(sql: &str, generation: i32) -> String {
    sql.replace(PLACE, &format!("view_{generation}_"))
}

fn borrow(parameters: &[Parameter]) -> Vec<&(dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| &**parameter as &(dyn ToSql + Sync)).collect()
}
