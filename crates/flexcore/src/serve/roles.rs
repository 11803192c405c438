//! The roles of a server that work beside its answers.

use std::sync::Arc;

use flexcore_app::{Worker, WorkerOptions};
use flexcore_cli::{HostError, Writer};
use tokio_util::sync::CancellationToken;

use crate::{
    host::failed,
    settings::{Role, ServerSettings},
    writer::chain,
};

/// Drives executions as the roles say, until `stop` fires.
pub(super) async fn work(
    writer: &Writer,
    settings: &ServerSettings,
    stop: &CancellationToken,
) -> Result<(), HostError> {
    let (worker, scheduler) = (settings.does(Role::Worker), settings.does(Role::Scheduler));
    if !worker && !scheduler {
        stop.cancelled().await;
        return Ok(());
    }
    let options =
        WorkerOptions { takes_new: worker, takes_abandoned: scheduler, ..WorkerOptions::default() };
    let worker = Worker::new(writer.runner.clone(), Arc::clone(&writer.services), options);
    let ended = worker.run(writer.log.clone(), stop.clone()).await;
    // A server whose worker is gone would take what nobody drives.
    stop.cancel();
    ended.map_err(|error| failed(chain(&error)))
}
