//! The log as a whole: signed checkpoints, copies, and states as they were.

use std::fs;

use serde_json::Value;

use crate::{postgres::Database, project::Project};

/// A project whose pipeline ran once.
fn ran() -> Project {
    let project = Project::new();
    project.flexcore(&["init"]).completes();
    project.flexcore(&["run", "cities"]).completes();
    project
}

fn head(project: &Project, store: &str) -> Value {
    let verified = project.json(&["--store", store, "events", "verify"]).completes().value();
    assert_eq!(verified["intact"], true, "{verified:#}");
    verified["head"].clone()
}

const VERIFY: [&str; 6] =
    ["events", "verify", "--checkpoint", "log.notes", "--public-key", "log.key.pub"];

#[test]
fn checkpoints_are_signed_and_compared() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = ran();
    project.flexcore(&["events", "keygen", "log.key", "--name", "laptop"]).completes();
    let mode = fs::metadata(project.path("log.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = project.flexcore(&["events", "keygen", "log.key"]).ends_with(4);
    assert!(again.stderr.contains("is there already"), "{again}");
    let sign = ["events", "checkpoint", "--key", "log.key", "--to", "log.notes"];
    project.flexcore(&sign).completes();
    project.flexcore(&["run", "cities"]).completes();
    project.flexcore(&sign).completes();
    let verified = project.json(&VERIFY).completes().value();
    assert_eq!(verified["checkpoints"]["compared"], 2, "{verified:#}");
    let printed = project.flexcore(&["events", "checkpoint", "--key", "log.key"]).completes();
    assert!(printed.stdout.starts_with("flexcore log ") && printed.stdout.contains("— laptop "));
    // A note that somebody changed is named by its line, and the others still count.
    let notes = project.read("log.notes");
    let second =
        notes.lines().skip(1).position(|line| line.starts_with("flexcore log")).unwrap() + 2;
    let position = notes.lines().nth(second).unwrap().to_owned();
    let forged: Vec<&str> =
        notes.lines().enumerate().map(|(n, line)| if n == second { "1" } else { line }).collect();
    assert_ne!(position, "1");
    project.write("log.notes", forged.join("\n") + "\n");
    let refused = project.json(&VERIFY).ends_with(1).value();
    assert_eq!(refused["intact"], true, "{refused:#}");
    assert_eq!(refused["checkpoints"]["compared"], 1);
    assert_eq!(refused["checkpoints"]["refused"][0]["line"], second);
    // The private key where the public one belongs.
    let mut private = VERIFY;
    private[5] = "log.key";
    let refused = project.flexcore(&private).ends_with(4);
    assert!(refused.stderr.contains("FC0516") && refused.stderr.contains("private"), "{refused}");
}

#[test]
fn a_log_that_was_cut_short_or_replaced_is_found_by_its_checkpoints() {
    let project = ran();
    project.flexcore(&["events", "keygen", "log.key"]).completes();
    copy_log_file(&project, "older.db");
    project.flexcore(&["run", "cities"]).completes();
    project
        .flexcore(&["events", "checkpoint", "--key", "log.key", "--to", "log.notes"])
        .completes();
    // An older copy without its views: nothing in it says that something is missing.
    fs::copy(project.path("older.db"), project.path(".flexcore/log.db")).unwrap();
    for entry in fs::read_dir(project.path(".flexcore")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("views") {
            fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(project.json(&["events", "verify"]).completes().value()["intact"], true);
    let cut = project.json(&VERIFY).ends_with(1).value();
    let reason = cut["fault"]["reason"].as_str().unwrap();
    assert!(reason.contains("its end was cut off"), "{reason}");
    // Another log in its place, as long as the one before.
    fs::remove_dir_all(project.path(".flexcore")).unwrap();
    for _ in 0..3 {
        project.flexcore(&["run", "cities"]).completes();
    }
    let replaced = project.json(&VERIFY).ends_with(1).value();
    let reason = replaced["fault"]["reason"].as_str().unwrap();
    assert!(reason.contains("the log was rewritten"), "{reason}");
}

/// Copies the log of a store that nobody has open.
fn copy_log_file(project: &Project, to: &str) {
    assert!(!project.path(".flexcore/log.db-wal").exists(), "the store was closed");
    fs::copy(project.path(".flexcore/log.db"), project.path(to)).expect("a copy of the log");
}

#[test]
fn checkpoints_are_exported_while_a_pipeline_runs() {
    let mut project = ran();
    project.flexcore(&["events", "keygen", "log.key"]).completes();
    project.set("FLEXCORE_CHECKPOINT_KEY", "log.key");
    project.set("FLEXCORE_CHECKPOINT_TO", "log.notes");
    project.flexcore(&["run", "cities"]).completes();
    let verified = project.json(&VERIFY).completes().value();
    assert!(verified["checkpoints"]["compared"].as_u64().unwrap() >= 1, "{verified:#}");
    // The last of them is where the run ended.
    let notes = project.read("log.notes");
    let end = project.json(&["events", "stats"]).completes().value()["position"].to_string();
    let last = notes.rfind("flexcore log").unwrap();
    assert_eq!(notes[last..].lines().nth(1), Some(end.as_str()));
}

#[test]
fn a_program_takes_checkpoints_on_its_standard_input() {
    let mut project = ran();
    project.flexcore(&["events", "keygen", "log.key"]).completes();
    let notes = project.path("log.notes");
    let script = format!("#!/bin/sh\ncat >> '{}'\n", notes.display());
    project.write("keep.sh", script);
    make_executable(&project, "keep.sh");
    project.set("FLEXCORE_CHECKPOINT_KEY", "log.key");
    project.set("FLEXCORE_CHECKPOINT_TO", "command:./keep.sh");
    project.flexcore(&["run", "cities"]).completes();
    let verified = project.json(&VERIFY).completes().value();
    assert!(verified["checkpoints"]["compared"].as_u64().unwrap() >= 1, "{verified:#}");
    // A program that fails costs a warning, not the run.
    project.write("keep.sh", "#!/bin/sh\necho the disk is full >&2\nexit 3\n");
    let warned = project.flexcore(&["run", "cities"]).completes();
    assert!(warned.stderr.contains("the disk is full"), "{warned}");
}

fn make_executable(project: &Project, file: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(project.path(file), fs::Permissions::from_mode(0o755))
        .expect("a file that may be run");
}

#[test]
fn a_wrong_setting_of_checkpoints_is_named_before_anything_runs() {
    let mut project = ran();
    project.set("FLEXCORE_CHECKPOINT_KEY", "nowhere.key");
    project.set("FLEXCORE_CHECKPOINT_TO", "log.notes");
    let refused = project.flexcore(&["run", "cities"]).ends_with(4);
    assert!(refused.stderr.contains("FLEXCORE_CHECKPOINT_KEY"), "{refused}");
    assert!(refused.stderr.contains("nowhere.key"), "{refused}");
}

#[test]
fn a_log_goes_through_a_file_and_keeps_its_hashes() {
    let project = ran();
    let head_here = head(&project, ".flexcore");
    let exported = project.json(&["events", "export", "log.jsonl"]).completes().value();
    assert_eq!(exported["head"], head_here);
    project.flexcore(&["--store", "copy", "events", "import", "log.jsonl"]).completes();
    assert_eq!(head(&project, "copy"), head_here);
    // Again, and after more was added: what is there is skipped.
    project.flexcore(&["--store", "copy", "events", "import", "log.jsonl"]).completes();
    project.flexcore(&["run", "cities"]).completes();
    let older = project.read("log.jsonl");
    project.flexcore(&["events", "export", "log.jsonl"]).completes();
    assert!(project.read("log.jsonl").starts_with(&older), "an export only grows");
    project.flexcore(&["--store", "copy", "events", "import", "log.jsonl"]).completes();
    assert_eq!(head(&project, "copy"), head(&project, ".flexcore"));
    // Views of a copy are made of its log.
    let list = project.json(&["--store", "copy", "execution", "list"]).completes().value();
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "{list:#}");
}

#[test]
fn a_log_goes_straight_into_another_store() {
    let project = ran();
    let exported = project.json(&["events", "export", "sqlite:copy"]).completes().value();
    assert_eq!(exported["head"], head(&project, "copy"));
    project.flexcore(&["--store", "third", "events", "import", "copy"]).completes();
    assert_eq!(head(&project, "third"), head(&project, ".flexcore"));
    let itself = project.flexcore(&["events", "export", "sqlite:.flexcore"]).ends_with(2);
    assert!(itself.stderr.contains("into itself"), "{itself}");
}

#[test]
fn what_is_no_copy_of_this_log_is_refused() {
    let project = ran();
    project.flexcore(&["events", "export", "log.jsonl"]).completes();
    project.flexcore(&["--store", "other", "run", "cities"]).completes();
    let other_head = head(&project, "other");
    let import = ["--store", "other", "events", "import", "log.jsonl"];
    let refused = project.flexcore(&import).ends_with(4);
    assert!(refused.stderr.contains("FC0515"), "{refused}");
    assert_eq!(head(&project, "other"), other_head);
    // A file that was changed, one that is none, and one that must not be lost.
    let changed = project.read("log.jsonl").replacen("user:it", "user:me", 1);
    project.write("changed.jsonl", changed);
    let import = |file| ["--store", "new", "events", "import", file];
    let refused = project.flexcore(&import("changed.jsonl")).ends_with(4);
    assert!(refused.stderr.contains("FC0514") && refused.stderr.contains("batch 1"), "{refused}");
    let refused = project.flexcore(&import("flexcore.yaml")).ends_with(4);
    assert!(refused.stderr.contains("flexcore.yaml, line 1"), "{refused}");
    let kept = project.flexcore(&["events", "export", "flexcore.yaml"]).ends_with(4);
    assert!(kept.stderr.contains("is no exported log"), "{kept}");
    let cut = project.read("log.jsonl");
    project.write("cut.jsonl", &cut[..cut.len() - 20]);
    let refused = project.flexcore(&import("cut.jsonl")).ends_with(4);
    assert!(refused.stderr.contains("FC0514"), "{refused}");
}

#[test]
fn an_execution_is_shown_as_it_was() {
    let project = ran();
    let id = project.last_execution()["id"].as_str().expect("an id").to_owned();
    let stream = format!("default/execution/{id}");
    let now = project.json(&["events", "replay", &stream]).completes().value();
    assert_eq!(now["state"]["status"], "completed", "{now:#}");
    let first = project.json(&["events", "replay", &stream, "--at-version", "1"]);
    let first = first.completes().value();
    assert_eq!(first["state"]["status"], "queued", "{first:#}");
    let at = first["committed_at"].as_str().unwrap();
    let then = project.json(&["events", "replay", &stream, "--at-time", at]).completes().value();
    assert_eq!(then["committed_at"], first["committed_at"]);
    let text = project.flexcore(&["events", "replay", &stream]).completes();
    assert!(text.stdout.contains("\"status\": \"completed\""), "{text}");
    let missing = project.flexcore(&["events", "replay", "default/execution/x"]).ends_with(4);
    assert!(missing.stderr.contains("there is no stream"), "{missing}");
}

#[test]
fn views_are_built_anew_from_the_log() {
    let project = ran();
    let before = project.json(&["execution", "list"]).completes().value();
    let rebuilt = project.json(&["events", "replay", "--views"]).completes().value();
    let end = &project.json(&["events", "stats"]).completes().value()["position"];
    // That they were built is an event as well, and came after.
    let end = end.as_u64().expect("a position") - 1;
    for view in rebuilt["views"].as_array().unwrap() {
        assert_eq!(view["position"], end, "{rebuilt:#}");
    }
    assert_eq!(project.json(&["execution", "list"]).completes().value(), before);
    project.assert_log_verifies();
}

#[test]
fn a_log_goes_to_postgresql_and_back_and_keeps_its_hashes_and_checkpoints() {
    let project = ran();
    let database = Database::new();
    let url = database.url();
    project.flexcore(&["events", "keygen", "log.key"]).completes();
    let sign = ["events", "checkpoint", "--key", "log.key", "--to", "log.notes"];
    project.flexcore(&sign).completes();
    let head_here = head(&project, ".flexcore");
    let exported = project.json(&["events", "export", url]).completes().value();
    assert_eq!(exported["head"], head_here);
    assert_eq!(head(&project, url), head_here);
    // What was signed of the one holds for the other, and the log goes on there.
    project.flexcore(&on_database(url, &["run", "cities"])).completes();
    project.flexcore(&on_database(url, &sign)).completes();
    let verified = project.json(&on_database(url, &VERIFY)).completes().value();
    assert_eq!(verified["checkpoints"]["compared"], 2, "{verified:#}");
    let cut = project.json(&VERIFY).ends_with(1).value();
    assert!(cut["fault"]["reason"].as_str().unwrap().contains("cut off"), "{cut:#}");
    // Back into the older copy that it came from, and into a new store.
    project.flexcore(&["events", "import", url]).completes();
    assert_eq!(head(&project, ".flexcore"), head(&project, url));
    project.flexcore(&["--store", "third", "events", "import", url]).completes();
    assert_eq!(head(&project, "third"), head(&project, url));
    project.json(&VERIFY).completes();
    // Views and states are made of the log there as well.
    let rebuilt =
        project.json(&on_database(url, &["events", "replay", "--views"])).completes().value();
    assert!(!rebuilt["views"].as_array().unwrap().is_empty());
    let there = project.json(&on_database(url, &["execution", "list"])).completes().value();
    let here = project.json(&["execution", "list"]).completes().value();
    assert_eq!(there["items"], here["items"]);
}

fn on_database<'a>(url: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [&["--store", url][..], arguments].concat()
}
