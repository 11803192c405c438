//! The server: a store that is open to write, answered over HTTP and worked on.

mod access;
mod checks;
mod listen;
mod notify;
mod roles;

use std::{collections::BTreeMap, sync::Arc};

use flexcore_cli::{HostError, Place, ServeAddress, Writer};
use flexcore_http::{Api, HealthChecks, Hosts, Observation, Router, Server, open_router, router};
use flexcore_pipeline_file::SandboxWish;
use tokio_util::sync::CancellationToken;

use crate::{
    host::{BinaryHost, failed},
    observe::Page,
    paths::StatePaths,
    settings::{Role, Settings},
    writer::{self, Opening},
};
use checks::Checks;
use notify::ServiceManager;

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
    access::may_listen(settings.server.socket_address(), &settings.auth)?;
    let observability = host.observability();
    observability.serve(&settings.telemetry)?;
    let environment = host.environment_of(place);
    let manager = ServiceManager::of(&environment);
    let server = listen::at(&settings.server).await?;
    let does = |role| settings.server.does(role);
    let opening = Opening {
        purpose: "serve",
        projects: does(Role::Projection),
        drives: does(Role::Worker),
        vault: Some(&settings.secrets.vault),
    };
    let writer = writer::open_for(host, place, opening).await?;
    let observed = Observation {
        metrics: Arc::new(Page {
            metrics: observability.metrics().cloned(),
            services: Arc::clone(&writer.services),
        }),
        ids: Arc::clone(&writer.services.ports().ids),
        sampler: observability.sampler(),
    };
    let paths = StatePaths::new(&place.state_folder);
    let serving = Serving {
        writer: &writer,
        paths,
        environment,
        wish: place.project.sandbox,
        settings,
        observed,
        manager,
    };
    let ended = serving.run(server, ready, stop).await;
    writer.close().await?;
    observability.finish().await;
    ended
}

/// What a server is made of.
struct Serving<'a> {
    writer: &'a Writer,
    paths: StatePaths,
    environment: BTreeMap<String, String>,
    /// How much of a jail the project asks for.
    wish: Option<SandboxWish>,
    settings: Settings,
    observed: Observation,
    manager: ServiceManager,
}

impl Serving<'_> {
    async fn run(
        &self,
        server: Server,
        ready: Ready,
        stop: CancellationToken,
    ) -> Result<(), HostError> {
        let address = server.address().map_err(|error| failed(error.to_string()))?;
        let is_encrypted = server.is_encrypted();
        let token_file = self.paths.token();
        let folder = self.paths.folder().to_owned();
        let checks =
            Arc::new(Checks::new(self.writer, folder, (self.wish, self.environment.clone())));
        let ports = self.writer.services.ports();
        let api = Api {
            commands: self.writer.commands.clone(),
            queries: self.writer.queries.clone(),
            events: Arc::clone(&ports.store),
            log: self.writer.log.clone(),
            logs: Arc::clone(&ports.logs),
            ids: Arc::clone(&ports.ids),
            options: listen::request_options(&self.settings),
            access: access::of_callers(&self.writer.services, &self.settings.auth, &token_file)?,
            hosts: Hosts::new(address, self.settings.server.allow_hosts.iter().cloned()),
            health: Arc::clone(&checks) as Arc<dyn HealthChecks>,
            observed: self.observed.clone(),
            ending: stop.clone(),
        };
        ready(ServeAddress { address, is_encrypted, token_file });
        self.manager.ready();
        let answer = server.run(self.routes(api), stop.clone());
        let end = async {
            stop.cancelled().await;
            checks.end();
            self.manager.stopping();
        };
        let work = roles::work(self.writer, &self.settings.server, &stop);
        let (worked, (), (), ()) = tokio::join!(work, answer, end, self.hear(&stop));
        self.writer.services.finish_audit().await;
        worked
    }

    /// Hears of changes of keys and roles; without it callers are looked up one by one.
    async fn hear(&self, stop: &CancellationToken) {
        if let Err(error) = self.writer.services.follow_access(&self.writer.log, stop).await {
            tracing::warn!(%error, "changes of keys and roles are no longer heard of");
        }
    }

    /// A process without the role `api` still says how it is.
    fn routes(&self, api: Api) -> Router {
        match self.settings.server.does(Role::Api) {
            true => router(api),
            false => open_router(api),
        }
    }
}
