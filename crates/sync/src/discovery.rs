//! Asking a tap for its catalog.

use std::{os::fd::OwnedFd, time::Duration};

use flexcore_ports::attempt::{AttemptContext, AttemptError, PluginSettings};
use flexcore_sandbox::{Process, ProjectJailer, Stdin};
use tokio::{io::AsyncReadExt as _, net::unix::pipe};
use tokio_util::sync::CancellationToken;

use crate::{
    diagnosis,
    failure::{Evidence, PrepareError, Witness},
    plugin::{Invocation, PluginName, Role, flags},
    program::{Exit, Program, Trail},
    workplace::{Workplace, surroundings},
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

/// A tap that is asked for its catalog.
#[derive(Clone, Copy)]
pub(crate) struct Inquiry<'a> {
    pub(crate) jailer: &'a ProjectJailer,
    pub(crate) context: &'a AttemptContext,
    pub(crate) workplace: &'a Workplace,
    pub(crate) tap: &'a PluginSettings,
    pub(crate) cancel: &'a CancellationToken,
}

/// What the tap printed for `--config CONFIG --discover`.
pub(crate) async fn discover(
    Inquiry { jailer, context, workplace, tap, cancel }: Inquiry<'_>,
    trail: &mut Trail,
) -> Result<Vec<u8>, DiscoveryError> {
    let plugin = PluginName::new(Role::Tap, tap);
    let config = workplace.config_file(Role::Tap);
    let mut arguments = flags([("--config", Some(config.as_os_str()))]);
    arguments.push("--discover".into());
    let invocation =
        Invocation { context, settings: tap, process: "discover", arguments, stdin: Stdin::Null };
    let private = workplace.private_folder(Role::Tap)?;
    let around = surroundings(context, &private, tap.folder.as_deref(), "discover");
    let housed = jailer.spawn(&around, invocation.request(None)).await;
    let housed = housed.map_err(|source| PrepareError::Spawn { plugin: plugin.clone(), source })?;
    let Program { process, stdout, stderr, held, .. } = Program::new(housed, trail);
    let (output, said, cancelled) = tokio::join!(
        read(stdout, &process),
        diagnosis::follow(stderr, Role::Tap, &*context.log),
        end(&process, context.grace, cancel),
    );
    let Exit { exit, memory_ran_out } = held.finish(trail).await;
    let status = exit.status;
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
        let error = Evidence::of_end(&Witness { plugin, said, memory_ran_out }, status, doing);
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
async fn end(process: &Process, grace: Duration, cancel: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        _ = process.wait() => false,
        () = cancel.cancelled() => {
            process.stop(grace).await;
            true
        }
    }
}
