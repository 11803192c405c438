//! The interface on an embedded store in a temporary folder.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request},
};
use flexcore_api::CreatePipeline;
use flexcore_app::{
    CommandBus, LogSubscriptions, Permissions, Ports, QueryBus, RequestContext, Services,
    Unobserved,
};
use flexcore_artifacts::{FolderArtifacts, FolderLogs, LogOptions};
use flexcore_coordination::LocalCoordinator;
use flexcore_domain::{ExecutionId, StepId};
use flexcore_eventsourcing::{Append, EventContext, EventData, EventId, Timestamp};
use flexcore_http::{
    Api, Authenticate, Caller, Check, Credentials, Health, HealthChecks, Hosts, MetricsPage,
    Observation, Refusal, RequestOptions, Server, ServerOptions, router,
};
use flexcore_ports::{
    AttemptLog, Clock, EventStore as _, Ids, NoRandomness, Secrets, TraceSampler,
};
use flexcore_secrets::{EnvSecrets, ProvidedSecrets, SecretMask};
use flexcore_store_sqlite::{OpenMode, SqliteStore};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Who asks, by the tokens of the stage.
pub(crate) const OPERATOR: &str = "operator-token";
pub(crate) const NOBODY: &str = "nobody-token";
pub(crate) const NEIGHBOUR: &str = "neighbour-token";

#[derive(Debug)]
struct StageClock;

impl Clock for StageClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_767_225_600_000_000)
    }
}

#[derive(Debug)]
struct RandomIds;

impl Ids for RandomIds {
    fn next(&self) -> Uuid {
        #[expect(clippy::disallowed_methods, reason = "ids of a test need not be the same again")]
        Uuid::now_v7()
    }

    fn secret(&self) -> Result<[u8; 32], NoRandomness> {
        Ok([7; 32])
    }
}

/// Three callers: one who may do everything, one who may do nothing, and one of another tenant.
struct Callers;

#[async_trait]
impl Authenticate for Callers {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Caller, Refusal> {
        let (actor, tenant, permissions) = match credentials.token.ok_or(Refusal::Missing)? {
            OPERATOR => ("operator", "default", Permissions::All),
            NOBODY => ("nobody", "default", Permissions::Only(Arc::new(BTreeSet::new()))),
            NEIGHBOUR => ("neighbour", "next-door", Permissions::All),
            _ => return Err(Refusal::Unknown),
        };
        Ok(Caller { actor: actor.into(), tenant: tenant.into(), permissions })
    }
}

struct Healthy;

#[async_trait]
impl HealthChecks for Healthy {
    fn is_ready(&self) -> bool {
        true
    }

    async fn look(&self) -> Health {
        let store = Check { name: "store", healthy: true, detail: "here".into() };
        Health { ready: true, checks: vec![store] }
    }
}

struct NoMetrics;

#[async_trait]
impl MetricsPage for NoMetrics {
    async fn render(&self) -> String {
        String::new()
    }
}

