//! The schema, the rights of roles, and what keeps a store from being opened.

use flexcore_eventsourcing::Append;
use flexcore_ports::{EventStore as _, LogVerifier as _, ReadFilter};
use flexcore_store_postgres::{
    Migrated, OpenError, PostgresOptions, PostgresStore, Role, migrate, status,
};
use flexcore_testkit::{
    event,
    postgres::{RoleUrls, Server},
    stream,
};

use crate::support::writer;

async fn open(url: &str, role: Role) -> Result<PostgresStore, OpenError> {
    PostgresStore::open(PostgresOptions::new(url, role)).await
}

#[tokio::test]
async fn an_empty_database_becomes_a_store() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    assert!(matches!(open(&url, Role::Reader).await, Err(OpenError::NotMigrated { found: 0, .. })));
    assert_eq!(status(&url).await.unwrap().log, None);
    writer(&url).await.close().await.unwrap();
    open(&url, Role::Reader).await.unwrap().close().await.unwrap();
    let status = status(&url).await.unwrap();
    assert_eq!(status.schema_version, status.newest_schema_version);
    assert!(status.fsync && status.full_page_writes && !status.is_in_recovery);
    let log = status.log.unwrap();
    assert!(log.append_only_by_triggers);
    assert!(!log.append_only_by_rights, "a superuser may do everything");
    assert!(log.positions_ahead >= 25_000_000, "{log:?}");
}

#[tokio::test]
async fn many_that_open_an_empty_database_at_once_migrate_it_once() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let url = url.clone();
        tasks.spawn(async move { writer(&url).await.close().await.unwrap() });
    }
    tasks.join_all().await;
    let newest = status(&url).await.unwrap().newest_schema_version;
    assert_eq!(migrate(&url, None).await.unwrap(), Migrated { from: newest, to: newest });
}

#[tokio::test]
async fn a_step_that_was_changed_is_refused() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    writer(&url).await.close().await.unwrap();
    let sql = "UPDATE flexcore.migration SET checksum = sha256(checksum) WHERE number = 1";
    server.sql(&url, sql).await.unwrap();
    for role in [Role::Writer, Role::Reader] {
        let refused = open(&url, role).await.map(drop);
        assert!(matches!(refused, Err(OpenError::Changed { number: 1, .. })), "{refused:?}");
    }
    assert!(matches!(migrate(&url, None).await, Err(OpenError::Changed { number: 1, .. })));
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    writer(&url).await.close().await.unwrap();
    let sql = "INSERT INTO flexcore.migration VALUES (900, 'future', '')";
    server.sql(&url, sql).await.unwrap();
    let refused = open(&url, Role::Writer).await.map(drop);
    assert!(matches!(refused, Err(OpenError::Newer { found: 900, .. })), "{refused:?}");
    assert_eq!(status(&url).await.unwrap().schema_version, 900);
}

/// A store that its owner migrated, and an append by the application's role.
async fn separated(server: &flexcore_testkit::postgres::SharedServer) -> (RoleUrls, PostgresStore) {
    let roles = server.database_with_roles().await.unwrap();
    migrate(&roles.owner, Some(&roles.app_role)).await.unwrap();
    let store = writer(&roles.app).await;
    let append = Append::to(stream("a"), 0, vec![event(1), event(2)]);
    store.events().append(append).await.unwrap();
    (roles, store)
}

#[tokio::test]
async fn the_application_appends_and_can_change_nothing() {
    let server = Server::shared().await.unwrap();
    let (roles, store) = separated(&server).await;
    assert_eq!(store.events().read_all(0, 9, &ReadFilter::default()).await.unwrap().len(), 2);
    assert_eq!(store.verifier().verify(&[]).await.unwrap().fault, None);
    assert!(status(&roles.app).await.unwrap().log.unwrap().append_only_by_rights);
    for sql in [
        "UPDATE flexcore.event SET version = 7",
        "DELETE FROM flexcore.event",
        "TRUNCATE flexcore.event",
        "DELETE FROM flexcore.event_1",
        "INSERT INTO flexcore.batch SELECT * FROM flexcore.batch",
        "UPDATE flexcore.batch SET hash = root",
        "UPDATE flexcore.stream SET version = 0",
        "ALTER TABLE flexcore.event DISABLE TRIGGER ALL",
        "DROP TABLE flexcore.batch",
    ] {
        let sql = format!("SET ROLE {}; {sql}", roles.app_role);
        let refused = server.sql(&roles.app, &sql).await.unwrap_err();
        let words = format!("{refused:#}");
        assert!(words.contains("permission denied") || words.contains("owner"), "{sql}: {words}");
    }
}

#[tokio::test]
async fn triggers_hold_back_the_owner() {
    let server = Server::shared().await.unwrap();
    let (roles, _store) = separated(&server).await;
    for table in ["event", "event_1", "batch"] {
        for sql in [
            format!("UPDATE flexcore.{table} SET committed_at = 0"),
            format!("DELETE FROM flexcore.{table}"),
            format!("TRUNCATE flexcore.{table}"),
        ] {
            let refused = format!("{:#}", server.sql(&roles.owner, &sql).await.unwrap_err());
            assert!(refused.contains("append-only"), "{sql}: {refused}");
        }
    }
    let sql = "ALTER TABLE flexcore.event_1 DISABLE TRIGGER append_only";
    server.sql(&roles.owner, sql).await.unwrap();
    assert!(!status(&roles.owner).await.unwrap().log.unwrap().append_only_by_triggers);
}

#[tokio::test]
async fn a_role_without_rights_learns_what_to_do() {
    let server = Server::shared().await.unwrap();
    let roles = server.database_with_roles().await.unwrap();
    let refused = open(&roles.app, Role::Writer).await.unwrap_err();
    assert!(matches!(refused, OpenError::NotMigrated { found: 0, .. }), "{refused:?}");
    assert!(refused.to_string().contains("flexcore store migrate"), "{refused}");
    migrate(&roles.owner, None).await.unwrap();
    let refused = open(&roles.app, Role::Writer).await.unwrap_err();
    assert!(matches!(refused, OpenError::Rights { .. }), "{refused:?}");
    assert!(refused.to_string().contains("--app-role"), "{refused}");
}

#[tokio::test]
async fn a_wrong_url_says_what_is_wrong_and_shows_no_password() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    let (login, host) = url.split_once("://").unwrap().1.rsplit_once('@').unwrap();
    let user = login.split(':').next().unwrap();
    let (place, database) = host.split_once('/').unwrap();
    let cases = [
        (format!("postgres://{user}:wrong-word@{host}"), "login"),
        (format!("postgres://{login}@{place}/absent"), "login"),
        (format!("postgres://{login}@127.0.0.1:1/{database}"), "unreachable"),
        (format!("{url}?sslmode=require"), "unreachable"),
        (format!("{url}?sslmode=verify-full&sslrootcert=/absent.pem"), "malformed"),
        (format!("{url}?unknown=option"), "malformed"),
    ];
    for (url, kind) in cases {
        let error = open(&url, Role::Writer).await.unwrap_err();
        let found = match &error {
            OpenError::Login { .. } => "login",
            OpenError::Unreachable { .. } => "unreachable",
            OpenError::BadUrl { .. } => "malformed",
            _ => "another",
        };
        assert_eq!(found, kind, "{error}");
        let password = login.split_once(':').map_or("wrong-word", |(_, password)| password);
        let words = format!("{error} {error:?}");
        assert!(!words.contains(password) && !words.contains("wrong-word"), "{words}");
    }
}
