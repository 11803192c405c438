//! How long it takes until an append is seen in the views.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use flexcore_app::{Projector, Start, Tailer, TailerOptions};
use flexcore_eventsourcing::{Append, StreamName};
use flexcore_ports::{EventStore, ProjectedRows, ViewStore};
use flexcore_store_postgres::PostgresStore;
use tokio::{task::JoinSet, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::log_sqlite::workload::{TYPE, context, event, stream_name};

/// How many callers make the load.
const CALLERS: u32 = 32;
/// How many appends are watched on their way.
const PROBES: u64 = 300;
/// How long the views are looked at again after an append that they did not hold yet.
const LOOK: Duration = Duration::from_micros(500);

/// Milliseconds from asking for an append to finding that every projection has folded it in, while
/// other callers append `rate` events a second.
pub(crate) async fn latencies(store: &PostgresStore, rate: f64) -> anyhow::Result<Vec<f64>> {
    let (events, views) = (store.events(), store.views());
    let end = CancellationToken::new();
    let (tailer, log) = Tailer::new(events.clone(), TailerOptions::default()).await?;
    let projector = Projector::new(events.clone(), views.clone() as Arc<dyn ViewStore>);
    projector.catch_up().await?;
    let subscription = log.subscribe(Start::Now).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn({
        let end = end.clone();
        async move { tailer.run(end).await.context("the tailer") }
    });
    tasks.spawn(async move { projector.follow(subscription).await.context("the views") });
    for caller in 0..CALLERS {
        let every = Duration::from_secs(1).mul_f64(f64::from(CALLERS) / rate);
        tasks.spawn(load(events.clone(), stream_name(caller as usize)?, every, end.clone()));
    }
    let mut latencies = Vec::new();
    let (type_name, context, stream) = (TYPE.into(), context(), stream_name(CALLERS as usize)?);
    let from = version_of(&*events, &stream).await?;
    for number in 0..PROBES {
        let since = Instant::now();
        let event = event(u64::MAX / 2 + number, &type_name, &context);
        let append = Append::to(stream.clone(), from + number, vec![event]);
        let position = events.append(append).await?.last_position;
        while !holds(&*views, position).await? {
            tokio::time::sleep(LOOK).await;
        }
        latencies.push(since.elapsed().as_secs_f64() * 1e3);
    }
    end.cancel();
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(latencies)
}

/// The value below which 99 of 100 are.
pub(crate) fn percentile_99(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}

/// One caller that appends an event every so often.
async fn load(
    store: Arc<impl EventStore>,
    stream: StreamName,
    every: Duration,
    end: CancellationToken,
) -> anyhow::Result<()> {
    let (type_name, context) = (TYPE.into(), context());
    let mut version = version_of(&*store, &stream).await?;
    let mut due = tokio::time::interval(every);
    // Half of the load means half of it on the whole: what was missed is made up for.
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            () = end.cancelled() => return Ok(()),
            _ = due.tick() => {}
        }
        let event = event(version, &type_name, &context);
        store.append(Append::to(stream.clone(), version, vec![event])).await?;
        version += 1;
    }
}

/// How many events a stream has.
async fn version_of(store: &dyn EventStore, stream: &StreamName) -> anyhow::Result<u64> {
    let mut version = 0;
    loop {
        let page = store.read_stream(stream, version + 1, 10_000).await?;
        let Some(last) = page.last() else { return Ok(version) };
        version = last.version;
    }
}

async fn holds(views: &dyn ProjectedRows, position: u64) -> anyhow::Result<bool> {
    let statuses = views.projections().await?;
    let at = |checkpoint: Option<flexcore_ports::Checkpoint>| {
        checkpoint.is_some_and(|checkpoint| checkpoint.position >= position)
    };
    Ok(statuses.len() == 5 && statuses.into_iter().all(|status| at(status.checkpoint)))
}