/// A store and the interface over it.
pub(crate) struct Stage {
    pub(crate) api: Api,
    routes: Router,
    services: Arc<Services>,
    store: SqliteStore,
    tailing: JoinHandle<()>,
    _folder: TempDir,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The code of the problem that it is.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        problem["code"].as_str().expect("a code").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(RequestOptions::default()).await
    }

    pub(crate) async fn with(options: RequestOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mode = OpenMode::Writer { purpose: "test".into() };
        let store = SqliteStore::open(folder.path(), mode, Arc::new(StageClock)).unwrap();
        let services = Arc::new(Services::writing(ports(folder.path(), &store)));
        let (tailer, log) = services.tailer().await.unwrap();
        let tailing =
            tokio::spawn(async move { tailer.run(CancellationToken::new()).await.unwrap() });
        let api = api(&services, log, options);
        let routes = router(api.clone());
        Self { api, routes, services, store, tailing, _folder: folder }
    }

    /// Sends a request into the routes.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let Ok(response) = TowerToHyperService::new(self.routes.clone()).call(request).await;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(asked("GET", path, OPERATOR).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = asked("POST", path, OPERATOR).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A pipeline, and an execution of it that nobody drives; the execution's id.
    pub(crate) async fn fill(&self) -> String {
        let context = RequestContext::local("tester");
        let document = document("orders");
        let create: CreatePipeline =
            serde_json::from_value(json!({ "document": document })).unwrap();
        self.api.commands.execute(&context, create).await.unwrap();
        let accepted = self.post("pipelines/orders/executions", &json!({})).await;
        accepted.json()["execution"].as_str().expect("an id").to_owned()
    }

    /// Appends events of one stream of the default tenant; their type says that they are of no use.
    pub(crate) async fn append(&self, stream: &str, version: u64, count: usize) -> u64 {
        let event = || EventData {
            id: EventId(RandomIds.next()),
            type_name: "Noted".into(),
            schema_version: 1,
            occurred_at: StageClock.now(),
            context: EventContext::json("default", "tester"),
            payload: b"{}".to_vec(),
        };
        let events = (0..count).map(|_| event()).collect();
        let append = Append::to(stream.parse().unwrap(), version, events);
        self.store.events().append(append).await.unwrap().last_position
    }

    /// The log of an attempt.
    pub(crate) fn attempt_log(&self, execution: &str, step: &str) -> Arc<dyn AttemptLog> {
        let execution: ExecutionId = execution.parse().unwrap();
        let step: StepId = step.parse().unwrap();
        self.services.ports().logs.open(execution, &step, 1).unwrap()
    }

    /// Serves over connections until the stage is gone.
    pub(crate) async fn serve(&self, options: ServerOptions) -> SocketAddr {
        let server = Server::bind(([127, 0, 0, 1], 0).into(), options).await.unwrap();
        let address = server.address().unwrap();
        tokio::spawn(server.run(self.routes.clone(), self.api.ending.clone()));
        address
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.api.ending.cancel();
        self.tailing.abort();
    }
}

/// A request below the root of the interface.
pub(crate) fn asked(method: &str, path: &str, token: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("/api/v1/flexcore/{path}"))
        .header("host", "localhost")
        .header("authorization", format!("Bearer {token}"))
}

/// A pipeline definition, parsed.
pub(crate) fn document(name: &str) -> Value {
    let steps = json!([{ "id": "one", "command": { "argv": ["true"] } }]);
    json!({
        "format": 1,
        "connectors": [],
        "pipeline": {
            "content": { "pipeline": name, "steps": steps },
            "file": "pipeline.yaml",
            "lines": {},
        },
        "project": null,
    })
}

fn ports(folder: &std::path::Path, store: &SqliteStore) -> Ports {
    let secrets: Arc<dyn Secrets> = Arc::new(ProvidedSecrets::new(
        vec![Box::new(EnvSecrets::new("SECRET_", []))],
        Arc::new(SecretMask::default()),
    ));
    let logs = FolderLogs::new(
        folder.join("logs"),
        secrets.mask(),
        Arc::new(StageClock),
        LogOptions::default(),
    );
    Ports {
        store: store.events(),
        verifier: Arc::new(store.verifier()),
        views: store.views(),
        rebuild: Arc::new(store.views_rebuilder()),
        snapshots: Arc::new(store.snapshots()),
        clock: Arc::new(StageClock),
        ids: Arc::new(RandomIds),
        logs: Arc::new(logs),
        artifacts: Arc::new(FolderArtifacts::new(folder.join("artifacts"))),
        coordinator: Arc::new(LocalCoordinator::new("stage")),
        secrets,
        host_environment: Arc::default(),
    }
}

fn api(services: &Arc<Services>, log: LogSubscriptions, options: RequestOptions) -> Api {
    let ports = services.ports();
    Api {
        commands: CommandBus::new(Arc::clone(services), Arc::new(Unobserved)),
        queries: QueryBus::new(Arc::clone(services), Arc::new(Unobserved)),
        events: Arc::clone(&ports.store),
        log,
        logs: Arc::clone(&ports.logs),
        ids: Arc::clone(&ports.ids),
        options,
        access: Arc::new(Callers),
        hosts: Hosts::new(([127, 0, 0, 1], 8080).into(), []),
        health: Arc::new(Healthy),
        observed: Observation {
            metrics: Arc::new(NoMetrics),
            ids: Arc::clone(&ports.ids),
            sampler: TraceSampler::new(0.0),
        },
        ending: CancellationToken::new(),
    }
}
