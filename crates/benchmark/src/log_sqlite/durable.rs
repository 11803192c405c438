//! Our side: appends over the port.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context;
use flexcore_eventsourcing::{Append, StreamName, Timestamp};
use flexcore_ports::{Clock, EventStore};
use flexcore_store_sqlite::{OpenMode, SqliteEventStore, SqliteStore};
use tokio::task::JoinSet;

use super::workload::{STREAMS, Shape, TYPE, context, event, stream_name, stream_of};

/// A store and how far it was filled.
pub(crate) struct Durable {
    store: SqliteStore,
    folder: PathBuf,
    streams: Arc<Vec<(StreamName, Mutex<u64>)>>,
    /// How many events it has.
    events: u64,
}

impl Durable {
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let mode = OpenMode::Writer { purpose: "benchmark".to_owned() };
        let store = SqliteStore::open(folder, mode, Arc::new(WallClock))?;
        let streams = (0..STREAMS)
            .map(|stream| Ok((stream_name(stream)?, Mutex::new(0))))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { store, folder: folder.to_owned(), streams: Arc::new(streams), events: 0 })
    }

    /// Appends a slice with all callers at once, and gives how long that took.
    pub(crate) async fn slice(&mut self, shape: Shape) -> anyhow::Result<Duration> {
        let first = self.events;
        let start = Instant::now();
        let mut callers = JoinSet::new();
        for caller in 0..shape.callers {
            let (store, streams) = (self.store.events(), Arc::clone(&self.streams));
            callers.spawn(call(store, streams, shape, caller, first));
        }
        while let Some(finished) = callers.join_next().await {
            finished??;
        }
        self.events += shape.slice_events() as u64;
        Ok(start.elapsed())
    }

    /// Closes the store and gives its folder.
    pub(crate) async fn close(self) -> anyhow::Result<PathBuf> {
        self.store.close().await?;
        Ok(self.folder)
    }
}

/// One caller: each of its appends begins when the one before was acknowledged.
async fn call(
    store: Arc<SqliteEventStore>,
    streams: Arc<Vec<(StreamName, Mutex<u64>)>>,
    shape: Shape,
    caller: usize,
    first: u64,
) -> anyhow::Result<()> {
    let (type_name, context) = (Arc::from(TYPE), context());
    for append in (caller..shape.appends).step_by(shape.callers) {
        let (name, version) = streams.get(stream_of(append, shape.callers)).context("a stream")?;
        let number = first + (append * shape.events) as u64;
        let events = (number..number + shape.events as u64)
            .map(|number| event(number, &type_name, &context))
            .collect();
        let expected = {
            let mut version = version.lock().unwrap_or_else(PoisonError::into_inner);
            *version += shape.events as u64;
            *version - shape.events as u64
        };
        store.append(Append::to(name.clone(), expected, events)).await?;
    }
    Ok(())
}

struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "the clock of this program")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::EPOCH.saturating_add(since)
    }
}
