//! What the tests share: a launcher in a folder of its own, and words for what they run.

use std::{
    ffi::OsString,
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    os::fd::OwnedFd,
    path::PathBuf,
    time::Duration,
};

use flexcore_sandbox::{
    IsolationPolicy, Launcher, LauncherOptions, SpawnRequest, Spawned, Stdin, processes_of_attempt,
};
use tempfile::TempDir;

pub(crate) const TIERS: [IsolationPolicy; 3] =
    [IsolationPolicy::Strongest, IsolationPolicy::UserNamespace, IsolationPolicy::ProcessGroup];

/// Longer than anything here takes on a loaded machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) launcher: Launcher,
}

impl Bench {
    pub(crate) async fn new(isolation: IsolationPolicy) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let launcher = Launcher::start(options(&folder, isolation)).await.unwrap();
        Self { folder, launcher }
    }

    /// A marker that no other test of this machine uses.
    pub(crate) fn marker(&self, name: &str) -> String {
        format!("{}/{name}", self.folder.path().display())
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.folder.path().join("launcher.lock")
    }

    pub(crate) fn request(&self, argv: &[&str]) -> SpawnRequest {
        SpawnRequest {
            argv: argv.iter().map(OsString::from).collect(),
            cwd: self.folder.path().to_owned(),
            environment: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
            stdin: Stdin::Null,
            attempt: self.marker("attempt"),
        }
    }

    pub(crate) async fn script(&self, script: &str) -> Spawned {
        self.launcher.spawn(self.request(&["/bin/sh", "-c", script])).await.unwrap()
    }

    pub(crate) fn alive(&self) -> Vec<u32> {
        processes_of_attempt(&self.marker("attempt"))
    }
}

pub(crate) fn options(folder: &TempDir, isolation: IsolationPolicy) -> LauncherOptions {
    LauncherOptions {
        executable: env!("CARGO_BIN_EXE_flexcore-sandbox-probe").into(),
        lock_path: folder.path().join("launcher.lock"),
        lock_patience: PATIENCE,
        environment: vec![("LAUNCHER_ONLY".into(), "1".into())],
        isolation,
    }
}

/// Reads lines until there were `count`, so that a test goes on when as many processes run.
pub(crate) async fn lines(output: OwnedFd, count: usize) -> (Vec<String>, BufReader<File>) {
    tokio::task::spawn_blocking(move || {
        let mut reader = BufReader::new(File::from(output));
        let mut lines = Vec::new();
        while lines.len() < count {
            let mut line = String::new();
            assert!(reader.read_line(&mut line).unwrap() > 0, "only {lines:?} before the end");
            lines.push(line.trim_end().to_owned());
        }
        (lines, reader)
    })
    .await
    .unwrap()
}

/// Reads to the end, which comes when no process holds the other side open.
pub(crate) async fn text(output: impl Into<File>) -> String {
    let mut file = output.into();
    tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    })
    .await
    .unwrap()
}

/// A field of `/proc/<pid>/stat` behind the program's name, counted as proc_pid_stat(5) does.
pub(crate) fn stat_field(pid: u32, number: usize) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, behind_name) = stat.rsplit_once(')').unwrap();
    behind_name.split_ascii_whitespace().nth(number - 3).unwrap().parse().unwrap()
}
