//! What another process sees of a log, and what a kill leaves.

use std::{
    fs,
    io::{Read, stdin},
    os::fd::AsFd,
    path::Path,
    process::{Command, Stdio},
};

use flexcore_ports::{LogSource, Logs};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify,
};

use crate::support::{EXECUTION, all_lines, logs, run_again, step, texts};

const LOGS: &str = "FLEXCORE_TEST_LOGS";

/// Another process logs two lines and lives on without another word; the lines come, and they are
/// still there when it was killed.
#[tokio::test]
async fn another_process_sees_lines_while_their_writer_lives_and_after_its_kill() {
    if let Some(folder) = std::env::var_os(LOGS) {
        log_and_wait(Path::new(&folder));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let log_folder = folder.path().join(EXECUTION.to_string()).join("load");
    fs::create_dir_all(&log_folder).unwrap();
    let changes = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    inotify::add_watch(&changes, &log_folder, inotify::WatchFlags::MODIFY).unwrap();

    let test = "visibility::another_process_sees_lines_while_their_writer_lives_and_after_its_kill";
    let mut writer = run_again(Command::new("env"), test)
        .env(LOGS, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_change(&changes);
    let seen = logs(folder.path());
    assert_eq!(texts(&all_lines(&seen).await), ["one", "two"]);
    assert_eq!(writer.try_wait().unwrap(), None);

    writer.kill().unwrap();
    writer.wait().unwrap();
    assert_eq!(texts(&all_lines(&seen).await), ["one", "two"]);
}

fn log_and_wait(folder: &Path) {
    let logs = logs(folder);
    let log = logs.open(EXECUTION, &step("load"), 1).unwrap();
    log.line(LogSource::Stdout, "one");
    log.line(LogSource::Stdout, "two");
    // Nobody writes to it: this ends with the kill.
    let _ = stdin().read(&mut [0]);
}

fn wait_for_change(changes: impl AsFd) {
    let mut waiting = [PollFd::new(&changes, PollFlags::IN)];
    let ready = poll(&mut waiting, Some(&Timespec { tv_sec: 30, tv_nsec: 0 })).unwrap();
    assert_eq!(ready, 1, "the lines never came");
}
