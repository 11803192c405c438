use super::*;
use crate::store_status::StoreFile;

fn database() -> DatabaseStatus {
    DatabaseStatus {
        server: "database flexcore on db:5432".to_owned(),
        server_version: "15.18".to_owned(),
        is_in_recovery: false,
        role: "app".to_owned(),
        schema_version: 3,
        newest_schema_version: 3,
        fsync: true,
        synchronous_commit: "on".to_owned(),
        full_page_writes: true,
        log: Some(DatabaseLogStatus {
            position: 1_234_567,
            batch: 4_321,
            owner: "flexcore".to_owned(),
            append_only_by_rights: true,
            append_only_by_triggers: true,
            partitions: 2,
            positions_ahead: 98_765_433,
            bytes: 3 << 30,
        }),
        writer: None,
    }
}

#[test]
fn a_folder_is_told_with_its_files_and_its_writer() {
    let status = FolderStatus {
        folder: "/project/.flexcore".to_owned(),
        format: 1,
        newest_format: 1,
        journal_mode: Some("wal".to_owned()),
        writer: Some(StoreWriter { pid: Some(7), purpose: "run of `flights`".to_owned() }),
        files: vec![
            StoreFile { name: "log.db".to_owned(), bytes: 4_096 },
            StoreFile { name: "views-1.db".to_owned(), bytes: 123 },
        ],
    };
    let text = store_status_text(&StoreStatus::Sqlite(status), Style::PLAIN);
    insta::assert_snapshot!(text);
}

#[test]
fn a_database_is_told_with_its_rights() {
    let text = store_status_text(&StoreStatus::Postgresql(database()), Style::PLAIN);
    insta::assert_snapshot!(text);
}

#[test]
fn what_endangers_the_log_is_said() {
    let mut status = database();
    status.fsync = false;
    status.synchronous_commit = "off".to_owned();
    status.schema_version = 2;
    status.is_in_recovery = true;
    let log = status.log.as_mut().unwrap();
    (log.append_only_by_rights, log.append_only_by_triggers) = (false, false);
    let text = store_status_text(&StoreStatus::Postgresql(status), Style::PLAIN);
    insta::assert_snapshot!(text);
}

#[test]
fn a_migration_says_what_it_did() {
    let migration = |from, app_role: Option<&str>| {
        let app_role = app_role.map(str::to_owned);
        let server = "database d on h:1".to_owned();
        store_migration_text(&StoreMigration { server, from, to: 3, app_role }, Style::PLAIN)
    };
    assert_eq!(migration(0, None), "database d on h:1 has a store now, with schema 3\n");
    assert_eq!(migration(3, None), "database d on h:1 has schema 3 already\n");
    let text = migration(2, Some("app"));
    assert!(text.starts_with("database d on h:1 was brought from schema 2 to 3\nrole app may"));
}
