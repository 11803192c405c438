//! Full disks: a small file system in memory that only this test sees.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

use flexcore_artifacts::FolderArtifacts;
use flexcore_ports::{Artifacts, LogSource, Logs};

use crate::support::{EXECUTION, all_lines, logs, run_again, step, texts};

const MOUNTED: &str = "FLEXCORE_TEST_MOUNTED";

/// The folder of a file system of 256 KiB and 64 files if this process was given one; else runs the test again
/// in a process that is, in a mount namespace of its own.
fn small_file_system(test: &str) -> Option<PathBuf> {
    if let Some(mounted) = std::env::var_os(MOUNTED) {
        return Some(mounted.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args([
        "sh",
        "-c",
        r#"mount -t tmpfs -o size=256k,nr_inodes=64 none "$0" && exec "$@""#,
    ]);
    command.arg(folder.path()).env(MOUNTED, folder.path());
    let output = run_again(command, test).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
    None
}

/// Leaves no room for another file or folder; all that it made lies in the folder that it returns.
fn fill(folder: &Path) -> PathBuf {
    let fillers = folder.join("fillers");
    fs::create_dir(&fillers).unwrap();
    let full = (0..100).find_map(|number| File::create(fillers.join(number.to_string())).err());
    assert_eq!(full.map(|error| error.kind()), Some(ErrorKind::StorageFull));
    fillers
}

#[tokio::test]
async fn a_log_on_a_full_disk_keeps_whole_lines_and_tells_how_many_are_missing() {
    let test = "full_disk::a_log_on_a_full_disk_keeps_whole_lines_and_tells_how_many_are_missing";
    let Some(folder) = small_file_system(test) else { return };
    let reserve = folder.join("reserve");
    fs::write(&reserve, vec![0; 64 * 1024]).unwrap();
    let logs = logs(&folder);
    let log = logs.open(EXECUTION, &step("load"), 1).unwrap();
    for number in 0..10_000 {
        log.line(LogSource::Stdout, &number.to_string());
    }
    logs.flush();
    fs::remove_file(reserve).unwrap();
    log.line(LogSource::Stdout, "there is room again");

    let lines = all_lines(&logs).await;
    let [kept @ .., gap, last] = &lines[..] else { panic!("{lines:?}") };
    assert!(kept.len() > 1_000, "{}", kept.len());
    assert!(kept.iter().enumerate().all(|(number, line)| line.line == number.to_string()));
    let missing = 10_000 - kept.len();
    assert_eq!(gap.line, format!("{missing} lines are missing: the log could not be written"));
    assert_eq!(gap.source, "runner");
    assert_eq!(last.line, "there is room again");
}

#[tokio::test]
async fn an_attempt_begins_on_a_full_disk_and_is_logged_once_there_is_room() {
    let test = "full_disk::an_attempt_begins_on_a_full_disk_and_is_logged_once_there_is_room";
    let Some(folder) = small_file_system(test) else { return };
    let fillers = fill(&folder);
    let logs = logs(&folder);
    let log = logs.open(EXECUTION, &step("load"), 1).unwrap();
    log.line(LogSource::Stdout, "one");
    logs.flush();
    log.line(LogSource::Stdout, "two");
    logs.flush();
    fs::remove_dir_all(fillers).unwrap();
    log.line(LogSource::Stdout, "three");
    let lines = all_lines(&logs).await;
    assert_eq!(texts(&lines), ["2 lines are missing: the log could not be written", "three"]);
    assert_eq!(logs.attempts(EXECUTION).await.unwrap(), [(step("load"), 1)]);
}

#[tokio::test]
async fn an_artifact_that_does_not_fit_leaves_nothing_and_fits_later() {
    let test = "full_disk::an_artifact_that_does_not_fit_leaves_nothing_and_fits_later";
    let Some(folder) = small_file_system(test) else { return };
    let artifacts = FolderArtifacts::new(folder.join("artifacts"));
    let small = artifacts.put(b"small").await.unwrap();
    let reserve = folder.join("reserve");
    fs::write(&reserve, vec![0; 128 * 1024]).unwrap();
    let large = vec![1; 160 * 1024];
    let message = artifacts.put(&large).await.unwrap_err().to_string();
    assert!(message.starts_with("cannot write "), "{message}");
    assert!(message.contains("No space left on device"), "{message}");
    assert_eq!(fs::read_dir(folder.join("artifacts/unfinished")).unwrap().count(), 0);
    assert_eq!(artifacts.get(small).await.unwrap().as_deref(), Some(&b"small"[..]));

    fs::remove_file(reserve).unwrap();
    let hash = artifacts.put(&large).await.unwrap();
    assert_eq!(artifacts.get(hash).await.unwrap(), Some(large));
}
