//! Group `log-sqlite`: durable appends beside bare inserts, and `verify`.
//!
//! Both sides write the same rows into tables with the same indexes and settings. Each round fills
//! a fresh pair of files with a million events over a thousand streams in appends of 16, and then
//! goes on in the other two ways on the full files. The sides take turns in short slices, so that
//! whatever else the machine does disturbs both.

mod bare;
mod durable;
mod workload;

use std::{path::Path, time::Duration};

use anyhow::ensure;
use flexcore_ports::LogVerifier;
use flexcore_store_sqlite::SqliteLogVerifier;

use crate::{
    measure::{Measure, Reach},
    sample::median,
};
use bare::Bare;
use durable::Durable;
use workload::Shape;

/// How many rounds; their median counts.
const ROUNDS: usize = 3;

/// A way to append, its name, and what ratio it has to reach.
const WAYS: [(Shape, &str, f64); 3] = [
    (
        Shape { callers: 64, events: 16, group: 1_000, slices: 8, appends: 7_813 },
        "append, 64 callers × 16 events / bare inserts, transactions of 1000",
        0.7,
    ),
    (
        Shape { callers: 64, events: 1, group: 64, slices: 8, appends: 12_800 },
        "append, 64 callers × 1 event / bare inserts, transactions of 64",
        0.9,
    ),
    (
        Shape { callers: 1, events: 1, group: 1, slices: 8, appends: 2_000 },
        "append, one caller × 1 event / bare inserts, one a transaction",
        0.6,
    ),
];

/// Runs the group.
pub(crate) fn run(work: &Path) -> anyhow::Result<Vec<Measure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let mut rates = [const { (Vec::new(), Vec::new()) }; WAYS.len()];
    let mut verified = Vec::new();
    for round in 0..ROUNDS {
        let folder = work.join(round.to_string());
        let mut durable = Durable::open(&folder.join("durable"))?;
        let mut bare = Bare::open(&folder.join("bare"))?;
        for ((shape, _, _), (ours, theirs)) in WAYS.iter().zip(&mut rates) {
            let mut times = (Duration::ZERO, Duration::ZERO);
            for _ in 0..shape.slices {
                times.0 += runtime.block_on(durable.slice(*shape))?;
                times.1 += bare.slice(*shape)?;
            }
            let events = shape.total() as f64;
            eprintln!("DEBUG {} batches {}", shape.callers, runtime.block_on(durable.batches()));
            ours.push(events / times.0.as_secs_f64());
            theirs.push(events / times.1.as_secs_f64());
        }
        let folder = runtime.block_on(durable.close())?;
        verified.push(runtime.block_on(verify(&folder))?);
        std::fs::remove_dir_all(&folder)?;
    }
    let mut measures: Vec<Measure> = WAYS
        .iter()
        .zip(rates)
        .map(|((_, name, reach), (ours, theirs))| Measure {
            name: (*name).to_owned(),
            value: median(ours),
            unit: "events/s",
            against: Some(median(theirs)),
            reach: Reach::RatioAtLeast(*reach),
        })
        .collect();
    measures.push(Measure {
        name: "verify a log of a million events".to_owned(),
        value: median(verified),
        unit: "MB/s",
        against: None,
        reach: Reach::AtLeast(200.0),
    });
    Ok(measures)
}

/// Megabytes of file that are proven in a second.
async fn verify(folder: &Path) -> anyhow::Result<f64> {
    let bytes = std::fs::metadata(folder.join("log.db"))?.len();
    let start = std::time::Instant::now();
    let report = SqliteLogVerifier::new(folder).verify().await?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(report.fault.is_none(), "the log does not verify: {:?}", report.fault);
    Ok(bytes as f64 / 1e6 / seconds)
}
