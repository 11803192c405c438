//! Group `views`: every list and every single row of the views, with a million executions of a year
//! in them, on both stores.
//!
//! Views are filled as projections fill them, but without a log: no query of a view reads it. Each
//! query is asked again and again for other rows; what counts is the slowest query of all, which
//! the row names, by the median and by its slowest answer.

mod fill;
mod queries;

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::Context;
use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{Clock, ViewStore};
use flexcore_store_postgres::{PostgresOptions, PostgresStore, Role};
use flexcore_store_sqlite::{OpenMode, SqliteStore};
use flexcore_testkit::postgres::Server;

use crate::{
    measure::{Measure, Reach},
    sample::median,
};
use queries::{QUERIES, Query};

/// How often each query is asked.
const ROUNDS: usize = 41;

/// What no query may take, in milliseconds.
const LIMIT: f64 = 50.0;

/// The log is not written, so nobody looks.
struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }
}

/// Runs the group.
pub(crate) fn run(work: &Path) -> anyhow::Result<Vec<Measure>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut measures = Vec::new();
    runtime.block_on(async {
        let mode = OpenMode::Writer { purpose: "a benchmark".to_owned() };
        let store = SqliteStore::open(&work.join("sqlite"), mode, Arc::new(NoClock))?;
        fill::fill(&*store.views()).await.context("filling")?;
        measures.extend(measure("SQLite", &*store.views()).await?);
        store.close().await?;
        let server = Server::start().await.context("the server")?;
        let url = server.database().await?;
        let store = PostgresStore::open(PostgresOptions::new(&url, Role::Writer)).await?;
        fill::fill(&*store.views()).await.context("filling")?;
        // The server does it by itself within a minute; measuring begins now.
        server.sql(&url, "VACUUM ANALYZE").await?;
        measures.extend(measure("PostgreSQL", &*store.views()).await?);
        store.close().await?;
        anyhow::Ok(())
    })?;
    Ok(measures)
}

/// The slowest query by its median, the slowest answer of any, and what projections read.
async fn measure(store: &str, views: &dyn ViewStore) -> anyhow::Result<[Measure; 3]> {
    let (mut slowest, mut longest) = (("", 0.0), ("", 0.0));
    for query in QUERIES {
        let times = times(query, views).await.context(query.name())?;
        let worst = times.iter().copied().fold(0.0, f64::max);
        if worst > longest.1 {
            longest = (query.name(), worst);
        }
        let middle = median(times);
        if middle > slowest.1 {
            slowest = (query.name(), middle);
        }
    }
    let load = median(times(Query::Load, views).await?);
    let row = |what: &str, (query, value): (&str, f64)| Measure {
        name: format!("{store}: {what} ({query})"),
        value,
        unit: "ms",
        against: None,
        reach: Reach::Below(LIMIT),
    };
    Ok([
        row("slowest query", slowest),
        row("slowest answer", longest),
        row("read by a projection", (Query::Load.name(), load)),
    ])
}

/// How long the answers took, in milliseconds.
async fn times(query: Query, views: &dyn ViewStore) -> anyhow::Result<Vec<f64>> {
    // The first one makes statements and plans, and brings pages into memory.
    query.ask(views, 0).await?;
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 1..=ROUNDS {
        let begun = Instant::now();
        query.ask(views, round).await?;
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(times)
}
