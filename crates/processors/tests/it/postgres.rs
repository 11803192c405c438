//! `postgres-processor`, on a real server.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

use flexcore_plugin_protocol::protobuf::v1::FailureClass;
use flexcore_plugin_sdk::testing::{TestCall, TestPlugin};
use flexcore_testkit::postgres::{Server, SharedServer};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::started;

const NAME: &str = "postgres-processor";

/// Held until the process of the tests ends, so that the server stays.
static SERVER: OnceCell<SharedServer> = OnceCell::const_new();

/// A plugin on a database of its own.
async fn on_database(config: Value) -> (TestPlugin, String) {
    let server = SERVER.get_or_try_init(Server::shared).await.expect("make setup");
    let url = server.database().await.expect("a database");
    (on(&url, config).await, url)
}

async fn on(url: &str, config: Value) -> TestPlugin {
    let plugin = started(NAME).await;
    plugin.initialize(&config, &[("warehouse", url)]).await.expect("the settings are right");
    plugin
}

#[tokio::test]
async fn rows_are_records_whose_numbers_are_exact() {
    let statement = "SELECT 1.10000000000000000001 AS n, 9223372036854775807::int8 AS big, \
                     'x'::text AS t, NULL AS nothing, DATE '2024-02-29' AS day, \
                     '{\"a\": 1.50}'::json AS j, ARRAY[1,2] AS list -- done";
    let (plugin, _) = on_database(json!({"statement": statement})).await;
    let answer = plugin.call(TestCall::records([])).await.unwrap();
    assert_eq!(
        answer.lines,
        [(
            "rows".to_owned(),
            "{\"n\":1.10000000000000000001,\"big\":9223372036854775807,\"t\":\"x\",\
             \"nothing\":null,\"day\":\"2024-02-29\",\"j\":{\"a\": 1.50},\"list\":[1,2]}"
                .to_owned()
        )]
    );
    assert_eq!(answer.result(), json!({"records": 0, "rows": 1, "affected": 0}));
}

#[tokio::test]
async fn many_rows_flow_within_the_credit() {
    let config = json!({"statement": "SELECT i FROM generate_series(1, $1::int) AS i ORDER BY i"});
    let (plugin, _) = on_database(config).await;
    let call = TestCall::parameters(&json!({"parameters": [20_000]})).credit(2, 20_000);
    let answer = plugin.call(call).await.unwrap();
    assert_eq!(answer.result()["rows"], json!(20_000));
    assert_eq!(answer.records("rows").last(), Some(&json!({"i": 20_000})));
}

