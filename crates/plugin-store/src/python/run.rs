//! Running pip and Python by the launcher.

use std::{
    ffi::OsString,
    os::fd::OwnedFd,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use flexcore_plugin_protocol::Effective;
use flexcore_sandbox::{
    ExitStatus, LastLines, ProjectJailer, SpawnRequest, Stdin, Surroundings, read_lines,
};
use tokio::{io::AsyncReadExt as _, net::unix::pipe, time::timeout};

/// The longest line of standard error that is kept.
const MAX_LINE: usize = 4 * 1024;
/// No download and no compilation of a plugin takes longer.
const PATIENCE: Duration = Duration::from_mins(30);
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A program to run to its end.
pub(super) struct Order<'a> {
    pub(super) argv: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    /// What it reads.
    pub(super) shown: &'a Path,
    /// Its working folder, which it may write.
    pub(super) work: &'a Path,
    /// How much it may print.
    pub(super) max_output: u64,
}

/// Runs a program and gives back what it printed.
pub(super) async fn run(jailer: &ProjectJailer, order: Order<'_>) -> Result<Vec<u8>, String> {
    let Order { argv, environment, shown, work, max_output } = order;
    let program = argv.first().map(|program| program.to_string_lossy().into_owned());
    let program = program.unwrap_or_default();
    let request = SpawnRequest {
        argv,
        cwd: work.to_owned(),
        environment,
        stdin: Stdin::Null,
        attempt: format!(
            "plugin-install/{}/{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        ),
    };
    let surroundings = Surroundings {
        effective: &Effective::default(),
        project: shown,
        writable: &[],
        hidden: &[],
        files: None,
        work,
        private: None,
        part: "",
    };
    let housed = jailer.spawn(&surroundings, request).await;
    let mut running = housed.map_err(|error| chain(&error))?.jailed;
    let (stdout, stderr) = (running.stdout.take(), running.stderr.take());
    let mut last = LastLines::default();
    let reading = async {
        tokio::join!(read_all(stdout, max_output), async {
            if let Some(stderr) = stderr {
                // A pipe that breaks ends the program's words, and its exit code says the rest.
                let _ = read_lines(stderr, MAX_LINE, |line| last.push(line)).await;
            }
        })
    };
    let Ok((output, ())) = timeout(PATIENCE, reading).await else {
        running.kill().await;
        return Err(format!("`{program}` did not end within {PATIENCE:?}"));
    };
    let Some(output) = output else {
        running.kill().await;
        return Err(format!("`{program}` printed more than {max_output} bytes"));
    };
    match running.wait().await.status {
        ExitStatus::Code(0) => Ok(output),
        status => {
            let said = last.into_lines();
            let said = said.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
            let said: Vec<&str> = said.collect();
            Err(format!("`{program}` ended with {status}: {}", said.join("; ")))
        }
    }
}

/// Everything that was printed; `None` if it was too much.
async fn read_all(output: Option<OwnedFd>, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(receiver) = output.and_then(|output| pipe::Receiver::from_owned_fd(output).ok()) {
        // As above.
        let _ = receiver.take(limit + 1).read_to_end(&mut bytes).await;
    }
    (bytes.len() as u64 <= limit).then_some(bytes)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
