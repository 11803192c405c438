//! Group `run`: what a whole `flexcore run` takes, from the start of the process to its end.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use anyhow::ensure;

use crate::{
    data::{self, write_csv, write_singer},
    flexcore::{Project, shell},
    measure::{Measure, Reach},
    sample::median,
};

/// Rounds of short runs, whose times scatter more.
const SHORT_ROUNDS: usize = 31;

/// Rounds of long ones.
const LONG_ROUNDS: usize = 5;

/// Rows of the CSV file: 106 MB.
const ROWS: u32 = 1_000_000;

/// Records for a target that writes some 30,000 a second.
const FOREIGN_RECORDS: u32 = 80_000;

/// Runs the group.
pub(crate) fn run(work: &Path) -> anyhow::Result<Vec<Measure>> {
    Ok(vec![
        one_record(&work.join("one"))?,
        forty_steps(&work.join("forty"))?,
        native_pair(&work.join("native"))?,
        foreign_target(&work.join("foreign"))?,
    ])
}

/// Two shell plugins and one record: what a run costs besides its work.
fn one_record(root: &Path) -> anyhow::Result<Measure> {
    let project = Project::new(
        root,
        "pipeline: one\nsteps:\n  - id: load\n    sync:\n      tap: { command: [sh, tap.sh] }\n      \
         target: { command: [sh, target.sh] }\n",
    )?;
    let record = r#"{"type":"RECORD","stream":"orders","record":{"id":1}}"#;
    let state = r#"{"type":"STATE","value":{"bookmarks":{"orders":{"id":1}}}}"#;
    let schema = data::SCHEMA;
    project.write("tap.sh", &format!("echo '{schema}'\necho '{record}'\necho '{state}'\n"))?;
    project
        .write("target.sh", "exec sed -n 's/^{\"type\":\"STATE\",\"value\":\\(.*\\)}$/\\1/p'\n")?;
    milliseconds("whole run, a one-record sync of two shell plugins", &project, 60.0)
}

/// Forty durable steps one after another.
fn forty_steps(root: &Path) -> anyhow::Result<Measure> {
    let mut pipeline = "pipeline: forty\nsteps:\n".to_owned();
    for step in 1..=40 {
        let needs = if step == 1 { String::new() } else { format!("needs: [s{}], ", step - 1) };
        writeln!(pipeline, "  - {{ id: s{step}, {needs}command: {{ argv: [/bin/true] }} }}")?;
    }
    let project = Project::new(root, &pipeline)?;
    milliseconds("whole run, 40 sequential steps of /bin/true", &project, 200.0)
}

fn milliseconds(name: &str, project: &Project, reach: f64) -> anyhow::Result<Measure> {
    // The first run makes the store.
    project.run()?;
    let mut times = Vec::new();
    for _ in 0..SHORT_ROUNDS {
        times.push(project.run()?.time.as_secs_f64() * 1e3);
    }
    let value = median(times);
    Ok(Measure {
        name: name.to_owned(),
        value,
        unit: "ms",
        against: None,
        reach: Reach::Below(reach),
    })
}

/// A million rows from CSV to JSON Lines, by our own tap and target.
fn native_pair(root: &Path) -> anyhow::Result<Measure> {
    let project = Project::new(
        root,
        "pipeline: native\nsteps:\n  - id: load\n    sync:\n      \
         tap: { plugin: tap-csv, config: { files: [{ path: rows.csv, key: [id] }] } }\n      \
         target: { plugin: target-jsonl, config: { path: out } }\n      full_refresh: true\n",
    )?;
    write_csv(&project.path("rows.csv"), ROWS)?;
    let mut rates = Vec::new();
    for _ in 0..LONG_ROUNDS {
        let _ = std::fs::remove_dir_all(project.path("out"));
        rates.push(f64::from(ROWS) / project.run()?.time.as_secs_f64());
    }
    let lines = BufReader::new(File::open(project.path("out/rows.jsonl"))?).lines().count();
    ensure!(lines == 1_000_000, "{lines} lines were written");
    Ok(Measure {
        name: "whole run, tap-csv → target-jsonl, 1 M rows of 10 columns".to_owned(),
        value: median(rates),
        unit: "records/s",
        against: None,
        reach: Reach::AtLeast(700_000.0),
    })
}

/// A slow target of others: what the run adds to it.
fn foreign_target(root: &Path) -> anyhow::Result<Measure> {
    let target = foreign("target-jsonl")?;
    let project = Project::new(
        root,
        &format!(
            "pipeline: foreign\nsteps:\n  - id: load\n    sync:\n      \
             tap: {{ command: [sh, -c, 'exec cat records.jsonl'] }}\n      \
             target: {{ command: ['{}'], config: {{ destination_path: out, do_timestamp_file: false }} }}\n      \
             full_refresh: true\n",
            target.display()
        ),
    )?;
    let records = project.path("records.jsonl");
    write_singer(&records, FOREIGN_RECORDS)?;
    project.write(
        "config.json",
        &serde_json::json!({ "destination_path": project.path("bare"), "do_timestamp_file": false })
            .to_string(),
    )?;
    let config = project.path("config.json");
    let (mut ours, mut bare) = (vec![], vec![]);
    for _ in 0..LONG_ROUNDS {
        let time = shell("cat \"$1\" | \"$2\" --config \"$3\"", &[&records, &target, &config])?;
        bare.push(time.as_secs_f64());
        ours.push(project.run()?.time.as_secs_f64());
    }
    Ok(Measure {
        name: "whole run, `cat FILE` into target-jsonl 0.1.4 / the bare pipe".to_owned(),
        value: median(ours),
        unit: "s",
        against: Some(median(bare)),
        reach: Reach::RatioAtMost(1.03),
    })
}

/// A Singer program that `make setup` installs.
fn foreign(name: &str) -> anyhow::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let workspace = workspace.unwrap_or(Path::new("."));
    let path = workspace.join(".cache/venvs").join(name).join("bin").join(name);
    ensure!(path.exists(), "{} is missing; run `make setup` first", path.display());
    Ok(path)
}
