//! How soon a server is ready, what it holds when idle, and what the store does alone.

use std::{fs, path::Path};

use tokio::runtime::Runtime;

use super::{PIPELINE, serving::Serving};
use crate::{
    log_sqlite::{durable::Durable, workload::Shape},
    measure::{Measure, Reach},
    sample::{count, median},
};

/// How often a server is started.
const STARTS: usize = 9;

pub(super) fn run(folder: &Path) -> anyhow::Result<Vec<Measure>> {
    // The first start makes the store and the pipeline.
    Serving::start(folder, PIPELINE, &[])?.end()?;
    let (mut ready, mut idle) = (vec![], vec![]);
    for _ in 0..STARTS {
        let serving = Serving::start(folder, PIPELINE, &[])?;
        ready.push(serving.ready().as_secs_f64() * 1e3);
        idle.push(serving.memory()?);
        serving.end()?;
    }
    let measure = |name: &str, value, unit, limit| Measure {
        name: name.to_owned(),
        value,
        unit,
        against: None,
        reach: Reach::Below(limit),
    };
    Ok(vec![
        measure("from start to ready, with a store that is there", median(ready), "ms", 100.0),
        measure("memory when idle, with its launcher", median(idle), "MB", 60.0),
    ])
}

/// The embedded store without a server around it.
pub(super) struct BareStore {
    runtime: Runtime,
    store: Durable,
}

impl BareStore {
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
        Ok(Self { runtime, store: Durable::open(folder)? })
    }

    /// Appends a second of 64 callers, an event each.
    pub(super) fn rate(&mut self) -> anyhow::Result<f64> {
        let shape = Shape { callers: 64, events: 1, group: 64, slices: 1, appends: 32_000 };
        let time = self.runtime.block_on(self.store.slice(shape))?;
        Ok(count(shape.appends) / time.as_secs_f64())
    }
}
