//! Attempt logs through their port.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::PermissionsExt,
    thread,
};

use flexcore_ports::{LogSource, Logs};

use crate::support::{EXECUTION, all_lines, limited_logs, logs, step, texts};

#[tokio::test]
async fn lines_are_masked_stamped_and_kept_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs(folder.path());
    let log = logs.open(EXECUTION, &step("load"), 1).unwrap();
    log.line(LogSource::Stdout, "password hunter2!");
    log.line(LogSource::Stderr, "zwei \"ü\"");
    drop((log, logs));
    let path = folder.path().join(EXECUTION.to_string()).join("load/1.jsonl");
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        concat!(
            r#"{"time":"1970-01-01T00:00:00.000001Z","source":"stdout","line":"password ***"}"#,
            "\n",
            r#"{"time":"1970-01-01T00:00:00.000002Z","source":"stderr","line":"zwei \"ü\""}"#,
            "\n",
        )
    );
}

#[tokio::test]
async fn reading_sees_every_line_at_once_and_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs(folder.path());
    let load = step("load");
    let log = logs.open(EXECUTION, &load, 1).unwrap();
    log.line(LogSource::Tap, "one");
    let (lines, offset) = logs.read(EXECUTION, &load, 1, 0).await.unwrap();
    assert_eq!(texts(&lines), ["one"]);
    assert_eq!(logs.read(EXECUTION, &load, 1, offset).await.unwrap(), (vec![], offset));
    log.line(LogSource::Target, "two");
    log.line(LogSource::Runner, "three");
    let (lines, offset) = logs.read(EXECUTION, &load, 1, offset).await.unwrap();
    assert_eq!(texts(&lines), ["two", "three"]);
    assert_eq!(lines[0].source, "target");
    assert_eq!(logs.read(EXECUTION, &load, 1, offset).await.unwrap(), (vec![], offset));
}

#[tokio::test]
async fn a_half_line_waits_for_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs(folder.path());
    let load = step("load");
    logs.open(EXECUTION, &load, 1).unwrap().line(LogSource::Tap, "one");
    let path = folder.path().join(EXECUTION.to_string()).join("load/1.jsonl");
    let stored = fs::read(&path).unwrap();
    let (half, rest) = stored.split_at(20);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(half).unwrap();
    let (lines, offset) = logs.read(EXECUTION, &load, 1, 0).await.unwrap();
    assert_eq!((texts(&lines), offset), (vec!["one"], stored.len() as u64));
    file.write_all(rest).unwrap();
    let (lines, _) = logs.read(EXECUTION, &load, 1, offset).await.unwrap();
    assert_eq!(texts(&lines), ["one"]);
}

#[tokio::test]
async fn a_half_line_of_a_killed_process_does_not_spoil_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let load_folder = folder.path().join(EXECUTION.to_string()).join("load");
    fs::create_dir_all(&load_folder).unwrap();
    fs::write(load_folder.join("1.jsonl"), "{\"time\":\"19").unwrap();
    let logs = logs(folder.path());
    logs.open(EXECUTION, &step("load"), 1).unwrap().line(LogSource::Tap, "after");
    assert_eq!(texts(&all_lines(&logs).await), ["{\"time\":\"19", "after"]);
}

#[tokio::test]
async fn a_large_log_comes_in_pieces_and_complete() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs(folder.path());
    let log = logs.open(EXECUTION, &step("load"), 1).unwrap();
    let expected: Vec<String> =
        (0..30_000).map(|number| format!("{number:x<width$}", width = number % 190)).collect();
    for text in &expected {
        log.line(LogSource::Stdout, text);
    }
    let (first, offset) = logs.read(EXECUTION, &step("load"), 1, 0).await.unwrap();
    assert!(offset <= 1024 * 1024 && first.len() < expected.len(), "{offset}");
    assert_eq!(texts(&all_lines(&logs).await), expected);
}

#[tokio::test]
async fn a_log_past_its_size_ends_with_one_line_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let logs = limited_logs(folder.path(), 4096);
    for _ in 0..2 {
        let log = logs.open(EXECUTION, &step("load"), 1).unwrap();
        for number in 0..1000 {
            log.line(LogSource::Stdout, &number.to_string());
        }
    }
    let lines = all_lines(&logs).await;
    let (end, kept) = lines.split_last().unwrap();
    assert_eq!(end.source, "runner");
    assert_eq!(end.line, "the log is full (4096 bytes); the rest was dropped");
    assert!(kept.iter().enumerate().all(|(number, line)| line.line == number.to_string()));
    let path = folder.path().join(EXECUTION.to_string()).join("load/1.jsonl");
    let size = fs::metadata(path).unwrap().len();
    assert!((3_500..=4_096).contains(&size), "{size}");
}

