//! Appends for ever and says what was acknowledged: the program that the crash test kills.
//!
//! `append_until_killed FOLDER` appends from eight callers, each with a stream of its own. Standard
//! output gets a line `STREAM VERSION` per acknowledged append.

use std::{io::Write, path::Path, sync::Arc, time::SystemTime};

use flexcore_eventsourcing::{Append, EventData, StreamName, Timestamp};
use flexcore_ports::{Clock, EventStore, StoreError};
use flexcore_store_sqlite::{OpenMode, SqliteEventStore, SqliteStore};
use flexcore_testkit::{event, payload, stream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: append_until_killed FOLDER")?;
    let mode = OpenMode::Writer { purpose: "append until killed".to_owned() };
    let store = SqliteStore::open(Path::new(&folder), mode, Arc::new(WallClock))?;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..8_u64 {
        callers.spawn(call(store.events(), caller));
    }
    while let Some(finished) = callers.join_next().await {
        finished??;
    }
    Ok(())
}

async fn call(
    store: Arc<SqliteEventStore>,
    caller: u64,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let stream = stream(&caller.to_string());
    let mut version = length(&store, &stream).await?;
    loop {
        let count = 1 + version % 3;
        let events = (version..version + count)
            .map(|number| {
                let length = if number % 50 == 0 { 30_000 } else { 200 };
                let number = caller * 1_000_000 + number;
                EventData { payload: payload(number, length), ..event(number) }
            })
            .collect();
        store.append(Append::to(stream.clone(), version, events)).await?;
        version += count;
        // One write, so that a kill never cuts a line in two that is read.
        std::io::stdout().write_all(format!("{caller} {version}\n").as_bytes())?;
    }
}

async fn length(store: &SqliteEventStore, stream: &StreamName) -> Result<u64, StoreError> {
    let mut version = 0;
    loop {
        let page = store.read_stream(stream, version + 1, 5_000).await?;
        match page.last() {
            Some(last) => version = last.version,
            None => return Ok(version),
        }
    }
}

struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "the clock of this program")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::EPOCH.saturating_add(since)
    }
}
