//! `tap-csv` and `tap-jsonl` over several runs: what is read again and what is not.

use flexcore_singer::{Catalog, State};
use rustix::process::Signal;

use crate::process::{Call, Folder, last_state, records};

const CONFIG: &str = r#"{"files":[{"path":"data/*.csv","stream":"orders","key":["id"]}]}"#;

fn sync(folder: &Folder, config: &str, state: Option<&str>) -> String {
    let call = Call::new(folder, "tap-csv", config);
    match state {
        None => call.run("").ok(),
        Some(state) => {
            folder.write("state.json", state);
            call.argument("--state").argument("state.json").run("").ok()
        }
    }
}

#[test]
fn a_finished_file_is_read_on_where_it_was_appended_to_and_again_where_it_was_replaced() {
    let folder = Folder::new();
    folder.write("data/a.csv", "id,x\n1,a\n2,b\n");
    folder.write("data/b.csv", "id,x\n3,c\n");
    let first = sync(&folder, CONFIG, None);
    assert_eq!(records(&first).len(), 3);

    let unchanged = sync(&folder, CONFIG, Some(&last_state(&first)));
    assert_eq!(records(&unchanged), Vec::<String>::new());
    assert!(unchanged.starts_with("{\"type\":\"SCHEMA\""));

    folder.append("data/a.csv", "4,d\n");
    let appended = sync(&folder, CONFIG, Some(&last_state(&unchanged)));
    assert_eq!(records(&appended), [r#"{"id":4,"x":"d"}"#]);

    folder.write("data/a.csv", "id,x\n1,A\n2,b\n4,d\n5,e\n");
    folder.write("data/c.csv", "id,x\n6,f\n");
    let replaced = sync(&folder, CONFIG, Some(&last_state(&appended)));
    assert_eq!(records(&replaced).len(), 4 + 1);
}

#[test]
fn a_last_row_without_its_line_end_is_taken_and_an_unfinished_one_is_taken_again() {
    let folder = Folder::new();
    folder.write("data/a.csv", "id,x\n1,a\n2,b");
    let first = sync(&folder, CONFIG, None);
    assert_eq!(records(&first).len(), 2);
    folder.append("data/a.csv", "\n3,c\n");
    let second = sync(&folder, CONFIG, Some(&last_state(&first)));
    assert_eq!(records(&second), [r#"{"id":3,"x":"c"}"#]);

    folder.append("data/a.csv", "4,d");
    let third = sync(&folder, CONFIG, Some(&last_state(&second)));
    assert_eq!(records(&third), [r#"{"id":4,"x":"d"}"#]);
    folder.append("data/a.csv", "dd\n");
    let fourth = sync(&folder, CONFIG, Some(&last_state(&third)));
    assert_eq!(records(&fourth).last().unwrap(), r#"{"id":4,"x":"ddd"}"#);
}

#[test]
fn a_replication_key_sends_greater_values_and_never_splits_equal_ones() {
    let config = r#"{"files":[{"path":"a.csv","key":["id"],"replication_key":"at"}]}"#;
    let folder = Folder::new();
    folder.write("a.csv", "id,at\n1,2024-01-02\n2,2024-01-05\n3,2024-01-03\n4,\n");
    let first = sync(&folder, config, None);
    assert_eq!(records(&first).len(), 4);
    let state = State::parse(&last_state(&first)).unwrap();
    let bookmark = state.stream("a").unwrap();
    assert_eq!(bookmark.get("replication_key_value"), Some(&"2024-01-05".into()));
    assert_eq!(bookmark.get("maximum"), None);

    // Behind what was read an equal value is certainly new, a smaller one is late.
    folder.append("a.csv", "5,2024-01-05\n6,2024-01-01\n7,2024-01-09\n");
    let second = sync(&folder, config, Some(&last_state(&first)));
    let new: Vec<_> = records(&second);
    assert_eq!(new, [r#"{"id":5,"at":"2024-01-05"}"#, r#"{"id":7,"at":"2024-01-09"}"#]);

    // In a file that was replaced only greater values are.
    folder.write("a.csv", "id,at\n8,2024-01-09\n9,2024-01-10\n");
    let third = sync(&folder, config, Some(&last_state(&second)));
    assert_eq!(records(&third), [r#"{"id":9,"at":"2024-01-10"}"#]);
}

#[test]
fn numbers_are_ordered_by_value() {
    let config = r#"{"files":[{"path":"a.csv","replication_key":"n"}]}"#;
    let folder = Folder::new();
    folder.write("a.csv", "n\n9\n10\n");
    let first = sync(&folder, config, None);
    folder.write("a.csv", "n\n9.5\n10.0\n10.5\n100\n");
    let second = sync(&folder, config, Some(&last_state(&first)));
    assert_eq!(records(&second), [r#"{"n":10.5}"#, r#"{"n":100}"#]);
}

#[test]
fn types_that_widened_stay_wide_in_later_runs() {
    let config = r#"{"files":[{"path":"a.csv"}]}"#;
    let folder = Folder::new();
    folder.write("a.csv", "n\n1\nx\n");
    let first = sync(&folder, config, None);
    folder.write("a.csv", "n\n2\n");
    let second = sync(&folder, config, Some(&last_state(&first)));
    assert_eq!(records(&second), [r#"{"n":"2"}"#]);
}

#[test]
fn any_state_of_a_long_file_resumes_with_exactly_the_rows_behind_it() {
    let folder = Folder::new();
    let rows: String = (0..120_000).map(|n| format!("{n},row {n}\n")).collect();
    folder.write("data/a.csv", format!("id,x\n{rows}"));
    let whole = sync(&folder, CONFIG, None);
    let lines: Vec<_> = whole.lines().collect();
    let states: Vec<_> =
        (0..lines.len()).filter(|at| lines[*at].starts_with("{\"type\":\"STATE\"")).collect();
    assert!(states.len() >= 3, "there are STATEs on the way");
    for at in states {
        let state = last_state(lines[at]);
        let rest = sync(&folder, CONFIG, Some(&state));
        assert_eq!(records(&rest), records(&lines[at..].join("\n")));
    }
}

#[test]
fn sigterm_ends_with_a_state_that_loses_and_repeats_nothing() {
    let folder = Folder::new();
    let rows: String = (0..400_000).map(|n| format!("{n},row {n}\n")).collect();
    folder.write("data/a.csv", format!("id,x\n{rows}"));
    let mut tap = Call::new(&folder, "tap-csv", CONFIG).spawn();
    // The file is longer than the pipe, so that the tap is at work when the signal comes.
    let schema = tap.line();
    tap.signal(Signal::TERM);
    let stopped = format!("{schema}\n{}", tap.end().ok());
    let sent = records(&stopped);
    assert!(sent.len() < 400_000, "it was stopped on its way");
    assert!(stopped.lines().last().unwrap().starts_with("{\"type\":\"STATE\""));
    let rest = sync(&folder, CONFIG, Some(&last_state(&stopped)));
    assert_eq!(sent.len() + records(&rest).len(), 400_000);
    assert_eq!(records(&rest)[0], format!("{{\"id\":{},\"x\":\"row {0}\"}}", sent.len()));
}

#[test]
fn discovery_gives_a_catalog_that_selects_streams_and_columns() {
    let folder = Folder::new();
    folder.write("data/a.csv", "id,x,ssn\n1,a,7\n");
    folder.write("b.csv", "y\n1\n");
    let config = r#"{"files":[{"path":"data/a.csv","key":["id"]},{"path":"b.csv"}]}"#;
    let found = Call::new(&folder, "tap-csv", config).argument("--discover").run("").ok();
    insta::assert_snapshot!(found.trim_end());
    let mut catalog = Catalog::parse(&found).unwrap();
    let select = ["a.*", "!*.ssn"].map(flexcore_singer::SelectPattern::parse).to_vec();
    catalog.apply(&flexcore_singer::CatalogRules { select, ..Default::default() });
    folder.write("catalog.json", catalog.to_json().to_string());
    for flag in ["--catalog", "--properties"] {
        let call = Call::new(&folder, "tap-csv", config).argument(flag).argument("catalog.json");
        assert_eq!(records(&call.run("").ok()), [r#"{"id":1,"x":"a"}"#]);
    }
}

#[test]
fn json_lines_are_read_on_as_csv_is() {
    let config = r#"{"files":[{"path":"a.jsonl","key":["id"]}]}"#;
    let folder = Folder::new();
    folder.write("a.jsonl", "{\"id\": 1, \"n\": 1.50}\n{\"id\": 2}\n");
    let run = |state: Option<&str>| {
        let call = Call::new(&folder, "tap-jsonl", config);
        match state {
            None => call.run("").ok(),
            Some(state) => {
                folder.write("state.json", state);
                call.argument("--state").argument("state.json").run("").ok()
            }
        }
    };
    let first = run(None);
    assert_eq!(records(&first), [r#"{"id": 1, "n": 1.50}"#, r#"{"id": 2}"#]);
    folder.append("a.jsonl", "{\"id\": 3}\n");
    let second = run(Some(&last_state(&first)));
    assert_eq!(records(&second), [r#"{"id": 3}"#]);
    assert_eq!(records(&run(Some(&last_state(&second)))), Vec::<String>::new());
}

#[test]
fn failures_name_file_and_line() {
    let folder = Folder::new();
    folder.write("ragged.csv", "a,b\n1,2\n\"x\ny\",2\n3\n");
    folder.write("bytes.csv", b"a,b\n1,2\n3,\xff\n");
    folder.write("broken.jsonl", "{\"a\":1}\n{\"a\":NaN}\n");
    folder.write("key.csv", "id\n1\n");
    let csv = |entry: &str| {
        Call::new(&folder, "tap-csv", &format!("{{\"files\":[{entry}]}}")).run("").failure()
    };
    let broken = r#"{"files":[{"path":"broken.jsonl"}]}"#;
    insta::assert_snapshot!(
        [
            csv(r#"{"path":"ragged.csv"}"#),
            csv(r#"{"path":"bytes.csv"}"#),
            Call::new(&folder, "tap-jsonl", broken).run("").failure(),
            csv(r#"{"path":"key.csv","key":["ID"]}"#),
            csv(r#"{"path":"none.csv"}"#),
            csv(r#"{"path":"none*.csv"}"#),
            csv(r#"{"path":"."}"#),
        ]
        .join("\n")
    );
}

#[test]
fn a_broken_bookmark_names_the_way_out() {
    let folder = Folder::new();
    folder.write("data/a.csv", "id\n1\n");
    folder.write("state.json", r#"{"bookmarks":{"orders":{"files":{"data/a.csv":{}}}}}"#);
    let call = Call::new(&folder, "tap-csv", CONFIG).argument("--state").argument("state.json");
    let failure = call.run("").failure();
    assert!(failure.contains("stream 'orders'") && failure.contains("bookmark reset"), "{failure}");
}
