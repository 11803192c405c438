//! Effectively once: targets that are killed, and the executions that resume them.

use std::fs;

use crate::process::{Call, Folder};

const SCHEMA: &str = r#"{"type":"SCHEMA","stream":"s","schema":{"type":"object","properties":{"id":{"type":"integer"},"x":{"type":"string"}}},"key_properties":[]}"#;
const CONFIGS: [(&str, &str); 3] = [
    ("target-jsonl", r#"{"path":"out"}"#),
    ("target-csv", r#"{"path":"out"}"#),
    ("target-sqlite", r#"{"path":"w.db"}"#),
];
/// More than pipe and buffers hold, so that the target has written some of it when it is killed.
const MANY: std::ops::Range<u32> = 100..40_100;

fn records(ids: impl IntoIterator<Item = u32>) -> String {
    let text = "x".repeat(40);
    ids.into_iter()
        .map(|id| format!("{{\"type\":\"RECORD\",\"stream\":\"s\",\"record\":{{\"id\":{id},\"x\":\"{text}\"}}}}\n"))
        .collect()
}

fn state(at: u32) -> String {
    format!("{{\"type\":\"STATE\",\"value\":{{\"at\":{at}}}}}\n")
}

fn echo(at: u32) -> String {
    format!("{{\"at\":{at}}}")
}

/// All ids in the output, in the order in which they stand there.
fn stored(folder: &Folder, name: &str) -> Vec<u32> {
    match name {
        "target-jsonl" => folder
            .read("out/s.jsonl")
            .lines()
            .map(|line| {
                let record: serde_json::Value = serde_json::from_str(line).unwrap();
                u32::try_from(record["id"].as_u64().unwrap()).unwrap()
            })
            .collect(),
        "target-csv" => {
            let text = folder.read("out/s.csv");
            let mut lines = text.lines();
            assert_eq!(lines.next(), Some("id,x"));
            lines.map(|line| line.split(',').next().unwrap().parse().unwrap()).collect()
        }
        _ => {
            let database = rusqlite::Connection::open(folder.path().join("w.db")).unwrap();
            let mut select = database.prepare("SELECT id FROM s ORDER BY rowid").unwrap();
            let ids = select.query_map([], |row| row.get(0)).unwrap();
            ids.map(Result::unwrap).collect()
        }
    }
}

#[test]
fn a_killed_target_is_taken_back_to_the_committed_state_and_ends_with_exactly_the_rows() {
    for (name, config) in CONFIGS {
        let folder = Folder::new();
        let call = |committed| Call::new(&folder, name, config).execution("ex_1", committed);
        let mut first = call(None).spawn();
        first.send(&format!("{SCHEMA}\n{}{}", records(0..10), state(10)));
        assert_eq!(first.line(), echo(10));
        first.send(&format!("{}{}", records(10..20), state(20)));
        assert_eq!(first.line(), echo(20));
        first.send(&records(MANY));
        first.kill();

        // Only the first of the two echoes got as far as the log.
        let input = format!("{SCHEMA}\n{}{}", records(10..30), state(30));
        assert_eq!(call(Some(&echo(10))).run(&input).ok(), format!("{}\n", echo(30)), "{name}");
        assert_eq!(stored(&folder, name), (0..30).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn without_a_committed_state_the_execution_starts_anew_and_earlier_rows_stay() {
    for (name, config) in CONFIGS {
        let folder = Folder::new();
        let call = |execution| Call::new(&folder, name, config).execution(execution, None);
        call("ex_0").run(format!("{SCHEMA}\n{}{}", records(0..5), state(5))).ok();
        let mut killed = call("ex_1").spawn();
        killed.send(&format!("{SCHEMA}\n{}{}", records(5..10), state(10)));
        assert_eq!(killed.line(), echo(10));
        killed.send(&records(MANY));
        killed.kill();
        call("ex_1").run(format!("{SCHEMA}\n{}", records(5..12))).ok();
        assert_eq!(stored(&folder, name), (0..12).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn a_new_execution_takes_nothing_back() {
    for (name, config) in CONFIGS {
        let folder = Folder::new();
        let call = |execution| Call::new(&folder, name, config).execution(execution, None);
        call("ex_0").run(format!("{SCHEMA}\n{}{}", records(0..5), state(5))).ok();
        call("ex_1").run(format!("{SCHEMA}\n{}", records(3..6))).ok();
        assert_eq!(stored(&folder, name), [0, 1, 2, 3, 4, 3, 4, 5], "{name}");
    }
}

#[test]
fn many_kills_at_many_places_still_end_with_exactly_the_rows() {
    for (name, config) in CONFIGS {
        let folder = Folder::new();
        let mut committed: Option<u32> = None;
        for round in 0..12_u32 {
            let from = committed.unwrap_or(0);
            let line = committed.map(echo);
            let call = Call::new(&folder, name, config).execution("ex_1", line.as_deref());
            let mut running = call.spawn();
            running.send(&format!("{SCHEMA}\n{}", records(from..from + 7)));
            running.send(&state(from + 7));
            // Killed before the echo, right after it, or with rows behind it; and an echo may get
            // lost on its way to the log.
            if round % 4 > 0 {
                assert_eq!(running.line(), echo(from + 7), "{name}, round {round}");
            }
            if round % 4 > 1 {
                committed = Some(from + 7);
            }
            if round % 4 > 2 {
                running.send(&records(MANY));
            }
            running.kill();
        }
        let from = committed.unwrap();
        let line = echo(from);
        let call = Call::new(&folder, name, config).execution("ex_1", Some(&line));
        call.run(format!("{SCHEMA}\n{}", records(from..100))).ok();
        assert_eq!(stored(&folder, name), (0..100).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn a_stream_that_began_after_the_committed_state_is_taken_back_to_nothing() {
    let other = SCHEMA.replace("\"s\"", "\"t\"");
    for (name, config) in CONFIGS {
        let folder = Folder::new();
        let call = |committed| Call::new(&folder, name, config).execution("ex_1", committed);
        let mut first = call(None).spawn();
        first.send(&format!("{SCHEMA}\n{}{}", records(0..3), state(3)));
        assert_eq!(first.line(), echo(3));
        first.send(&format!("{other}\n{}{}", records(0..9).replace("\"s\"", "\"t\""), state(9)));
        assert_eq!(first.line(), echo(9));
        first.kill();
        call(Some(&echo(3))).run(format!("{SCHEMA}\n{other}\n")).ok();
        assert_eq!(stored(&folder, name), [0, 1, 2], "{name}");
        match name {
            "target-jsonl" => assert_eq!(folder.read("out/t.jsonl"), ""),
            "target-csv" => assert_eq!(folder.read("out/t.csv"), "id,x\n"),
            _ => {
                let database = rusqlite::Connection::open(folder.path().join("w.db")).unwrap();
                let count = "SELECT count(*) FROM t";
                let rows: i64 = database.query_row(count, [], |row| row.get(0)).unwrap();
                assert_eq!(rows, 0);
            }
        }
    }
}

#[test]
fn a_committed_state_without_its_mark_names_the_way_out() {
    for (name, config) in CONFIGS {
        let folder = Folder::new();
        let call = Call::new(&folder, name, config).execution("ex_1", Some("{\"at\":1}"));
        let message = call.run("").failure();
        assert!(message.contains("has no mark") && message.contains("bookmark reset"), "{message}");
    }
}

#[test]
fn a_file_that_lost_rows_names_the_way_out() {
    for (name, config) in &CONFIGS[..2] {
        let folder = Folder::new();
        let call = |committed| Call::new(&folder, name, config).execution("ex_1", committed);
        let line = echo(5);
        call(None).run(format!("{SCHEMA}\n{}{}", records(0..5), state(5))).ok();
        let file = if *name == "target-csv" { "out/s.csv" } else { "out/s.jsonl" };
        fs::OpenOptions::new()
            .write(true)
            .open(folder.path().join(file))
            .unwrap()
            .set_len(20)
            .unwrap();
        let message = call(Some(&line)).run("").failure();
        assert!(message.contains("is shorter than its mark"), "{message}");
        assert!(message.contains("bookmark reset"), "{message}");
        fs::remove_file(folder.path().join(file)).unwrap();
        let message = call(Some(&line)).run("").failure();
        assert!(message.contains("is shorter than its mark"), "{message}");
    }
}

#[test]
fn rows_that_another_execution_appended_are_not_taken_back() {
    for (name, config) in CONFIGS {
        let folder = Folder::new();
        let call =
            |execution, committed| Call::new(&folder, name, config).execution(execution, committed);
        call("ex_1", None).run(format!("{SCHEMA}\n{}{}", records(0..5), state(5))).ok();
        let mut interrupted = call("ex_2", None).spawn();
        interrupted.send(&format!("{SCHEMA}\n{}{}", records(5..8), state(8)));
        assert_eq!(interrupted.line(), echo(8));
        interrupted.kill();
        call("ex_3", None).run(format!("{SCHEMA}\n{}{}", records(20..25), state(25))).ok();
        let message = call("ex_2", Some(&echo(8))).run("").failure();
        assert!(message.contains("was written by another sync"), "{name}: {message}");
        assert!(stored(&folder, name).ends_with(&[20, 21, 22, 23, 24]), "{name}");
    }
}

#[test]
fn half_a_record_of_a_killed_run_is_cut_before_the_next_one_appends() {
    let folder = Folder::new();
    folder.write("out/s.jsonl", "{\"id\":1}\n{\"id\":2,\"x\":\"ha");
    let outcome = Call::new(&folder, "target-jsonl", CONFIGS[0].1)
        .run(format!("{SCHEMA}\n{}", records(5..6)));
    assert!(outcome.stderr.contains("WARNING") && outcome.stderr.contains("half a record"));
    outcome.ok();
    assert_eq!(stored(&folder, "target-jsonl"), [1, 5]);
}
