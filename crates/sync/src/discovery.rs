//! Asking a tap for its catalog.

use std::{os::fd::OwnedFd, path::Path, time::Duration};

use flexcore_ports::attempt::{AttemptContext, AttemptError, PluginSettings};
use flexcore_sandbox::{ExitStatus, Launcher, Process, Spawned, Stdin};
use tokio::{io::AsyncReadExt as _, net::unix::pipe};
use tokio_util::sync::CancellationToken;

use crate::{
    diagnosis,
    failure::{Evidence, PrepareError, Witness},
    plugin::{Invocation, PluginName, Role, flags},
};

/// No catalog is larger: databases with tens of thousands of tables stay below.
const MAX_CATALOG: usize = 256 * 1024 * 1024;

/// Why there is no catalog.
#[derive(Debug)]
pub(crate) enum DiscoveryError {
    /// It was cancelled.
    Cancelled,
    /// The tap cannot discover, or not now.
    Failed(AttemptError),
}

impl From<PrepareError> for DiscoveryError {
    fn from(error: PrepareError) -> Self {
        Self::Failed(error.into())
    }
}

/// What the tap printed for `--config CONFIG --discover`.
pub(crate) async fn discover(
    launcher: &Launcher,
    context: &AttemptContext,
    tap: &PluginSettings,
    config: &Path,
    cancel: &CancellationToken,
) -> Result<Vec<u8>, DiscoveryError> {
    let plugin = PluginName::new(Role::Tap, tap);
    let mut arguments = flags([("--config", Some(config.as_os_str()))]);
    arguments.push("--discover".into());
    let invocation =
        Invocation { context, settings: tap, process: "discover", arguments, stdin: Stdin::Null };
    let spawned = launcher.spawn(invocation.request(None)).await;
    let spawned =
        spawned.map_err(|source| PrepareError::Spawn { plugin: plugin.clone(), source })?;
    let Spawned { process, stdout, stderr, .. } = spawned;
    let (output, said, (status, cancelled)) = tokio::join!(
        read(stdout, &process),
        diagnosis::follow(stderr, Role::Tap, &*context.log),
        end(&process, context.grace, cancel),
    );
    if cancelled {
        return Err(DiscoveryError::Cancelled);
    }
    let output = output.map_err(PrepareError::Exhausted)?;
    if output.len() > MAX_CATALOG {
        return Err(PrepareError::CatalogTooLarge { plugin, limit: MAX_CATALOG }.into());
    }
    if !status.is_success() {
        let doing = "cannot discover its catalog, which `select`, `metadata`, `schema` and a choice \
            of streams need";
        let error = Evidence::of_end(&Witness { plugin, said }, status, doing);
        return Err(DiscoveryError::Failed(error));
    }
    Ok(output)
}

/// Reads to the end or just beyond the limit, where the program is killed.
async fn read(stdout: OwnedFd, process: &Process) -> std::io::Result<Vec<u8>> {
    let mut output = Vec::new();
    let limit = MAX_CATALOG as u64 + 1;
    pipe::Receiver::from_owned_fd(stdout)?.take(limit).read_to_end(&mut output).await?;
    if output.len() > MAX_CATALOG {
        process.begin_kill();
    }
    Ok(output)
}

/// Waits for the end, asks for it when cancelled; whether it was cancelled.
async fn end(process: &Process, grace: Duration, cancel: &CancellationToken) -> (ExitStatus, bool) {
    tokio::select! {
        biased;
        status = process.wait() => (status, false),
        () = cancel.cancelled() => (process.stop(grace).await, true),
    }
}