#[tokio::test]
async fn records_go_in_with_every_digit_and_all_or_none() {
    let (plugin, url) = on_database(
        json!({"statement": "CREATE TABLE t (id int8 PRIMARY KEY, n numeric, j jsonb)"}),
    )
    .await;
    assert!(plugin.call(TestCall::records([])).await.unwrap().is_completed());
    let insert = json!({
        "statement": "INSERT INTO t VALUES ($1, $2, $3) RETURNING id",
        "bind": ["id", "n", "j"],
    });
    let plugin = on(&url, insert).await;
    let good = [
        r#"{"id":1,"n":0.10000000000000000001,"j":"text"}"#,
        r#"{"id":2,"n":"18446744073709551617","j":{"a":[1.5]},"more":0}"#,
        r#"{"id":3}"#,
    ];
    let answer = plugin.call(TestCall::lines(good.map(str::to_owned))).await.unwrap();
    assert_eq!(answer.records("rows"), [json!({"id": 1}), json!({"id": 2}), json!({"id": 3})]);
    let bad = [r#"{"id":4}"#, r#"{"id":1}"#].map(str::to_owned);
    let answer = plugin.call(TestCall::lines(bad)).await.unwrap();
    let failure = answer.failure().unwrap();
    assert_eq!(failure.class, FailureClass::Data);
    assert!(failure.message.starts_with("record 2: "), "{failure:?}");
    assert!(failure.message.contains("(23505)"), "{failure:?}");

    let select = json!({"statement": "SELECT * FROM t ORDER BY id", "read_only": true});
    let answer = on(&url, select).await.call(TestCall::records([])).await.unwrap();
    let lines: Vec<&str> = answer.lines.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(
        lines,
        [
            r#"{"id":1,"n":0.10000000000000000001,"j":"text"}"#,
            r#"{"id":2,"n":18446744073709551617,"j":{"a": [1.5]}}"#,
            r#"{"id":3,"n":null,"j":null}"#,
        ]
    );
}

#[tokio::test]
async fn statements_of_other_kinds_run_too() {
    let (plugin, url) = on_database(json!({"statement": "SHOW server_encoding"})).await;
    let answer = plugin.call(TestCall::records([])).await.unwrap();
    assert_eq!(answer.records("rows"), [json!({"server_encoding": "UTF8"})]);
    let vacuum = on(&url, json!({"statement": "VACUUM;", "transaction": false})).await;
    assert!(vacuum.call(TestCall::records([])).await.unwrap().is_completed());
}

#[tokio::test]
async fn what_the_server_refuses_is_said() {
    let (_, url) = on_database(json!({"statement": "SELECT 1"})).await;
    for (config, class, message) in [
        (json!({"statement": "SELEC 1"}), FailureClass::Configuration, "at character 1"),
        (json!({"statement": "SELECT 1 AS a, 2 AS a"}), FailureClass::Configuration, "called `a`"),
        (
            json!({"statement": "SELECT $1::int"}),
            FailureClass::Configuration,
            "1 values to fill in",
        ),
        (json!({"statement": "SELECT 1/0"}), FailureClass::Data, "division by zero"),
        (
            json!({"statement": "CREATE TABLE x ()", "read_only": true}),
            FailureClass::Configuration,
            "read-only",
        ),
        (
            json!({"statement": "SELECT pg_sleep(60)", "statement_timeout_ms": 20}),
            FailureClass::Network,
            "statement timeout",
        ),
        (
            json!({"statement": "SELECT $1::int", "parameters": ["x"]}),
            FailureClass::Data,
            "invalid input syntax",
        ),
    ] {
        let plugin = on(&url, config).await;
        let answer = plugin.call(TestCall::records([])).await.unwrap();
        let failure = answer.failure().expect(message);
        assert_eq!(failure.class, class, "{failure:?}");
        assert!(failure.message.contains(message), "{failure:?}");
    }
}

#[tokio::test]
async fn the_connection_is_made_anew_after_it_broke() {
    let statement = "SELECT pg_backend_pid() AS pid";
    let (plugin, url) = on_database(json!({"statement": statement})).await;
    let first = plugin.call(TestCall::records([])).await.unwrap().records("rows").remove(0);
    let again = plugin.call(TestCall::records([])).await.unwrap().records("rows").remove(0);
    assert_eq!(first, again, "it is kept between calls");
    let kill = "SELECT pg_terminate_backend($1::int, 10000) AS killed";
    let killer = on(&url, json!({"statement": kill, "parameters": [first["pid"]]})).await;
    let answer = killer.call(TestCall::records([])).await.unwrap();
    assert_eq!(answer.records("rows"), [json!({"killed": true})]);
    // The plugin may learn of it only by its next statement.
    let mut answer = plugin.call(TestCall::records([])).await.unwrap();
    if !answer.is_completed() {
        assert_eq!(answer.failure().unwrap().class, FailureClass::Network);
        answer = plugin.call(TestCall::records([])).await.unwrap();
    }
    assert_ne!(answer.records("rows")[0], first);
}

#[tokio::test]
async fn a_cancelled_call_stops_the_server_too() {
    let marker = "SELECT pg_sleep(600) /* until it is cancelled */";
    let (plugin, url) = on_database(json!({"statement": marker})).await;
    let answer = plugin.call(TestCall::records([]).cancel_after(0)).await.unwrap();
    assert_eq!(answer.failure().unwrap().class, FailureClass::Cancelled);
    let running = "SELECT count(*) AS n FROM pg_stat_activity WHERE state = 'active' \
                   AND datname = current_database() AND query LIKE '%until it is cancelled%' \
                   AND pid <> pg_backend_pid()";
    let watcher = on(&url, json!({"statement": running})).await;
    loop {
        let answer = watcher.call(TestCall::records([])).await.unwrap();
        if answer.records("rows") == [json!({"n": 0})] {
            break;
        }
    }
}

#[tokio::test]
async fn settings_and_servers_that_cannot_be_used() {
    let plugin = started(NAME).await;
    for (config, pointer) in [
        (json!({"statement": " "}), "/statement"),
        (json!({"statement": "SELECT 1", "dsn": "nonsense=1"}), "/dsn"),
        (json!({"statement": "SELECT 1", "dsn": "postgresql://u:p@h/d"}), "/dsn"),
        (json!({"statement": "SELECT 1", "read_only": true, "transaction": false}), "/read_only"),
        (json!({"statement": "SELECT 1", "bind": ["a"], "parameters": [1]}), "/parameters"),
        (json!({"statement": "SELECT 1", "dsn": "host=a", "dsn_secret": "b"}), "/dsn_secret"),
    ] {
        let problems = plugin.validate(&config).await.unwrap();
        assert_eq!(problems[0].pointer, pointer, "{problems:?}");
        assert!(!problems[0].message.contains(":p@"), "{problems:?}");
    }
    let config = json!({"statement": "SELECT 1"});
    let none = plugin.initialize(&config, &[]).await.unwrap_err();
    assert!(none.to_string().contains("no server to connect to"), "{none}");
    let wrong = plugin.initialize(&config, &[("dsn", "hunter2")]).await.unwrap_err();
    assert!(!wrong.to_string().contains("hunter2"), "{wrong}");
    // Nobody listens on port 1.
    let away = plugin.initialize(&config, &[("dsn", "postgresql://u:hunter2@127.0.0.1:1/d")]).await;
    let away = away.unwrap_err().to_string();
    assert!(away.contains("cannot connect to PostgreSQL") && !away.contains("hunter2"), "{away}");
}

#[tokio::test]
async fn a_server_has_to_prove_its_name_for_tls() {
    let server = Server::start().await.expect("make setup");
    let url = server.database().await.unwrap();
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/tls");
    let owner = fs::metadata(server.data()).unwrap();
    for name in ["server.crt", "server.key"] {
        let file = server.data().join(name);
        fs::copy(files.join(name), &file).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    server.sql(&url, "ALTER SYSTEM SET ssl = on").await.unwrap();
    server.sql(&url, "SELECT pg_reload_conf()").await.unwrap();
    let statement = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let secure = format!("{url}{}sslmode=require", if url.contains('?') { '&' } else { '?' });
    let authority = fs::read_to_string(files.join("ca.crt")).unwrap();
    let config = json!({"statement": statement, "ca_certificates": authority});
    // The server takes its settings in when it comes to it.
    let plugin = loop {
        let plugin = started(NAME).await;
        match plugin.initialize(&config, &[("dsn", &secure)]).await {
            Ok(_) => break plugin,
            Err(error) => assert!(error.to_string().contains("TLS"), "{error}"),
        }
    };
    let answer = plugin.call(TestCall::records([])).await.unwrap();
    assert_eq!(answer.records("rows"), [json!({"ssl": true})]);
    let plain = on(&url, json!({"statement": statement})).await;
    let answer = plain.call(TestCall::records([])).await.unwrap();
    assert_eq!(answer.records("rows"), [json!({"ssl": false})]);
    // The authorities of the system know nothing of this one.
    let config = json!({"statement": statement});
    let error = started(NAME).await.initialize(&config, &[("dsn", &secure)]).await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    let config = json!({"statement": statement, "ca_certificates": "none"});
    let error = started(NAME).await.initialize(&config, &[("dsn", &secure)]).await.unwrap_err();
    assert!(error.to_string().contains("`ca_certificates`"), "{error}");
}
