//! One attempt from its folder to its outcome.

use std::{
    fs::{DirBuilder, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use flexcore_ports::{
    AttemptLog, LogSource,
    attempt::{AttemptContext, AttemptEnd, AttemptOutcome, CommandRunner, CommandSettings},
};
use flexcore_sandbox::{
    ExitStatus, Housed, HousingError, LastLines, ProjectJailer, Surroundings, read_lines,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    invocation::{InvocationError, output_file, request},
    result::{OutputError, outcome, read_output, refused},
};

/// Runs `command` steps as process trees, each in a jail.
#[derive(Debug, Clone)]
pub struct JailedCommandRunner {
    jailer: ProjectJailer,
}

impl JailedCommandRunner {
    /// A runner whose processes `jailer` starts.
    pub const fn new(jailer: ProjectJailer) -> Self {
        Self { jailer }
    }
}

/// Why an attempt did not begin.
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error(transparent)]
    Invocation(#[from] InvocationError),
    #[error("cannot make the attempt's folder {folder}")]
    WorkFolder { folder: PathBuf, source: io::Error },
    #[error(transparent)]
    Housing(#[from] HousingError),
}

#[async_trait]
impl CommandRunner for JailedCommandRunner {
    async fn run(
        &self,
        context: AttemptContext,
        settings: CommandSettings,
        cancel: CancellationToken,
    ) -> AttemptEnd {
        if cancel.is_cancelled() {
            return AttemptEnd::nothing_ran(AttemptOutcome::Cancelled);
        }
        let end = match self.begin(&context, &settings).await {
            Ok(housed) => watch(&context, &settings, housed, cancel).await,
            Err(error) => AttemptEnd::nothing_ran(refused(&error)),
        };
        remove_folder(&context).await;
        end
    }
}

impl JailedCommandRunner {
    async fn begin(
        &self,
        context: &AttemptContext,
        settings: &CommandSettings,
    ) -> Result<Housed, BeginError> {
        let request = request(context, settings)?;
        let folder = &context.work_folder;
        make_private_folder(folder)
            .map_err(|source| BeginError::WorkFolder { folder: folder.clone(), source })?;
        let surroundings = Surroundings {
            effective: &context.rights.effective,
            project: &context.project_root,
            writable: &context.rights.writable,
            hidden: &context.rights.hidden,
            files: None,
            work: folder,
            private: None,
            part: "",
        };
        Ok(self.jailer.spawn(&surroundings, request).await?)
    }
}

/// Makes the folder and those above it; itself only for its owner.
fn make_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // It may be there already, from an attempt that was lost before it was counted.
    std::fs::set_permissions(folder, Permissions::from_mode(0o700))
}

async fn remove_folder(context: &AttemptContext) {
    match tokio::fs::remove_dir_all(&context.work_folder).await {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let folder = context.work_folder.display();
            let text = format!("cannot remove the attempt's folder {folder}: {error}");
            context.log.line(LogSource::Runner, &text);
        }
    }
}

/// Waits for the program's end or a cancel, and reads what it prints meanwhile.
async fn watch(
    context: &AttemptContext,
    settings: &CommandSettings,
    Housed { mut jailed, containment }: Housed,
    cancel: CancellationToken,
) -> AttemptEnd {
    let isolation = vec![containment.isolation(&jailed)];
    let follow = |output: Option<OwnedFd>, source| {
        let log = Arc::clone(&context.log);
        tokio::spawn(log_output(output, settings.max_log_line, source, log))
    };
    let stdout = follow(jailed.stdout.take(), LogSource::Stdout);
    let stderr = follow(jailed.stderr.take(), LogSource::Stderr);
    let ended = tokio::select! {
        // A program that has ended when the cancel comes has ended by itself.
        biased;
        _ = jailed.process.wait() => true,
        () = cancel.cancelled() => {
            jailed.process.stop(context.grace).await;
            false
        }
    };
    let exit = jailed.wait().await;
    // The tree is gone, so both pipes end.
    let _ = stdout.await;
    let tail = stderr.await.unwrap_or_default();
    let uses = containment.all_uses(&exit);
    let outcome = if ended {
        let output = output_after(exit.status, settings, context).await;
        outcome(settings, &exit, containment.limits().memory_bytes, output, tail)
    } else {
        AttemptOutcome::Cancelled
    };
    AttemptEnd { outcome, isolation, uses }
}

/// The output of a successful attempt; that of another is of no interest.
async fn output_after(
    status: ExitStatus,
    settings: &CommandSettings,
    context: &AttemptContext,
) -> Result<Option<Value>, OutputError> {
    match status {
        ExitStatus::Code(code) if settings.ok_exit_codes.contains(&code) => {
            let file = output_file(&context.work_folder);
            let read = tokio::task::spawn_blocking(move || read_output(&file)).await;
            read.expect("reading the output does not panic and is not aborted")
        }
        _ => Ok(None),
    }
}

/// Logs each line and returns the last ones.
async fn log_output(
    output: Option<OwnedFd>,
    max_line: usize,
    source: LogSource,
    log: Arc<dyn AttemptLog>,
) -> Vec<String> {
    let Some(output) = output else { return Vec::new() };
    let mut last = LastLines::default();
    let read = read_lines(output, max_line, |line| {
        log.line(source, line);
        last.push(line);
    })
    .await;
    if let Err(error) = read {
        let text = format!("cannot read the command's {}: {error}", source.as_str());
        log.line(LogSource::Runner, &text);
    }
    last.into_lines()
}
