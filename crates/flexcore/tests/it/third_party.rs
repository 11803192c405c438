//! Singer programs of others, as `make setup` installs them, and what FlexCore promises with them:
//! no row lost, duplicates only behind the last committed bookmark.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::project::{Project, third_party, wait_until};

/// `tap-jsonl` 0.3.1 into `target-jsonl` 0.1.4, which confirms at its end only.
fn pair() -> Project {
    let (tap, target) = (third_party("tap-jsonl"), third_party("target-jsonl"));
    let project = Project::with(
        "pipeline: foreign\nsteps:\n  - { id: load, sync: { tap: tap-days, target: target-rows } }\n",
    );
    project.write(
        "flexcore.yaml",
        format!(
            "plugins:\n  tap-days:\n    command: ['{}']\n    config: {{ path: 'days/*.jsonl', stream_name: rows, primary_keys: [id] }}\n  \
             target-rows:\n    command: ['{}']\n    config: {{ destination_path: out, do_timestamp_file: false }}\n",
            tap.display(),
            target.display()
        ),
    );
    fs::create_dir(project.path("out")).expect("a folder");
    project
}

/// A file of rows with these ids.
fn day(project: &Project, name: &str, ids: std::ops::Range<u32>) {
    let mut text = String::new();
    for id in ids {
        writeln!(text, "{{\"id\": {id}, \"price\": {id}.25, \"name\": \"n\\u00e9 {id}\"}}")
            .expect("room");
    }
    project.write(&format!("days/{name}.jsonl"), text);
}

/// How often each id is in the target's file.
fn counts(project: &Project) -> BTreeMap<u64, u32> {
    let mut counts = BTreeMap::new();
    for line in project.read("out/rows.jsonl").lines() {
        let row: Value = serde_json::from_str(line).expect("whole lines");
        *counts.entry(row["id"].as_u64().expect("an id")).or_default() += 1;
    }
    counts
}

/// This tap reads every file again whatever its bookmark says; that it was given one is in its log.
#[test]
fn a_foreign_pair_moves_every_row_and_is_given_its_bookmark() {
    let project = pair();
    day(&project, "monday", 0..700);
    let first = project.json(&["run", "pipeline.yaml"]).completes().value();
    assert_eq!(first["steps"][0]["records"], 700);
    assert_eq!(first["steps"][0]["output"]["rejected"], 0);
    let moved = counts(&project);
    assert_eq!(moved.len(), 700);
    assert!(moved.values().all(|count| *count == 1));
    let bookmark = project.json(&["bookmark", "show", "foreign/load/rows"]).completes().value();
    let mark = &bookmark["state"]["bookmarks"]["rows"]["replication_key_value"];
    let mark = mark.as_str().expect("the tap's own bookmark").to_owned();
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    let logs = project.flexcore(&["logs"]).completes().stdout;
    assert!(logs.contains(&format!("bookmark value: {mark}")), "{logs}");
    project.assert_log_verifies();
}

#[test]
fn a_foreign_pair_that_is_killed_loses_no_row() {
    let project = pair();
    day(&project, "monday", 0..20_000);
    kill_in_the_middle(&project);
    project.flexcore(&["run", "--resume", "pipeline.yaml"]).completes();
    let counts = counts(&project);
    assert_eq!(counts.len(), 20_000, "no row is lost");
    project.assert_log_verifies();
}

#[test]
fn a_foreign_target_that_is_killed_repeats_no_row_before_the_bookmark() {
    let target = third_party("target-jsonl");
    let project = Project::with(&format!(
        "pipeline: half\nsteps:\n  - id: load\n    sync:\n      \
         tap: {{ plugin: tap-csv, config: {{ files: [{{ path: rows.csv, key: [id] }}] }} }}\n      \
         target: {{ command: ['{}'], config: {{ destination_path: out, do_timestamp_file: false }} }}\n",
        target.display()
    ));
    let rows = |ids: std::ops::Range<u32>| ids.map(|id| format!("{id},name {id}"));
    let header = std::iter::once("id,name".to_owned());
    project.write_lines("rows.csv", header.clone().chain(rows(0..500)));
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    project.write_lines("rows.csv", header.chain(rows(0..20_000)));
    kill_in_the_middle(&project);
    project.flexcore(&["run", "--resume", "pipeline.yaml"]).completes();
    let counts = counts(&project);
    assert_eq!(counts.len(), 20_000, "no row is lost");
    assert!(counts.range(..500).all(|(_, count)| *count == 1), "the bookmark holds");
    assert!(counts.range(500..).any(|(_, count)| *count > 1), "the kill came in the middle");
    project.assert_log_verifies();
}

