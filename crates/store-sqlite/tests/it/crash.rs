//! A process that is killed while it appends.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use flexcore_eventsourcing::Append;
use flexcore_ports::EventStore;
use flexcore_testkit::{event, stream};

use crate::support::{assert_whole, folder, writer};

/// How often it is killed. All kills hit one store, so that later ones also hit its recovery.
const KILLS: u64 = 60;

/// The program that is killed lies beside the tests: `target/debug/examples/`.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.ancestors().nth(2).unwrap().join("examples/append_until_killed")
}

/// Starts the program, kills it after so many acknowledgements, and adds all it acknowledged.
fn run_and_kill(folder: &Path, after: u64, acknowledged: &mut HashMap<String, u64>) {
    let mut child =
        Command::new(program()).arg(folder).stdout(Stdio::piped()).spawn().expect("cargo built it");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut record = |line: std::io::Result<String>| {
        let line = line.unwrap();
        let (stream, version) = line.split_once(' ').unwrap();
        acknowledged.insert(stream.to_owned(), version.parse().unwrap());
    };
    for _ in 0..after {
        record(lines.next().expect("it appends until it is killed"));
    }
    child.kill().unwrap();
    // What it had written to the pipe before it died was acknowledged as well.
    lines.for_each(&mut record);
    assert!(!child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_every_kill() {
    let folder = folder();
    let mut acknowledged = HashMap::new();
    let mut state = 7_u64;
    for kill in 0..KILLS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Some die as they open, most in the middle, at whatever point the scheduler left them.
        let after = (state >> 33) % 120;
        run_and_kill(folder.path(), after, &mut acknowledged);
        if kill % 10 == 9 {
            assert_whole(folder.path()).await;
        }
    }
    // A writer finds the ends of all streams where the log has them.
    let store = writer(folder.path()).unwrap();
    for (key, version) in &acknowledged {
        let stream = stream(key);
        let events = store.events().read_stream(&stream, *version, 10_000).await.unwrap();
        assert_eq!(events.first().unwrap().version, *version, "stream {key}");
        let end = events.last().unwrap().version;
        let next = Append::to(stream, end, vec![event(900_000_000 + end)]);
        store.events().append(next).await.unwrap();
    }
    store.close().await.unwrap();
    let report = assert_whole(folder.path()).await;
    assert!(report.events > acknowledged.values().sum());
}
