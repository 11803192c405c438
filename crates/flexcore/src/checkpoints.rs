//! Signed checkpoints of the log while a store is open to write: from the environment, to a file or
//! a program.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use flexcore_app::{CheckpointExporter, CheckpointKey};
use flexcore_cli::{HostError, HostErrorKind, append_note};
use flexcore_pipeline_file::parse_duration;
use flexcore_ports::{CheckpointSink, EventStore, StorageError};
use flexcore_sandbox::{LastLines, Launcher, SpawnRequest, Spawned, Stdin, read_lines};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::{io::AsyncWriteExt as _, net::unix::pipe, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{clock::SystemClock, host::failed};

/// The private key that checkpoints are signed with; without it there are none.
const KEY: &str = "FLEXCORE_CHECKPOINT_KEY";

/// Where they go: a file, or `command:PROGRAM`.
const TO: &str = "FLEXCORE_CHECKPOINT_TO";

/// How often, if the log has grown.
const EVERY: &str = "FLEXCORE_CHECKPOINT_EVERY";

const DEFAULT_EVERY: Duration = Duration::from_secs(10);

/// What a program that is given a checkpoint is marked with.
const ATTEMPT: &str = "checkpoint";

/// How long a program may take to store a checkpoint.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of a line of its output is kept.
const MAX_LINE: usize = 1_024;

/// Random bytes of the kernel.
pub(crate) fn secret_seed() -> Result<[u8; 32], HostError> {
    let mut seed = [0; 32];
    match getrandom(&mut seed, GetRandomFlags::empty()) {
        Ok(length) if length == seed.len() => Ok(seed),
        Ok(_) => Err(failed("the system gave too few random bytes")),
        Err(error) => Err(failed(format!("the system gives no random bytes: {error}"))),
    }
}

/// What the environment says about checkpoints.
#[derive(Debug)]
pub(crate) struct CheckpointSettings {
    key: CheckpointKey,
    to: Destination,
    every: Duration,
}

#[derive(Debug, PartialEq, Eq)]
enum Destination {
    File(PathBuf),
    Program(PathBuf),
}

impl CheckpointSettings {
    /// `None` if there is no key; relative paths start at `folder`.
    ///
    /// # Errors
    /// [`HostError`] that names the variable that is wrong.
    pub(crate) fn of(
        environment: &BTreeMap<String, String>,
        folder: &Path,
    ) -> Result<Option<Self>, HostError> {
        let value = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let Some(key_file) = value(KEY) else {
            return match value(TO) {
                Some(_) => Err(wrong(format!("{TO} is set, and {KEY} is not"))),
                None => Ok(None),
            };
        };
        let path = folder.join(key_file);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| wrong(format!("{KEY}: cannot read {}: {error}", path.display())))?;
        let key = text
            .parse()
            .map_err(|error| wrong(format!("{KEY}: {} cannot be used: {error}", path.display())))?;
        let Some(to) = value(TO) else {
            return Err(wrong(format!("{KEY} is set, and {TO} does not say where to")));
        };
        let to = match to.strip_prefix("command:") {
            Some(program) if program.contains('/') => Destination::Program(folder.join(program)),
            Some(program) => Destination::Program(program.into()),
            None => Destination::File(folder.join(to)),
        };
        let every = match value(EVERY) {
            None => DEFAULT_EVERY,
            Some(text) => {
                parse_duration(text).filter(|every| !every.is_zero()).ok_or_else(|| {
                    wrong(format!("{EVERY} is `{text}`, which is no time as in `10s`"))
                })?
            }
        };
        Ok(Some(Self { key, to, every }))
    }
}

fn wrong(message: String) -> HostError {
    HostError {
        kind: HostErrorKind::Refused,
        code: "FC0516",
        message,
        hint: Some("`flexcore events keygen FILE` makes the keys".to_owned()),
    }
}

/// The export that runs beside an open store.
pub(crate) struct RunningCheckpoints {
    end: CancellationToken,
    task: JoinHandle<()>,
}

impl RunningCheckpoints {
    pub(crate) fn start(
        settings: CheckpointSettings,
        store: Arc<dyn EventStore>,
        launcher: &Launcher,
        environment: &BTreeMap<String, String>,
    ) -> Self {
        let sink: Arc<dyn CheckpointSink> = match settings.to {
            Destination::File(path) => Arc::new(FileSink { path }),
            Destination::Program(program) => Arc::new(ProgramSink {
                program,
                launcher: launcher.clone(),
                // What it needs to find things, and not what others of our programs are told.
                environment: ["PATH", "HOME", "USER", "LANG", "TMPDIR"]
                    .into_iter()
                    .filter_map(|name| Some((name.into(), environment.get(name)?.into())))
                    .collect(),
            }),
        };
        let exporter = CheckpointExporter::new(store, Arc::new(SystemClock), settings.key, sink);
        let end = CancellationToken::new();
        let task = tokio::spawn(exporter.run(settings.every, end.clone()));
        Self { end, task }
    }

