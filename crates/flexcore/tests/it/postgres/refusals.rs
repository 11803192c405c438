//! What stands between a run and its database, and how it is told.

use insta::assert_snapshot;

use super::Database;
use crate::project::{Project, redact};

const ONE: &str = "pipeline: a\nsteps:\n  - { id: a, command: { argv: [\"true\"] } }\n";

/// What a run and a list say, with ports and names of databases replaced.
fn told(project: &Project, url: &str, code: i32) -> String {
    let mut command = project.command(&["run", "pipeline.yaml"]);
    command.env("FLEXCORE_DATABASE_URL", url);
    let output = command.output().expect("the binary starts");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "{text}");
    for secret in ["hush", &password(url)] {
        assert!(secret.is_empty() || !text.contains(secret), "{text}");
    }
    let mut text = redact(project, &text);
    for (part, name) in parts(url) {
        text = text.replace(&part, name);
    }
    text
}

fn password(url: &str) -> String {
    let login = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
    let password = login.and_then(|(login, _)| login.split_once(':'));
    password.map(|(_, password)| password.to_owned()).unwrap_or_default()
}

/// What differs from run to run: the port and the name of the database.
fn parts(url: &str) -> Vec<(String, &'static str)> {
    let place = url.rsplit('@').next().unwrap_or_default();
    let (host, database) = place.split_once('/').unwrap_or((place, ""));
    let mut parts = vec![(host.to_owned(), "[server]")];
    if database.len() > 3 {
        parts.push((database.to_owned(), "[database]"));
    }
    parts
}

#[test]
fn an_address_that_cannot_be_understood_is_refused() {
    let project = Project::with(ONE);
    assert_snapshot!(told(&project, "postgres://app:hush@db:port/x", 4));
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    let project = Project::with(ONE);
    // A port that was free a moment ago, and is closed.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr();
    let port = port.expect("an address").port();
    let text = told(&project, &format!("postgres://app:hush@127.0.0.1:{port}/x"), 5);
    assert!(text.contains("FC0408") && text.contains("[server]"), "{text}");
}

#[test]
fn a_wrong_password_and_a_wrong_database_are_told_apart_from_no_answer() {
    let database = Database::new();
    let project = database.of(Project::with(ONE));
    let wrong = database.url().replacen(&password(database.url()), "hush", 1);
    assert_snapshot!("wrong_password", told(&project, &wrong, 5));
    let (server, _) = database.url().rsplit_once('/').expect("a URL");
    assert_snapshot!("wrong_database", told(&project, &format!("{server}/nowhere"), 5));
}

#[test]
fn a_role_without_rights_is_told_what_to_ask_for() {
    let (database, roles) = Database::with_roles();
    let mut project = Project::with(ONE);
    project.set("FLEXCORE_DATABASE_URL", &roles.owner);
    project.flexcore(&["store", "migrate"]).completes();
    let text = told(&project, &roles.app, 5).replace(&roles.app_role, "[role]");
    assert_snapshot!(text);
    drop(database);
}

#[test]
fn an_older_schema_is_migrated_by_its_owner_only() {
    let (database, roles) = Database::with_roles();
    let mut project = Project::with(ONE);
    project.set("FLEXCORE_DATABASE_URL", &roles.owner);
    project.flexcore(&["store", "migrate", "--app-role", &roles.app_role]).completes();
    // As if the newest step were still to come.
    database.sql(
        "DELETE FROM flexcore.migration WHERE number = (SELECT max(number) FROM flexcore.migration)",
    );
    let text = told(&project, &roles.app, 5).replace(&roles.app_role, "[role]");
    assert!(text.contains("FC0411") && text.contains("store migrate"), "{text}");
}

#[test]
fn a_newer_schema_is_left_alone() {
    let database = Database::new();
    let project = database.of(Project::with(ONE));
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    database.sql("INSERT INTO flexcore.migration VALUES (1000000, 'future', '\\x00')");
    let text = told(&project, database.url(), 5);
    assert!(text.contains("FC0404") && text.contains("1000000"), "{text}");
    let status = project.json(&["store", "status"]).completes().value();
    assert_eq!(status["schema_version"], 1_000_000);
}

#[test]
fn passwords_are_shown_nowhere() {
    let database = Database::new();
    let project = database.of(Project::with(ONE));
    let secret = password(database.url());
    assert!(!secret.is_empty());
    let verbose = ["run", "pipeline.yaml", "-vvv"];
    let run = project.flexcore(&verbose).completes();
    let plan = project.flexcore(&["plan", "pipeline.yaml"]).completes();
    let status = project.json(&["store", "status"]).completes();
    let events = project.json(&["events", "read"]).completes();
    for finished in [&run, &plan, &status, &events] {
        assert!(!finished.stdout.contains(&secret), "{finished}");
        assert!(!finished.stderr.contains(&secret), "{finished}");
    }
    let lock = project.read(".flexcore/store.lock");
    assert!(!lock.contains(&secret), "{lock}");
}
