//! Our side: appends over the port.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::ensure;
use flexcore_eventsourcing::{Append, StreamName};
use flexcore_ports::{EventStore, ReadFilter};
use flexcore_store_postgres::{PostgresEventStore, PostgresOptions, PostgresStore, Role};
use tokio::task::JoinSet;

use crate::log_sqlite::workload::{TYPE, context, event, stream_name};

/// A way to append.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// How many callers wait for an append of theirs at a time, over all nodes.
    pub(crate) callers: usize,
    /// How many events of one stream an append has.
    pub(crate) events: usize,
    /// How many appends a slice has.
    pub(crate) appends: usize,
}

/// Stores on one database, and how far it was filled.
pub(crate) struct Ours {
    nodes: Vec<PostgresStore>,
    streams: Arc<Vec<(StreamName, Mutex<u64>)>>,
    next: u64,
}

impl Ours {
    /// Opens `nodes` stores on one database, to be written over so many streams.
    pub(crate) async fn open(url: &str, nodes: usize, streams: usize) -> anyhow::Result<Self> {
        let mut opened = Vec::new();
        for _ in 0..nodes {
            let options = PostgresOptions::new(url, Role::Writer);
            opened.push(PostgresStore::open(options).await?);
        }
        let streams = (0..streams)
            .map(|stream| Ok((stream_name(stream)?, Mutex::new(0))))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { nodes: opened, streams: Arc::new(streams), next: 0 })
    }

    /// Appends a slice with all callers at once, and gives how long each append took, and all.
    pub(crate) async fn slice(&mut self, shape: Shape) -> anyhow::Result<(Duration, Vec<f64>)> {
        let start = Instant::now();
        let mut callers = JoinSet::new();
        for caller in 0..shape.callers {
            let node = self.nodes[caller % self.nodes.len()].events();
            callers.spawn(call(node, Arc::clone(&self.streams), shape, caller, self.next));
        }
        let mut latencies = Vec::new();
        while let Some(finished) = callers.join_next().await {
            latencies.extend(finished??);
        }
        self.next += (shape.appends * shape.events) as u64;
        Ok((start.elapsed(), latencies))
    }

    /// Reads the whole log once and gives how long that took, and how many events it has.
    pub(crate) async fn catch_up(&self) -> anyhow::Result<(Duration, usize)> {
        let store = self.nodes[0].events();
        let start = Instant::now();
        let (mut after, mut events) = (0, 0);
        loop {
            let page = store.read_all(after, 10_000, &ReadFilter::default()).await?;
            let Some(last) = page.last() else { break };
            (after, events) = (last.position, events + page.len());
        }
        ensure!(after == events as u64, "{events} events up to position {after}");
        Ok((start.elapsed(), events))
    }

    /// The first of the stores.
    pub(crate) fn node(&self) -> &PostgresStore {
        &self.nodes[0]
    }

    /// Closes the stores.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        for node in self.nodes {
            node.close().await?;
        }
        Ok(())
    }
}

/// One caller: each of its appends begins when the one before was acknowledged. It goes round in
/// streams of its own.
async fn call(
    store: Arc<PostgresEventStore>,
    streams: Arc<Vec<(StreamName, Mutex<u64>)>>,
    shape: Shape,
    caller: usize,
    first: u64,
) -> anyhow::Result<Vec<f64>> {
    let (type_name, context) = (Arc::from(TYPE), context());
    let own: Vec<usize> = (caller..streams.len()).step_by(shape.callers).collect();
    let mut latencies = Vec::new();
    for (turn, append) in (caller..shape.appends).step_by(shape.callers).enumerate() {
        let (name, version) = &streams[own[turn % own.len()]];
        let number = first + (append * shape.events) as u64;
        let events = (number..number + shape.events as u64)
            .map(|number| event(number, &type_name, &context))
            .collect();
        let expected = {
            let mut version = version.lock().unwrap_or_else(PoisonError::into_inner);
            *version += shape.events as u64;
            *version - shape.events as u64
        };
        let start = Instant::now();
        store.append(Append::to(name.clone(), expected, events)).await?;
        latencies.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(latencies)
}
