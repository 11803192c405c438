//! Group `server`: what `flexcore serve` answers, how fast, beside what bounds it in the same run.
//!
//! Load comes from a process of its own, [`wrk`](load), over 64 connections on loopback. What is
//! compared takes turns in short slices, so that whatever else the machine does disturbs both.
//! Limits of the rate are not configured, as without a file of settings.

mod load;
mod nginx;
mod peer;
mod serving;
mod soak;
mod start;
mod watchers;

use std::path::Path;

use serde_json::json;

use crate::{
    measure::{Measure, Reach, of_part},
    sample::median,
};
use load::{Load, Loaded};
pub(crate) use peer::{PEER, serve as serve_peer};
use serving::Serving;

/// How many turns; their median counts.
const TURNS: usize = 5;

/// A pipeline as people write them: what is read, and what executions are made of.
const PIPELINE: &str = "\
pipeline: orders
steps:
  - { id: extract, command: { run: \"true\" } }
  - { id: load, needs: [extract], command: { run: \"true\" } }
  - { id: report, needs: [load], command: { run: \"true\" } }
";

/// Runs the group.
pub(crate) fn run(work: &Path) -> anyhow::Result<Vec<Measure>> {
    let mut measures = of_part("start", || start::run(&work.join("start")));
    let serving = Serving::start(&work.join("api"), PIPELINE, &["--roles", "api"])?;
    measures.extend(of_part("GET /health", || health(work, &serving)));
    measures.extend(of_part("GET pipelines/{id}", || read(work, &serving)));
    measures.extend(of_part("POST executions", || execute(work, &serving)));
    measures.extend(of_part("POST plugins/{id}/execute", || call_plugin(work, &serving)));
    serving.end()?;
    measures.extend(of_part("watchers", || watchers::run(&work.join("watchers"))));
    measures.extend(of_part("a minute of load", || soak::run(&work.join("soak"))));
    Ok(measures)
}

fn health(work: &Path, serving: &Serving) -> anyhow::Result<Vec<Measure>> {
    let nginx = nginx::Nginx::start(&work.join("nginx"))?;
    let theirs = Load::get(nginx.url());
    let ours = Load::get(format!("{}/health", serving.url()));
    let (ours, theirs) = in_turns(work, &ours, &theirs)?;
    Ok(vec![rate("GET /health / nginx with one line", &ours, &theirs, 0.5)])
}

fn read(work: &Path, serving: &Serving) -> anyhow::Result<Vec<Measure>> {
    let path = serving.api("pipelines/orders");
    let bytes = serving.get("pipelines/orders")?;
    let peer = peer::Peer::start(&work.join("reply"), bytes.as_bytes())?;
    let ours = Load::get(path).bearer(serving.token());
    let (ours, theirs) = in_turns(work, &ours, &Load::get(peer.url()))?;
    Ok(vec![
        rate("GET pipelines/{id} / the same bytes from memory", &ours, &theirs, 0.25),
        latency("the same, p99", &ours, |one| one.p99, 15.0),
    ])
}

fn execute(work: &Path, serving: &Serving) -> anyhow::Result<Vec<Measure>> {
    let path = serving.api("pipelines/orders/executions");
    let ours = Load::post(path, &json!({})).bearer(serving.token());
    let mut store = start::BareStore::open(&work.join("store"))?;
    let (mut posted, mut appended) = (vec![], vec![]);
    for _ in 0..TURNS {
        posted.push(ours.run(work)?);
        appended.push(store.rate()?);
    }
    let appended = median(appended);
    Ok(vec![
        Measure {
            name: "POST pipelines/{id}/executions / the store's appends, 64 callers × 1".to_owned(),
            value: median(posted.iter().map(|one| one.rate).collect()),
            unit: "requests/s",
            against: Some(appended),
            reach: Reach::RatioAtLeast(0.25),
        },
        latency("the same, p95", &posted, |one| one.p95, 25.0),
    ])
}

fn call_plugin(work: &Path, serving: &Serving) -> anyhow::Result<Vec<Measure>> {
    serving.register_echo()?;
    let body = json!({ "input": { "text": "x".repeat(180) } });
    let ours = Load::post(serving.api("plugins/echo/execute"), &body).bearer(serving.token());
    let theirs = Load::get(format!("{}/health", serving.url()));
    let (ours, theirs) = in_turns(work, &ours, &theirs)?;
    Ok(vec![rate("POST plugins/{id}/execute (WASM) / GET /health", &ours, &theirs, 0.2)])
}

fn in_turns(work: &Path, ours: &Load, theirs: &Load) -> anyhow::Result<(Vec<Loaded>, Vec<Loaded>)> {
    let (mut of_ours, mut of_theirs) = (vec![], vec![]);
    for _ in 0..TURNS {
        of_ours.push(ours.run(work)?);
        of_theirs.push(theirs.run(work)?);
    }
    Ok((of_ours, of_theirs))
}

fn rate(name: &str, ours: &[Loaded], theirs: &[Loaded], reach: f64) -> Measure {
    let middle = |all: &[Loaded]| median(all.iter().map(|one| one.rate).collect());
    Measure {
        name: name.to_owned(),
        value: middle(ours),
        unit: "requests/s",
        against: Some(middle(theirs)),
        reach: Reach::RatioAtLeast(reach),
    }
}

fn latency(name: &str, all: &[Loaded], of: fn(&Loaded) -> f64, reach: f64) -> Measure {
    Measure {
        name: name.to_owned(),
        value: median(all.iter().map(of).collect()),
        unit: "ms",
        against: None,
        reach: Reach::Below(reach),
    }
}
