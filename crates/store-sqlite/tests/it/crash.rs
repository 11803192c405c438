//! A process that is killed while it appends.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use flexcore_eventsourcing::Append;
use flexcore_ports::EventStore;
use flexcore_store_sqlite::SqliteStore;
use flexcore_testkit::{event, stream};

use crate::support::{assert_whole, folder, writer};

/// How often it is killed. All kills hit one store, so that later ones also hit its recovery.
const KILLS: u64 = 200;
/// Where the kills come from; what is printed of a failed run begins it again at any of them.
const SEED: u64 = 7;

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
    let mut state = SEED;
    for kill in 0..KILLS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Some die as they open, most in the middle, at whatever point the scheduler left them.
        let after = (state >> 33) % 120;
        println!("kill {kill}: state {state:#x}, after {after} acknowledgements");
        run_and_kill(folder.path(), after, &mut acknowledged);
        if kill % 20 == 19 {
            assert_whole(folder.path()).await;
        }
    }
    let store = writer(folder.path()).unwrap();
    assert_survived(&store, &acknowledged).await;
    store.close().await.unwrap();
    let report = assert_whole(folder.path()).await;
    assert!(report.events > acknowledged.values().sum());
}

/// Every acknowledged event is there, and the ends of streams are where the log has them.
async fn assert_survived(store: &SqliteStore, acknowledged: &HashMap<String, u64>) {
    for (key, version) in acknowledged {
        let stream = stream(key);
        let events = store.events().read_stream(&stream, *version, 10_000).await.unwrap();
        assert_eq!(events.first().unwrap().version, *version, "stream {key}");
        let end = events.last().unwrap().version;
        let next = Append::to(stream, end, vec![event(900_000_000 + end)]);
        store.events().append(next).await.unwrap();
    }
}

/// A write that fails for another reason than a full disk, here a limit on the size of files: nobody
/// knows what is on the disk then, so the store must not go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_stops_the_store_and_loses_nothing() {
    let folder = folder();
    // In blocks of 512 bytes; with the signal ignored, the write fails with EFBIG.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$1\""])
        .arg(program())
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("Poisoned") && error.contains("restart the program"), "{error}");
    let mut acknowledged = HashMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (stream, version) = line.split_once(' ').unwrap();
        acknowledged.insert(stream.to_owned(), version.parse().unwrap());
    }
    assert!(!acknowledged.is_empty());
    assert_whole(folder.path()).await;
    let store = writer(folder.path()).unwrap();
    assert_survived(&store, &acknowledged).await;
}
