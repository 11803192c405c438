//! How fast lines go from tap to target in jails, beside the same without, in turns.

use std::{fs, path::Path};

use crate::{
    data::write_singer,
    flexcore::Project,
    measure::{Measure, Reach},
    pump::DISCARD,
    sample::median,
};

const RECORDS: u32 = 3_000_000;

/// How many rounds of each; their median counts.
const ROUNDS: usize = 7;

pub(super) fn run(work: &Path) -> anyhow::Result<Vec<Measure>> {
    let this = std::env::current_exe()?;
    let pipeline = format!(
        "pipeline: jailed\nsteps:\n  - id: load\n    sync:\n      \
         tap: {{ command: [sh, -c, 'exec cat records.jsonl'] }}\n      \
         target: {{ command: ['{}', {DISCARD}, elapsed] }}\n      full_refresh: true\n",
        this.display(),
    );
    let project = Project::new(&work.join("sync"), &pipeline)?;
    write_singer(&project.path("records.jsonl"), RECORDS)?;
    let rate = |policy: &str| -> anyhow::Result<f64> {
        project.run_held(policy)?;
        let seconds: f64 = fs::read_to_string(project.path("elapsed"))?.trim().parse()?;
        Ok(f64::from(RECORDS) / seconds)
    };
    let (mut jailed, mut free) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        jailed.push(rate("best_effort")?);
        free.push(rate("off")?);
    }
    Ok(vec![Measure {
        name: "throughput of a jailed sync / the same without a jail".to_owned(),
        value: median(jailed),
        unit: "records/s",
        against: Some(median(free)),
        reach: Reach::RatioAtLeast(0.97),
    }])
}