/// Runs it and kills it once a good part of the rows has arrived.
fn kill_in_the_middle(project: &Project) {
    let moved = || fs::metadata(project.path("out/rows.jsonl")).map_or(0, |file| file.len());
    let before = moved();
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("rows arrive", || moved() > before + 100_000);
    assert!(running.kill_after(Duration::ZERO));
}

/// Emits a record and its STATE every few milliseconds.
const TAP: &str = r#"
import json, sys, time
state = json.load(open(sys.argv[sys.argv.index("--state") + 1])) if "--state" in sys.argv else {}
first = state.get("bookmarks", {}).get("rows", {}).get("id", -1) + 1
def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
say({"type": "SCHEMA", "stream": "rows", "key_properties": ["id"], "schema": {"type": "object", "properties": {"id": {"type": "integer"}}}})
for id in range(first, 400):
    say({"type": "RECORD", "stream": "rows", "record": {"id": id}})
    say({"type": "STATE", "value": {"bookmarks": {"rows": {"id": id}}}})
    time.sleep(0.01)
"#;

/// Confirms each STATE once its rows are written, and notes when.
const TARGET: &str = r#"
import json, sys, time
rows = open("rows", "a")
confirmed = open("confirmed", "a")
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "RECORD":
        rows.write("%d\n" % message["record"]["id"])
    elif message["type"] == "STATE":
        rows.flush()
        print(json.dumps(message["value"]), flush=True)
        confirmed.write("%d %f\n" % (message["value"]["bookmarks"]["rows"]["id"], time.monotonic()))
        confirmed.flush()
"#;

#[test]
fn a_bookmark_is_at_most_a_second_behind_what_was_confirmed() {
    let project = Project::with(
        "pipeline: chatty\nsteps:\n  - id: load\n    sync:\n      tap: { command: [python3, tap.py] }\n      \
         target: { command: [python3, target.py] }\n",
    );
    project.write("tap.py", TAP);
    project.write("target.py", TARGET);
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("a good part is confirmed", || project.read("confirmed").lines().count() > 200);
    let kill = Instant::now();
    assert!(running.kill_after(Duration::ZERO));
    let confirmed = confirmed(&project);
    let committed = committed(&project);
    let last = confirmed.last().expect("confirmations").1;
    // The first that was confirmed but not committed is not older than a second and what it
    // takes a busy machine to append.
    let next = confirmed.iter().find(|(id, _)| *id > committed).map_or(last, |(_, at)| *at);
    assert!(last - next < 1.5, "{committed} committed of {confirmed:?}");
    assert!(kill.elapsed() < Duration::from_mins(1));
    project.flexcore(&["run", "--resume", "pipeline.yaml"]).completes();
    let mut rows: BTreeMap<u64, u32> = BTreeMap::new();
    for line in project.read("rows").lines() {
        *rows.entry(line.parse().expect("an id")).or_default() += 1;
    }
    assert_eq!(rows.len(), 400, "no row is lost");
    assert!(rows.range(..=committed).all(|(_, count)| *count == 1), "{committed}: {rows:?}");
    project.assert_log_verifies();
}

/// Each confirmed id with the time, in seconds.
fn confirmed(project: &Project) -> Vec<(u64, f64)> {
    let parse = |line: &str| {
        let (id, at) = line.split_once(' ')?;
        Some((id.parse().ok()?, at.parse().ok()?))
    };
    project.read("confirmed").lines().filter_map(parse).collect()
}

/// The id in the bookmark.
fn committed(project: &Project) -> u64 {
    let view = project.json(&["bookmark", "show", "chatty/load"]).completes().value();
    view["state"]["bookmarks"]["rows"]["id"].as_u64().expect("a bookmark")
}
