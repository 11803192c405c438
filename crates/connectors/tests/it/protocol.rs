//! Flags, configuration, and the messages that targets must refuse or pass over.

use flexcore_connectors::{about, names};
use proptest::prelude::*;
use rustix::process::Signal;

use crate::process::{Call, Folder};

const SCHEMA: &str = r#"{"type":"SCHEMA","stream":"s","schema":{"type":"object","properties":{"id":{"type":"integer"},"x":{"type":["string","null"]}}},"key_properties":["id"]}"#;
const TARGETS: [&str; 3] = ["target-jsonl", "target-csv", "target-sqlite"];

fn record(record: &str) -> String {
    format!("{{\"type\":\"RECORD\",\"stream\":\"s\",\"record\":{record}}}")
}

fn target<'a>(folder: &'a Folder, name: &'static str) -> Call<'a> {
    let config = if name == "target-sqlite" { r#"{"path":"w.db"}"# } else { r#"{"path":"out"}"# };
    Call::new(folder, name, config)
}

fn failure(name: &'static str, lines: &[&str]) -> String {
    let folder = Folder::new();
    target(&folder, name).run(format!("{}\n", lines.join("\n"))).failure()
}

#[test]
fn every_connector_says_what_it_is() {
    for name in names() {
        let folder = Folder::new();
        let printed = Call::bare(&folder, name).argument("--about").run("").ok();
        let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(printed, serde_json::to_value(about(name).unwrap()).unwrap());
        assert_eq!(printed["settings"]["type"], "object", "{name}");
        let version = Call::bare(&folder, name).argument("--version").run("").ok();
        assert_eq!(version.trim(), format!("{name} {}", env!("CARGO_PKG_VERSION")));
    }
    assert_eq!(about("tap-nothing"), None);
}

#[test]
fn the_settings_of_every_connector_are_described() {
    for name in names() {
        insta::assert_json_snapshot!(format!("settings_of_{name}"), about(name).unwrap().settings);
    }
}

#[test]
fn wrong_calls_end_with_exit_code_2_and_a_hint() {
    let folder = Folder::new();
    let stderr = |call: Call<'_>| {
        let outcome = call.run("");
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        outcome.stderr
    };
    insta::assert_snapshot!(
        [
            stderr(Call::bare(&folder, "tap-csv")),
            stderr(Call::bare(&folder, "tap-cvs")),
            stderr(Call::bare(&folder, "target-csv").argument("--discover")),
            stderr(Call::new(&folder, "tap-csv", r#"{"files":[{"path":"a","keys":["id"]}]}"#)),
            stderr(Call::new(&folder, "tap-csv", r#"{"files":[{"path":"a","delimiter":";;"}]}"#)),
            stderr(Call::new(&folder, "target-sqlite", r#"{"path":"a","decimals":"exact"}"#)),
            stderr(Call::new(&folder, "target-jsonl", "{}")),
            stderr(Call::bare(&folder, "target-jsonl").argument("--config=missing.json")),
        ]
        .concat()
    );
}

#[test]
fn broken_input_is_located() {
    let good = record(r#"{"id":1,"x":"a"}"#);
    let mut lines = Vec::new();
    for name in TARGETS {
        lines.push(failure(name, &[SCHEMA, &good, "INFO not a message"]));
        lines.push(failure(name, &[&good]));
        lines.push(failure(name, &[SCHEMA, &record(r#"{"id":NaN}"#)]));
        lines.push(failure(name, &[SCHEMA, "", r#"{"type":"RECORD","stream":"s"}"#]));
        let batch = r#"{"type":"BATCH","stream":"s","encoding":{"format":"jsonl","compression":"gzip"},"manifest":[]}"#;
        lines.push(failure(name, &[SCHEMA, batch]));
    }
    for name in ["target-csv", "target-sqlite"] {
        lines.push(failure(name, &[SCHEMA, &record(r#"{"x":"a"}"#)]));
        lines.push(failure(name, &[SCHEMA, &record(r#"{"id":null}"#)]));
        lines.push(failure(name, &[SCHEMA, &record(r#"{"id":1,"y":2}"#)]));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn bytes_that_are_not_utf8_and_half_a_line_are_located() {
    let folder = Folder::new();
    let mut input = format!("{SCHEMA}\n").into_bytes();
    input.extend(b"{\"type\":\"RECORD\",\"stream\":\"s\",\"record\":{\"id\":1,\"x\":\"\xff\"}}\n");
    let message = target(&folder, "target-jsonl").run(&input).failure();
    assert!(
        message.ends_with(
            "line 2 of the input is no Singer message: not a JSON object: byte 53: not UTF-8"
        ),
        "{message}"
    );

    let half = format!("{SCHEMA}\n{}", &record(r#"{"id":1}"#)[..30]);
    let message = target(&folder, "target-jsonl").run(half).failure();
    assert!(message.contains("the input ends within line 2"), "{message}");
    let whole = format!("{SCHEMA}\n{}", record(r#"{"id":1}"#));
    target(&folder, "target-jsonl").run(whole).ok();
    assert_eq!(folder.read("out/s.jsonl"), "{\"id\":1}\n");
}

#[test]
fn what_came_after_the_last_state_is_taken_back_on_a_failure() {
    for name in TARGETS {
        let folder = Folder::new();
        let mut running = target(&folder, name).spawn();
        running.send(&format!("{SCHEMA}\n{}\n", record(r#"{"id":1,"x":"a"}"#)));
        running.send("{\"type\":\"STATE\",\"value\":{\"at\":1}}\n");
        assert_eq!(running.line(), "{\"at\":1}", "{name}");
        running.send(&format!("{}\noops\n", record(r#"{"id":2,"x":"b"}"#)));
        running.end().failure();
        assert_eq!(ids(&folder, name), ["1"], "{name}");
    }
}

/// The ids of what a target has stored.
fn ids(folder: &Folder, name: &str) -> Vec<String> {
    match name {
        "target-jsonl" => folder
            .read("out/s.jsonl")
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].to_string())
            .collect(),
        "target-csv" => folder
            .read("out/s.csv")
            .lines()
            .skip(1)
            .map(|line| line.split(',').next().unwrap().to_owned())
            .collect(),
        _ => {
            let database = rusqlite::Connection::open(folder.path().join("w.db")).unwrap();
            let mut select = database.prepare("SELECT id FROM s ORDER BY id").unwrap();
            let ids = select.query_map([], |row| row.get::<_, i64>(0)).unwrap();
            ids.map(|id| id.unwrap().to_string()).collect()
        }
    }
}

#[test]
fn states_are_echoed_byte_for_byte_once_the_newest_is_durable() {
    for name in TARGETS {
        let folder = Folder::new();
        let states: String = (0..50)
            .map(|n| {
                format!(
                    "{}\n{{\"type\":\"STATE\",\"value\":{{\"at\" : {n}.50}}}}\n",
                    record(&format!("{{\"id\":{n}}}"))
                )
            })
            .collect();
        let echoed = target(&folder, name).run(format!("{SCHEMA}\n{states}")).ok();
        assert_eq!(echoed.lines().last(), Some("{\"at\" : 49.50}"), "{name}");
        assert!(echoed.lines().count() < 10, "{name} does not pay for each of many STATEs");
        assert_eq!(ids(&folder, name).len(), 50, "{name}");
    }
}

#[test]
fn sigterm_confirms_what_was_received_and_ends_well() {
    for name in TARGETS {
        let folder = Folder::new();
        let mut running = target(&folder, name).spawn();
        running.send(&format!("{SCHEMA}\n{}\n", record(r#"{"id":1}"#)));
        running.send("{\"type\":\"STATE\",\"value\":{\"at\":1}}\n");
        assert_eq!(running.line(), "{\"at\":1}");
        running.send(&format!("{}\n", record(r#"{"id":2}"#)));
        running.send("{\"type\":\"STATE\",\"value\":{\"at\":2}}\n");
        assert_eq!(running.line(), "{\"at\":2}");
        running.signal(Signal::TERM);
        let outcome = running.wait();
        assert_eq!(outcome.code, Some(0), "{name}: {}", outcome.stderr);
        assert_eq!(ids(&folder, name), ["1", "2"], "{name}");
    }
}

#[test]
fn unknown_messages_and_blank_lines_are_passed_over_and_batches_are_read() {
    for name in TARGETS {
        let folder = Folder::new();
        let file = folder.write("batch 1.jsonl", "{\"id\":1,\"x\":\"a\"}\n\n{\"id\":2}\n");
        let url = format!("file://{}", file.display()).replace(' ', "%20");
        let batch = format!(
            r#"{{"type":"BATCH","stream":"s","encoding":{{"format":"jsonl","compression":"none"}},"manifest":["{url}"]}}"#
        );
        let input = format!("{SCHEMA}\n\n{{\"type\":\"HELLO\"}}\n{batch}\n");
        target(&folder, name).run(input).ok();
        assert_eq!(ids(&folder, name), ["1", "2"], "{name}");
    }
}

#[test]
fn a_second_writer_of_one_file_is_refused() {
    for name in ["target-jsonl", "target-csv"] {
        let folder = Folder::new();
        let mut first = target(&folder, name).spawn();
        first.send(&format!("{SCHEMA}\n{{\"type\":\"STATE\",\"value\":{{}}}}\n"));
        assert_eq!(first.line(), "{}");
        let second = target(&folder, name).run(format!("{SCHEMA}\n")).failure();
        assert!(second.contains("is being written by another process"), "{second}");
        first.end().ok();
    }
}

#[test]
fn a_csv_file_of_other_columns_is_refused() {
    let folder = Folder::new();
    folder.write("out/s.csv", "a,b\n1,2\n");
    let message = target(&folder, "target-csv").run(format!("{SCHEMA}\n")).failure();
    assert!(message.contains("begins with other columns: a, b instead of id, x"), "{message}");
    let wider = SCHEMA.replace(r#""x":"#, r#""y":{},"x":"#);
    let folder = Folder::new();
    let message = target(&folder, "target-csv").run(format!("{SCHEMA}\n{wider}\n")).failure();
    assert!(message.contains("the file has no column 'y'"), "{message}");
}

#[test]
fn odd_stream_names_stay_in_their_folder() {
    let folder = Folder::new();
    let schema = SCHEMA.replace("\"s\"", "\"../../odd name\"");
    target(&folder, "target-jsonl").run(format!("{schema}\n")).ok();
    assert!(folder.path().join("out/%2E.%2F..%2Fodd name.jsonl").exists());
}

/// Bytes, and lines that are nearly messages.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<Vec<u8>>(),
        Just(format!("{SCHEMA}\n").into_bytes()),
        "[{}\\[\\]\",:\\\\a-z0-9\r\n.-]{0,30}".prop_map(String::into_bytes),
        "-?[0-9]{1,30}(\\.[0-9]{0,30})?(e[0-9]{1,4})?"
            .prop_map(|number| record(&format!("{{\"id\":{number},\"x\":null}}\n")).into_bytes()),
        "\\PC{0,10}".prop_map(|text| {
            let text = serde_json::to_string(&text).unwrap();
            format!("{}\n", record(&format!("{{\"id\":1,{text}:{text}}}"))).into_bytes()
        }),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_input_makes_a_target_panic(input in hostile(), which in 0_usize..3) {
        let folder = Folder::new();
        let outcome = target(&folder, TARGETS[which]).run(&input);
        prop_assert!(matches!(outcome.code, Some(0 | 1)), "{:?} {}", outcome.code, outcome.stderr);
    }

    #[test]
    fn no_file_makes_a_tap_panic(content in hostile(), is_csv: bool) {
        let folder = Folder::new();
        folder.write("in", content);
        let name = if is_csv { "tap-csv" } else { "tap-jsonl" };
        let outcome = Call::new(&folder, name, r#"{"files":[{"path":"in"}]}"#).run("");
        prop_assert!(matches!(outcome.code, Some(0 | 1)), "{:?} {}", outcome.code, outcome.stderr);
    }
}