#[tokio::test]
async fn attempts_are_listed_in_the_order_in_which_they_began() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs(folder.path());
    let began = [("z", 1), ("a", 1), ("z", 2), ("a", 10), ("a", 2)].map(|(id, n)| (step(id), n));
    for (id, attempt) in &began {
        logs.open(EXECUTION, id, *attempt).unwrap();
        logs.open(EXECUTION, id, *attempt).unwrap();
    }
    assert_eq!(logs.attempts(EXECUTION).await.unwrap(), began);
}

#[tokio::test]
async fn attempts_are_listed_also_where_their_order_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs(folder.path());
    for (id, attempt) in [("z", 1), ("a", 10), ("a", 2)] {
        logs.open(EXECUTION, &step(id), attempt).unwrap();
    }
    let executions = folder.path().join(EXECUTION.to_string());
    fs::write(executions.join("attempts.jsonl"), "{\"step\":\"z\",\"attempt\":1}\n{\"st").unwrap();
    fs::write(executions.join("stray"), "").unwrap();
    fs::write(executions.join("a/notes.txt"), "").unwrap();
    let expected = [("z", 1), ("a", 2), ("a", 10)].map(|(id, attempt)| (step(id), attempt));
    assert_eq!(logs.attempts(EXECUTION).await.unwrap(), expected);
    fs::remove_file(executions.join("z/1.jsonl")).unwrap();
    assert_eq!(logs.attempts(EXECUTION).await.unwrap(), expected[1..]);
}

#[tokio::test]
async fn what_was_never_logged_has_no_lines_and_no_attempts() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs(&folder.path().join("missing"));
    assert_eq!(logs.attempts(EXECUTION).await.unwrap(), []);
    assert_eq!(logs.read(EXECUTION, &step("load"), 1, 42).await.unwrap(), (vec![], 42));
    assert!(!folder.path().join("missing").exists());
}

#[tokio::test]
async fn lines_of_many_threads_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs(folder.path());
    let log = logs.open(EXECUTION, &step("load"), 1).unwrap();
    thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let log = &log;
            scope.spawn(move || {
                for number in 0..2_000 {
                    log.line(LogSource::Stdout, &format!("{name} {number}"));
                }
            });
        }
    });
    let lines = all_lines(&logs).await;
    assert!(lines.is_sorted_by_key(|line| line.time));
    for name in ["a", "b", "c", "d"] {
        let of_one = texts(&lines).into_iter().filter(|line| line.starts_with(name));
        assert!(of_one.eq((0..2_000).map(|number| format!("{name} {number}"))), "{name}");
    }
    assert_eq!(lines.len(), 8_000);
}

#[tokio::test]
async fn a_log_may_outlive_what_opened_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = logs(folder.path());
    let log = first.open(EXECUTION, &step("load"), 1).unwrap();
    log.line(LogSource::Stdout, "before");
    drop(first);
    log.line(LogSource::Stdout, "after");
    assert_eq!(texts(&all_lines(&logs(folder.path())).await), ["before", "after"]);
}

#[tokio::test]
async fn logs_are_for_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs(&folder.path().join("logs"));
    logs.open(EXECUTION, &step("load"), 1).unwrap();
    let execution = folder.path().join("logs").join(EXECUTION.to_string());
    for (path, expected) in [
        (folder.path().join("logs"), 0o700),
        (execution.clone(), 0o700),
        (execution.join("load"), 0o700),
        (execution.join("load/1.jsonl"), 0o600),
        (execution.join("attempts.jsonl"), 0o600),
    ] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, expected, "{}", path.display());
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("logs"), "").unwrap();
    let logs = logs(&folder.path().join("logs"));
    let message = logs.open(EXECUTION, &step("load"), 1).unwrap_err().to_string();
    assert!(message.starts_with("cannot write "), "{message}");
    assert!(message.contains("load/1.jsonl: "), "{message}");
}

#[tokio::test]
async fn the_logs_of_an_execution_are_counted_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs(folder.path());
    assert_eq!(logs.executions().await.unwrap(), []);
    assert_eq!(logs.size(EXECUTION).await.unwrap(), 0);
    logs.open(EXECUTION, &step("load"), 1).unwrap().line(LogSource::Stdout, "one");
    logs.open(EXECUTION, &step("check"), 2).unwrap().line(LogSource::Stderr, "two");
    fs::create_dir(folder.path().join("not-an-execution")).unwrap();
    assert_eq!(logs.executions().await.unwrap(), [EXECUTION]);
    let size = logs.size(EXECUTION).await.unwrap();
    let files = ["load/1.jsonl", "check/2.jsonl", "attempts.jsonl"];
    let execution = folder.path().join(EXECUTION.to_string());
    let bytes = files.map(|file| fs::metadata(execution.join(file)).unwrap().len());
    assert_eq!(size, bytes.iter().sum::<u64>());
    assert_eq!(logs.remove(EXECUTION).await.unwrap(), size);
    assert!(!execution.exists() && folder.path().join("not-an-execution").exists());
    assert_eq!(logs.attempts(EXECUTION).await.unwrap(), []);
    assert_eq!(logs.remove(EXECUTION).await.unwrap(), 0, "again is nothing");
}
