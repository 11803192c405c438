//! Group `log-sqlite`: durable appends beside bare inserts, and `verify`.
//!
//! Both sides write the same rows into tables with the same indexes and settings. Each round fills
//! a fresh pair of files with a million events over a thousand streams in appends of 16, and then
//! goes on in the other two ways on the full files. The sides take turns in short slices, so that
//! whatever else the machine does disturbs both.

mod bare;
pub(crate) mod durable;
pub(crate) mod workload;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::ensure;
use flexcore_ports::LogVerifier;
use flexcore_store_sqlite::SqliteLogVerifier;
use tokio::runtime::Runtime;

use crate::{
    measure::{Measure, Reach},
    sample::{count, median},
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
        Shape { callers: 64, events: 1, group: 64, slices: 8, appends: 6_400 },
        "append, 64 callers × 1 event / bare inserts, transactions of 64",
        0.9,
    ),
    (
        Shape { callers: 1, events: 1, group: 1, slices: 8, appends: 500 },
        "append, one caller × 1 event / bare inserts, one a transaction",
        0.6,
    ),
];

/// What the rounds came to, a sample each.
#[derive(Debug, Default)]
struct Samples {
    /// Events a second, ours and bare, for each way.
    rates: [(Vec<f64>, Vec<f64>); WAYS.len()],
    /// Megabytes of the full files, ours and bare.
    sizes: (Vec<f64>, Vec<f64>),
    /// Milliseconds to open the full log.
    opened: Vec<f64>,
    /// Megabytes a second that are proven.
    verified: Vec<f64>,
}

/// Runs the group.
pub(crate) fn run(work: &Path) -> anyhow::Result<Vec<Measure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let mut samples = Samples::default();
    for round in 0..ROUNDS {
        let folder = work.join(round.to_string());
        samples.take(&runtime, &folder)?;
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(samples.measures())
}

impl Samples {
    fn take(&mut self, runtime: &Runtime, folder: &Path) -> anyhow::Result<()> {
        let mut durable = Durable::open(&folder.join("durable"))?;
        let mut bare = Bare::open(&folder.join("bare"))?;
        for ((shape, _, _), (ours, theirs)) in WAYS.iter().zip(&mut self.rates) {
            let mut times = (Duration::ZERO, Duration::ZERO);
            for _ in 0..shape.slices {
                times.0 += runtime.block_on(durable.slice(*shape))?;
                times.1 += bare.slice(*shape)?;
            }
            ours.push(count(shape.total()) / times.0.as_secs_f64());
            theirs.push(count(shape.total()) / times.1.as_secs_f64());
        }
        let folder = runtime.block_on(durable.close())?;
        let size = megabytes(&folder)?;
        self.sizes.0.push(size);
        self.sizes.1.push(megabytes(&bare.close()?)?);
        let start = Instant::now();
        runtime.block_on(Durable::open(&folder)?.close())?;
        self.opened.push(start.elapsed().as_secs_f64() * 1e3);
        self.verified.push(size / runtime.block_on(verify(&folder))?);
        Ok(())
    }

    fn measures(self) -> Vec<Measure> {
        let ways = WAYS.iter().zip(self.rates).map(|((_, name, reach), (ours, theirs))| Measure {
            name: (*name).to_owned(),
            value: median(ours),
            unit: "events/s",
            against: Some(median(theirs)),
            reach: Reach::RatioAtLeast(*reach),
        });
        let size = Measure {
            name: "size of a log of 1.1 M events / bare rows".to_owned(),
            value: median(self.sizes.0),
            unit: "MB",
            against: Some(median(self.sizes.1)),
            reach: Reach::RatioAtMost(1.1),
        };
        let open = Measure {
            name: "open and close that log".to_owned(),
            value: median(self.opened),
            unit: "ms",
            against: None,
            reach: Reach::Below(20.0),
        };
        let verify = Measure {
            name: "verify that log".to_owned(),
            value: median(self.verified),
            unit: "MB/s",
            against: None,
            reach: Reach::AtLeast(200.0),
        };
        ways.chain([size, open, verify]).collect()
    }
}

fn megabytes(folder: &Path) -> anyhow::Result<f64> {
    let bytes = std::fs::metadata(folder.join("log.db"))?.len();
    Ok(count(usize::try_from(bytes)?) / 1e6)
}

/// Proves the log and gives the seconds that it took.
async fn verify(folder: &Path) -> anyhow::Result<f64> {
    let start = Instant::now();
    let report = SqliteLogVerifier::new(folder).verify(&[]).await?;
    ensure!(report.fault.is_none(), "the log does not verify: {:?}", report.fault);
    Ok(start.elapsed().as_secs_f64())
}
