//! The server: a store that is open to write, answered over HTTP and worked on.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use flexcore_app::{Services, Worker, WorkerOptions};
use flexcore_cli::{HostError, HostErrorKind, Place, ServeAddress, Writer};
use flexcore_http::{
    Api, Check, Health, HealthChecks, Hosts, LocalToken, Observation, Server, ServerOptions, router,
};
use tokio_util::sync::CancellationToken;

use crate::{
    checkpoints,
    host::{BinaryHost, failed},
    observe::Page,
    paths::StatePaths,
    settings::{Role, ServerSettings, Settings},
    writer::{self, chain},
};

/// Told once requests are answered: where.
type Ready = Box<dyn FnOnce(ServeAddress) + Send>;

/// Serves until `stop` fires and what was under way has ended.
pub(crate) async fn serve(
    host: &BinaryHost,
    place: &Place,
    settings: Settings,
    ready: Ready,
    stop: CancellationToken,
) -> Result<(), HostError> {
    let address = settings.server.socket_address();
    may_listen(address)?;
    let observability = host.observability();
    observability.serve(&settings.telemetry)?;
    let options =
        ServerOptions { connections: settings.server.max_connections, ..ServerOptions::default() };
    let server = Server::bind(address, options).await;
    let server = server.map_err(|error| HostError {
        kind: HostErrorKind::Failed,
        code: "FC0712",
        message: format!("nothing can listen at {address}: {error}"),
        hint: Some("another process may listen there; name another --port".to_owned()),
    })?;
    let writer = writer::open(host, place, "serve").await?;
    let observed = Observation {
        metrics: Arc::new(Page {
            metrics: observability.metrics().cloned(),
            services: Arc::clone(&writer.services),
        }),
        ids: Arc::clone(&writer.services.ports().ids),
        sampler: observability.sampler(),
    };
    let paths = StatePaths::new(&place.state_folder);
    let served = run(&writer, &paths, (server, observed), settings, ready, stop).await;
    writer.close().await?;
    observability.finish().await;
    served
}

async fn run(
    writer: &Writer,
    paths: &StatePaths,
    (server, observed): (Server, Observation),
    settings: Settings,
    ready: Ready,
    stop: CancellationToken,
) -> Result<(), HostError> {
    let ServerSettings { allow_hosts, .. } = &settings.server;
    let address = server.address().map_err(|error| failed(error.to_string()))?;
    let token_file = paths.token();
    let access = LocalToken::new(&token(&token_file)?);
    let checks = Arc::new(Checks {
        services: Arc::clone(&writer.services),
        is_ready: AtomicBool::new(true),
    });
    let api = Api {
        commands: writer.commands.clone(),
        queries: writer.queries.clone(),
        events: Arc::clone(&writer.services.ports().store),
        log: writer.log.clone(),
        access: Arc::new(access),
        hosts: Hosts::new(address, allow_hosts.iter().cloned()),
        health: Arc::clone(&checks) as Arc<dyn HealthChecks>,
        observed,
        ending: stop.clone(),
    };
    let answer = async {
        if !settings.server.does(Role::Api) {
            return stop.cancelled().await;
        }
        ready(ServeAddress { address, token_file });
        tokio::join!(server.run(router(api), stop.clone()), async {
            stop.cancelled().await;
            checks.is_ready.store(false, Ordering::Relaxed);
        });
    };
    let (worked, ()) = tokio::join!(work(writer, &settings, &stop), answer);
    worked
}

async fn work(
    writer: &Writer,
    settings: &Settings,
    stop: &CancellationToken,
) -> Result<(), HostError> {
    if !settings.server.does(Role::Worker) {
        stop.cancelled().await;
        return Ok(());
    }
    let services = Arc::clone(&writer.services);
    let worker = Worker::new(writer.runner.clone(), services, WorkerOptions::default());
    let ended = worker.run(writer.log.clone(), stop.clone()).await;
    // A server whose worker is gone would take what nobody drives.
    stop.cancel();
    ended.map_err(|error| failed(chain(&error)))
}

/// Without configured authentication whoever reaches the server and reads one file may do
/// everything, so only this machine may reach it.
fn may_listen(address: SocketAddr) -> Result<(), HostError> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    Err(HostError {
        kind: HostErrorKind::Refused,
        code: "FC0711",
        message: format!("{address} can be reached by others, and no authentication is configured"),
        hint: Some("listen at 127.0.0.1, and put a proxy that authenticates in front".to_owned()),
    })
}

/// The token that requests carry, in a file that only the operator can read; made at the first
/// start.
fn token(path: &Path) -> Result<String, HostError> {
    let cannot = |error: io::Error| failed(format!("{}: {error}", path.display()));
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(cannot(error)),
    }
    let seed = checkpoints::secret_seed()?;
    let token: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let _ = fs::remove_file(path);
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(cannot)?;
    writeln!(file, "{token}").and_then(|()| file.sync_all()).map_err(cannot)?;
    Ok(token)
}

/// Looks at what the server stands on.
struct Checks {
    services: Arc<Services>,
    is_ready: AtomicBool,
}

#[async_trait]
impl HealthChecks for Checks {
    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }

    async fn look(&self) -> Health {
        let ports = self.services.ports();
        let store = match ports.store.head().await {
            Ok(head) => check("store", true, format!("position {}", head.position)),
            Err(error) => check("store", false, error.to_string()),
        };
        let views = match ports.views.projections().await {
            Ok(all) => {
                let stopped = all.iter().filter(|one| one.stopped.is_some()).count();
                check("views", stopped == 0, format!("{} views, {stopped} stopped", all.len()))
            }
            Err(error) => check("views", false, error.to_string()),
        };
        Health { ready: self.is_ready(), checks: vec![store, views] }
    }
}

fn check(name: &'static str, healthy: bool, detail: String) -> Check {
    Check { name, healthy, detail }
}
