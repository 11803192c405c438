//! What a subscription costs: `cargo run --release --package flexcore-app --example catch_up_speed`.
//!
//! Fills a log on SQLite with events of 256 bytes in batches of 64, reads it with bare reads of the
//! store and with a subscription, in turns, and prints events a second of both and their ratio.
//! `catch_up_speed EVENTS ROUNDS` overrides 500,000 and 5. Rounds on a machine that does other work
//! differ several times over; only a quiet one gives figures to rely on.
#![expect(clippy::print_stdout, reason = "a measurement for people")]

use std::{error::Error, sync::Arc, time::Instant};

use flexcore_app::{Start, Tailer, TailerOptions};
use flexcore_eventsourcing::{Append, EventContext, EventData, EventId, StreamName, Timestamp};
use flexcore_ports::{Clock, EventStore, ReadFilter};
use flexcore_store_sqlite::{OpenMode, SqliteStore};
use uuid::Uuid;

/// Events of a batch.
const BATCH: u64 = 64;

/// Goes on by a microsecond whenever somebody looks at it.
#[derive(Default)]
struct Ticks(std::sync::atomic::AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let events: u64 = arguments.next().map_or(Ok(500_000), |text| text.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let mode = OpenMode::Writer { purpose: "measuring".to_owned() };
    let store = SqliteStore::open(folder.path(), mode, Arc::new(Ticks::default()))?;
    fill(&*store.events(), events).await?;
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let bare = bare(&*store.events()).await?;
        let subscribed = subscribed(store.events()).await?;
        ratios.push(subscribed / bare);
        println!("round {round}: bare {bare:.0} events/s, subscription {subscribed:.0} events/s");
    }
    ratios.sort_by(f64::total_cmp);
    println!("subscription / bare reads: {:.2}", ratios[ratios.len() / 2]);
    store.close().await?;
    Ok(())
}

async fn fill(store: &dyn EventStore, events: u64) -> Result<(), Box<dyn Error>> {
    let context = EventContext::json("default", "measuring");
    for first in (0..events).step_by(usize::try_from(BATCH)?) {
        let event = |number: u64| EventData {
            id: EventId(Uuid::from_u128(u128::from(number) + 1)),
            type_name: "Measured".into(),
            schema_version: 1,
            occurred_at: Timestamp::EPOCH,
            context: context.clone(),
            payload: vec![b'x'; 256],
        };
        let stream = StreamName::new("default", "measure", [first.to_string().as_str()])?;
        store.append(Append::to(stream, 0, (first..first + BATCH).map(event).collect())).await?;
    }
    Ok(())
}

/// Events a second of reads without anything around them.
async fn bare(store: &dyn EventStore) -> Result<f64, Box<dyn Error>> {
    let (begun, mut after) = (Instant::now(), 0);
    loop {
        let page = store.read_all(after, 10_000, &ReadFilter::default()).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
    }
    Ok(rate(after, begun))
}

/// Events a second of a subscription from the beginning.
async fn subscribed(store: Arc<dyn EventStore>) -> Result<f64, Box<dyn Error>> {
    let end = store.head().await?.position;
    let (_tailer, log) = Tailer::new(store, TailerOptions::default()).await?;
    let begun = Instant::now();
    let mut subscription = log.subscribe(Start::Beginning).await?;
    while subscription.checkpoint().position < end {
        subscription.next().await?.ok_or("the tailer ended")?;
    }
    Ok(rate(end, begun))
}

#[expect(clippy::cast_precision_loss, reason = "a rate has three digits that matter")]
fn rate(events: u64, begun: Instant) -> f64 {
    events as f64 / begun.elapsed().as_secs_f64()
}
