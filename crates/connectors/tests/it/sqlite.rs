//! What `target-sqlite` makes of schemas and records.

use rusqlite::{Connection, types::Value};

use crate::process::{Call, Folder};

fn schema(stream: &str, properties: &str, key: &str) -> String {
    format!(
        "{{\"type\":\"SCHEMA\",\"stream\":\"{stream}\",\"schema\":{{\"properties\":{properties}}},\"key_properties\":{key}}}\n"
    )
}

fn record(stream: &str, record: &str) -> String {
    format!("{{\"type\":\"RECORD\",\"stream\":\"{stream}\",\"record\":{record}}}\n")
}

fn versioned(record: &str, version: i64) -> String {
    format!("{{\"type\":\"RECORD\",\"stream\":\"s\",\"record\":{record},\"version\":{version}}}\n")
}

fn load(folder: &Folder, input: &str) {
    Call::new(folder, "target-sqlite", r#"{"path":"w.db"}"#).run(input).ok();
}

fn refused(folder: &Folder, config: &str, input: &str) -> String {
    Call::new(folder, "target-sqlite", config).run(input).failure()
}

/// Rows as SQLite literals, so that types show.
fn rows(folder: &Folder, sql: &str) -> Vec<String> {
    let database = Connection::open(folder.path().join("w.db")).unwrap();
    let mut select = database.prepare(sql).unwrap();
    let count = select.column_count();
    select
        .query_map([], |row| {
            let show = |index| match row.get_unwrap::<_, Value>(index) {
                Value::Null => "NULL".to_owned(),
                Value::Integer(number) => number.to_string(),
                Value::Real(number) => format!("{number:?}"),
                Value::Text(text) => format!("'{text}'"),
                Value::Blob(_) => "BLOB".to_owned(),
            };
            Ok((0..count).map(show).collect::<Vec<_>>().join(" "))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn declared(folder: &Folder) -> Vec<String> {
    rows(folder, "SELECT name || ' ' || type || ' ' || pk FROM pragma_table_info('s')")
}

#[test]
fn types_follow_the_schema() {
    let folder = Folder::new();
    let properties = r#"{"id":{"type":"integer"},"n":{"type":"number"},"b":{"type":"boolean"},"t":{"type":"string","format":"date-time"},"o":{"type":"object"},"d":{"type":"string","format":"singer.decimal"}}"#;
    let input = schema("s", properties, "[\"id\"]")
        + &record(
            "s",
            r#"{"id":1,"n":12.50,"b":true,"t":"2024-01-01T00:00:00Z","o":{"a": [1.0]},"d":"1.10"}"#,
        )
        + &record("s", r#"{"id":2,"o":null}"#);
    load(&folder, &input);
    assert_eq!(
        rows(&folder, "SELECT * FROM s ORDER BY id"),
        [r#"1 12.5 1 '2024-01-01T00:00:00Z' '{"a": [1.0]}' '1.10'"#, "2 NULL NULL NULL NULL NULL"]
    );
    assert_eq!(
        declared(&folder),
        ["'id INTEGER 1'", "'n REAL 0'", "'b BOOLEAN 0'", "'t TEXT 0'", "'o TEXT 0'", "'d TEXT 0'"]
    );
}

#[test]
fn the_newest_record_of_a_key_is_its_row() {
    let folder = Folder::new();
    let properties = r#"{"a":{"type":"integer"},"b":{"type":"string"},"x":{"type":"string"}}"#;
    let head = schema("s", properties, "[\"a\",\"b\"]");
    let input = head.clone()
        + &record("s", r#"{"a":1,"b":"k","x":"old"}"#)
        + &record("s", r#"{"a":2,"b":"k","x":"other"}"#)
        + &record("s", r#"{"a":1,"b":"k","x":"new"}"#);
    load(&folder, &input);
    load(&folder, &(head + &record("s", r#"{"a":2,"b":"k"}"#)));
    assert_eq!(rows(&folder, "SELECT * FROM s ORDER BY a"), ["1 'k' 'new'", "2 'k' NULL"]);
}

#[test]
fn a_key_of_all_columns_keeps_one_row() {
    let folder = Folder::new();
    let head = schema("s", r#"{"a":{"type":"integer"}}"#, "[\"a\"]");
    load(&folder, &(head + &record("s", r#"{"a":1}"#) + &record("s", r#"{"a":1}"#)));
    assert_eq!(rows(&folder, "SELECT * FROM s"), ["1"]);
}

#[test]
fn schemas_evolve_by_new_columns_and_wider_types_and_never_narrow() {
    let folder = Folder::new();
    let first = schema("s", r#"{"n":{"type":"integer"},"b":{"type":"boolean"}}"#, "[]");
    load(&folder, &(first.clone() + &record("s", r#"{"n":7,"b":true}"#)));
    let database = Connection::open(folder.path().join("w.db")).unwrap();
    database.execute_batch("CREATE INDEX mine ON s (n); CREATE VIEW v AS SELECT n FROM s").unwrap();
    drop(database);

    let wider = schema(
        "s",
        r#"{"n":{"type":"number"},"b":{"type":["boolean","string"]},"new":{"type":"string"}}"#,
        "[]",
    );
    load(&folder, &(wider + &record("s", r#"{"n":1.5,"b":"x","new":"y"}"#)));
    assert_eq!(
        rows(&folder, "SELECT rowid, n, b, new FROM s"),
        ["1 7.0 'true' NULL", "2 1.5 'x' 'y'"]
    );
    assert_eq!(declared(&folder), ["'n REAL 0'", "'b TEXT 0'", "'new TEXT 0'"]);
    assert_eq!(rows(&folder, "SELECT count(*) FROM sqlite_master WHERE name = 'mine'"), ["1"]);
    assert_eq!(rows(&folder, "SELECT n FROM v ORDER BY n"), ["1.5", "7.0"]);

    load(&folder, &(first + &record("s", r#"{"n":9,"b":false}"#)));
    assert_eq!(rows(&folder, "SELECT * FROM s WHERE rowid = 3"), ["9.0 'false' NULL"]);
}

#[test]
fn a_schema_that_widens_on_the_way_keeps_the_rows_before_it() {
    let folder = Folder::new();
    let input = schema("s", r#"{"n":{"type":"integer"}}"#, "[]")
        + &record("s", r#"{"n":1}"#)
        + &schema("s", r#"{"n":{"type":["integer","string"]}}"#, "[]")
        + &record("s", r#"{"n":"x"}"#);
    load(&folder, &input);
    assert_eq!(rows(&folder, "SELECT * FROM s"), ["'1'", "'x'"]);
}

#[test]
fn digits_that_a_real_would_lose_are_refused_and_text_keeps_them() {
    let properties = r#"{"n":{"type":"number"}}"#;
    let input = schema("s", properties, "[]") + &record("s", r#"{"n":0.12345678901234567}"#);
    let folder = Folder::new();
    let message = refused(&folder, r#"{"path":"w.db"}"#, &input);
    assert!(message.contains("line 2 of the input, stream 's'"), "{message}");
    assert!(message.contains("`decimals: text`"), "{message}");
    Call::new(&folder, "target-sqlite", r#"{"path":"w.db","decimals":"text"}"#).run(&input).ok();
    assert_eq!(rows(&folder, "SELECT n FROM s"), ["'0.12345678901234567'"]);

    let folder = Folder::new();
    let whole = schema("s", r#"{"n":{"type":"integer"}}"#, "[]");
    load(&folder, &(whole + &record("s", r#"{"n":9007199254740993}"#)));
    let message = refused(&folder, r#"{"path":"w.db"}"#, &schema("s", properties, "[]"));
    assert!(
        message.contains("9007199254740993") && message.contains("decimals: text"),
        "{message}"
    );
}

#[test]
fn activate_version_deletes_the_rows_of_other_versions() {
    let folder = Folder::new();
    let head = schema("s", r#"{"id":{"type":"integer"}}"#, "[]");
    load(&folder, &(head.clone() + &record("s", r#"{"id":0}"#)));
    let activate = "{\"type\":\"ACTIVATE_VERSION\",\"stream\":\"s\",\"version\":2}\n";
    let input = head
        + &versioned(r#"{"id":1}"#, 1)
        + &versioned(r#"{"id":2}"#, 2)
        + &versioned(r#"{"id":3}"#, 2)
        + activate;
    load(&folder, &input);
    assert_eq!(rows(&folder, "SELECT id, _sdc_table_version FROM s"), ["2 2", "3 2"]);
}

#[test]
fn what_a_table_cannot_be_is_refused() {
    let message = |input: &str| {
        let folder = Folder::new();
        refused(&folder, r#"{"path":"w.db"}"#, input)
    };
    let id = r#"{"id":{"type":"integer"}}"#;
    let messages = [
        message(&(schema("s", id, "[\"id\"]") + &schema("s", id, "[]"))),
        message(&(schema("s", id, "[]") + &schema("S", id, "[]"))),
        message(&schema("sqlite_x", id, "[]")),
        message(&schema("s", r#"{"Id":{},"id":{}}"#, "[]")),
        message(&schema("s", "{}", "[]")),
        message(&schema("s", id, "[\"key\"]")),
        message(&(schema("s", id, "[]") + &record("s", r#"{"id":"x"}"#))),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn odd_names_are_names_like_any_other() {
    let folder = Folder::new();
    let input = schema(
        "od\\\"d; DROP TABLE x",
        r#"{"rowid":{"type":"integer"},"a b\"c":{"type":"string"}}"#,
        "[]",
    ) + &record("od\\\"d; DROP TABLE x", r#"{"rowid":7,"a b\"c":"v"}"#);
    load(&folder, &input);
    let sql = "SELECT _rowid_, rowid, \"a b\"\"c\" FROM \"od\"\"d; DROP TABLE x\"";
    assert_eq!(rows(&folder, sql), ["1 7 'v'"]);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = Folder::new();
    folder.write("w.db", "this is a text of some length and surely not a database at all");
    let message = refused(&folder, r#"{"path":"w.db"}"#, &schema("s", r#"{"a":{}}"#, "[]"));
    assert!(message.contains("w.db") && message.contains("not a database"), "{message}");
}

#[test]
fn a_database_that_stays_locked_is_said() {
    let folder = Folder::new();
    load(&folder, &schema("s", r#"{"a":{}}"#, "[]"));
    let database = Connection::open(folder.path().join("w.db")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let config = r#"{"path":"w.db","wait_seconds":0}"#;
    let message = refused(&folder, config, &schema("s", r#"{"a":{}}"#, "[]"));
    assert!(message.contains("is being written by another process"), "{message}");
}

#[test]
fn two_syncs_into_one_database_take_turns() {
    let folder = Folder::new();
    let call = Call::new(&folder, "target-sqlite", r#"{"path":"w.db"}"#);
    let row = |stream: &str| record(stream, r#"{"id":1}"#) + "{\"type\":\"STATE\",\"value\":{}}\n";
    let id = r#"{"id":{"type":"integer"}}"#;
    let mut busy = call.spawn();
    busy.send(&schema("a", id, "[]"));
    let mut other = call.spawn();
    other.send(&(schema("b", id, "[]") + &row("b")));
    let waiter = std::thread::spawn(move || {
        let echo = other.line();
        (other, echo)
    });
    // One record and STATE after the other, so that the busy one wants the database nearly always.
    let mut rounds = 0;
    while !waiter.is_finished() && rounds < 400 {
        busy.send(&row("a"));
        assert_eq!(busy.line(), "{}");
        rounds += 1;
    }
    assert!(rounds < 400, "the other one never had its turn");
    let (other, echo) = waiter.join().unwrap();
    assert_eq!(echo, "{}");
    other.end().ok();
    busy.end().ok();
    assert_eq!(rows(&folder, "SELECT count(*) FROM a"), [rounds.to_string()]);
    assert_eq!(rows(&folder, "SELECT id FROM b"), ["1"]);
}