    /// Exports what is not exported yet, and ends.
    pub(crate) async fn finish(self) {
        self.end.cancel();
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the last checkpoint was not exported");
        }
    }
}

/// Adds checkpoints to a file.
struct FileSink {
    path: PathBuf,
}

#[async_trait]
impl CheckpointSink for FileSink {
    async fn write(&self, note: &str) -> Result<(), StorageError> {
        let (path, note) = (self.path.clone(), note.to_owned());
        let written = tokio::task::spawn_blocking(move || append_note(&path, &note)).await;
        let written = written.map_err(std::io::Error::other).and_then(|written| written);
        written.map_err(|error| StorageError {
            operation: "write",
            path: self.path.display().to_string(),
            reason: error.to_string(),
        })
    }
}

/// Runs a program with each checkpoint on its standard input.
struct ProgramSink {
    program: PathBuf,
    launcher: Launcher,
    environment: Vec<(OsString, OsString)>,
}

#[async_trait]
impl CheckpointSink for ProgramSink {
    async fn write(&self, note: &str) -> Result<(), StorageError> {
        self.run(note).await.map_err(|reason| StorageError {
            operation: "run",
            path: self.program.display().to_string(),
            reason,
        })
    }
}

impl ProgramSink {
    async fn run(&self, note: &str) -> Result<(), String> {
        let request = SpawnRequest {
            argv: vec![self.program.clone().into()],
            cwd: "/".into(),
            environment: self.environment.clone(),
            stdin: Stdin::Pipe,
            attempt: ATTEMPT.to_owned(),
        };
        let spawned = self.launcher.spawn(request).await.map_err(|error| error.to_string())?;
        let Spawned { process, stdin, stdout, stderr } = spawned;
        let talk = async {
            if let Some(stdin) = stdin {
                let mut stdin = pipe::Sender::from_owned_fd(stdin)?;
                // A program that does not read it all may still have done its work; it says so
                // by how it ends.
                match stdin.write_all(note.as_bytes()).await {
                    Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                        return Err(error);
                    }
                    _ => {}
                }
            }
            let mut last = LastLines::default();
            let (output, errors) = tokio::join!(
                read_lines(stdout, MAX_LINE, |_| {}),
                read_lines(stderr, MAX_LINE, |line| last.push(line)),
            );
            output.and(errors)?;
            Ok(last.into_lines())
        };
        // Dropped in time or not, the process and what it started are ended with it.
        let talked = tokio::time::timeout(PATIENCE, async { (talk.await, process.wait().await) });
        match talked.await {
            Err(_) => Err(format!("it did not end within {} s", PATIENCE.as_secs())),
            Ok((_, status)) if status.is_success() => Ok(()),
            Ok((Ok(lines), status)) => Err(format!("{status}: {}", lines.join("; "))),
            Ok((Err(error), status)) => Err(format!("{status}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Option<CheckpointSettings>, HostError> {
        let folder = tempfile::tempdir().unwrap();
        let key = CheckpointKey::from_seed("test", &[3; 32]).unwrap();
        std::fs::write(folder.path().join("log.key"), key.secret_text()).unwrap();
        std::fs::write(folder.path().join("log.key.pub"), key.public().to_string()).unwrap();
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables = variables.iter().map(pair).collect();
        CheckpointSettings::of(&variables, folder.path())
    }

    #[test]
    fn a_key_and_a_place_make_an_export() {
        assert!(settings(&[]).unwrap().is_none());
        let found = settings(&[(KEY, "log.key"), (TO, "log.notes")]).unwrap().unwrap();
        assert_eq!(found.every, DEFAULT_EVERY);
        assert!(matches!(found.to, Destination::File(path) if path.ends_with("log.notes")));
        let program = [(KEY, "log.key"), (TO, "command:logger"), (EVERY, "500ms")];
        let found = settings(&program).unwrap().unwrap();
        assert_eq!(found.every, Duration::from_millis(500));
        assert_eq!(found.to, Destination::Program("logger".into()));
    }

    #[test]
    fn what_is_wrong_names_its_variable() {
        let refused = |variables: &[_]| {
            let error = settings(variables).unwrap_err();
            assert_eq!(error.code, "FC0516");
            error.message
        };
        assert!(refused(&[(TO, "x")]).contains("FLEXCORE_CHECKPOINT_KEY is not"));
        assert!(refused(&[(KEY, "log.key")]).contains("FLEXCORE_CHECKPOINT_TO does not say"));
        assert!(refused(&[(KEY, "none"), (TO, "x")]).contains("cannot read"));
        let public = refused(&[(KEY, "log.key.pub"), (TO, "x")]);
        assert!(public.contains("it is not a private key"), "{public}");
        let every = refused(&[(KEY, "log.key"), (TO, "x"), (EVERY, "often")]);
        assert!(every.contains("`often`"), "{every}");
    }
}
