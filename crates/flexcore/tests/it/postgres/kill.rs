//! Killed at any moment, resumed at once.

use std::{fs, path::Path, time::Instant};

use super::Database;
use crate::{
    kill::{Example, kill_and_resume, moment},
    project::{Project, attempts_alive},
    random::Random,
};

#[test]
fn a_run_that_is_killed_at_any_moment_ends_as_if_it_had_not_been() {
    kill_and_resume(11, || Example::fresh().on(&Database::new()));
}

#[test]
fn a_run_that_goes_on_from_bookmarks_can_be_killed_at_any_moment() {
    kill_and_resume(12, || Example::after_a_first_run_on(&Database::new()));
}

/// The example of the repository, unchanged.
fn flights() -> Project {
    let project = Project::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights");
    for file in [
        "flexcore.yaml",
        "pipelines/flights.yaml",
        "checks/verify.sh",
        "data/airlines.csv",
        "data/airports.csv",
        "data/planes.csv",
        "data/weather.csv",
    ] {
        project.write(file, fs::read(example.join(file)).expect("a file of the example"));
    }
    Database::new().of(project)
}

/// What the targets hold.
fn results(project: &Project) -> Vec<String> {
    let tables = ["airlines", "airports", "planes", "weather"];
    let mut results: Vec<String> =
        tables.iter().map(|table| project.read(&format!("out/jsonl/{table}.jsonl"))).collect();
    let database = rusqlite::Connection::open(project.path("out/flights.db")).expect("a database");
    for table in tables {
        let sql = format!("SELECT count(*) || ' ' || count(DISTINCT rowid) FROM \"{table}\"");
        results.push(database.query_row(&sql, [], |row| row.get(0)).expect("a table"));
    }
    results
}

fn kill_flights(seed: u64, kills: u32) {
    let mut random = Random::seeded(seed);
    let undisturbed = flights();
    let begin = Instant::now();
    undisturbed.flexcore(&["run", "pipelines/flights.yaml"]).completes();
    let length = begin.elapsed();
    let expected = results(&undisturbed);
    let mut killed = 0;
    for kill in 0..kills {
        let project = flights();
        let moment = moment(&mut random, kill, kills, length);
        let run = project.start(&["run", "pipelines/flights.yaml"]);
        killed += u32::from(run.kill_after(moment));
        let context = format!("seed {seed}, kill {kill} after {moment:?}");
        let resumed = project.flexcore(&["run", "--resume", "pipelines/flights.yaml"]);
        assert_eq!(resumed.status.code(), Some(0), "{context}: {resumed}");
        assert!(results(&project) == expected, "{context}: other results");
        let execution = project.last_execution();
        assert_eq!(execution["status"], "completed", "{context}");
        let id = execution["id"].as_str().expect("an id");
        assert_eq!(attempts_alive(id), Vec::<String>::new(), "{context}");
        project.assert_log_verifies();
    }
    assert!(killed >= kills / 2, "only {killed} of {kills} were killed in time");
}

/// Three tests of this many kills each.
const FLIGHTS_KILLS: u32 = 17;

#[test]
fn the_example_can_be_killed_at_any_moment() {
    kill_flights(13, FLIGHTS_KILLS);
}

#[test]
fn the_example_can_be_killed_at_any_moment_with_another_seed() {
    kill_flights(14, FLIGHTS_KILLS);
}

#[test]
fn the_example_can_be_killed_at_any_moment_with_a_third_seed() {
    kill_flights(15, FLIGHTS_KILLS);
}
