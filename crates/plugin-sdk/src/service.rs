//! The service of FlexCore's own protocol, on top of an author's plugin.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use flexcore_plugin_protocol::protobuf::v1::{self, execute_request};
use serde_json::Value;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    Call, Failure, Plugin, Problem, Records, Secret, Setup, Sink,
    ending::Ending,
    exchange::{Exchange, WINDOW},
    execution::Execution,
    grpc::v1::plugin_server,
};

/// An author's plugin as the host calls it.
pub(crate) struct PluginService<P: Plugin> {
    plugin: Arc<P>,
    session: RwLock<Option<Arc<P::Session>>>,
    running: Arc<AtomicU32>,
    /// What a panic said; the plugin is not to be called again.
    panicked: Arc<Mutex<Option<String>>>,
    ending: Arc<Ending>,
}

impl<P: Plugin> PluginService<P> {
    pub(crate) fn new(plugin: Arc<P>, ending: Arc<Ending>) -> Self {
        Self {
            plugin,
            session: RwLock::new(None),
            running: Arc::default(),
            panicked: Arc::default(),
            ending,
        }
    }

    fn session(&self) -> Option<Arc<P::Session>> {
        self.session.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts an execution while it runs; refuses it if there are as many as there can be.
    fn enter(&self) -> Result<Running, Status> {
        let most = self.plugin.info().max_concurrent_executions.max(1);
        let entered = self.running.fetch_update(Ordering::AcqRel, Ordering::Acquire, |running| {
            (running < most).then_some(running + 1)
        });
        match entered {
            Ok(_) => Ok(Running(Arc::clone(&self.running))),
            Err(_) => Err(Status::resource_exhausted(format!(
                "the plugin carries out {most} executions at a time, and as many are running"
            ))),
        }
    }
}

/// An execution that counts as running.
struct Running(Arc<AtomicU32>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[tonic::async_trait]
impl<P: Plugin> plugin_server::Plugin for PluginService<P> {
    type ExecuteStream = Execution;

    async fn info(
        &self,
        _: Request<v1::InfoRequest>,
    ) -> Result<Response<v1::InfoResponse>, Status> {
        let info = self.plugin.info();
        Ok(Response::new(v1::InfoResponse {
            name: info.name,
            version: info.version,
            plugin_type: v1::PluginType::from(info.plugin_type).into(),
            encodings: vec![v1::Encoding::Jsonl.into()],
            max_concurrent_executions: info.max_concurrent_executions.max(1),
            stateless: info.stateless,
            initial_credit: Some(WINDOW),
        }))
    }

    async fn validate(
        &self,
        request: Request<v1::ValidateRequest>,
    ) -> Result<Response<v1::ValidateResponse>, Status> {
        let problems = match object(&request.get_ref().config_json) {
            Ok(config) => self.plugin.validate(&config).await,
            Err(message) => vec![Problem::new("", message)],
        };
        let problems = problems.into_iter().map(problem).collect();
        Ok(Response::new(v1::ValidateResponse { problems }))
    }

    async fn schema(
        &self,
        request: Request<v1::SchemaRequest>,
    ) -> Result<Response<v1::SchemaResponse>, Status> {
        let config = &request.get_ref().config_json;
        let data_streams = if config.is_empty() {
            Vec::new()
        } else {
            let config = object(config).map_err(Status::invalid_argument)?;
            self.plugin.data_streams(&config).await?
        };
        let data_streams = data_streams.into_iter().map(|stream| v1::DataStream {
            name: stream.name,
            schema_json: stream.schema.to_string(),
            key_properties: stream.key_properties,
        });
        Ok(Response::new(v1::SchemaResponse {
            config_schema_json: self.plugin.config_schema().to_string(),
            data_streams: data_streams.collect(),
        }))
    }

    async fn initialize(
        &self,
        request: Request<v1::InitializeRequest>,
    ) -> Result<Response<v1::InitializeResponse>, Status> {
        let request = request.into_inner();
        let config = object(&request.config_json).map_err(Status::invalid_argument)?;
        let problems = self.plugin.validate(&config).await;
        let (warnings, errors): (Vec<_>, Vec<_>) =
            problems.into_iter().partition(|problem| problem.warning);
        if let Some(error) = errors.first() {
            let place = if error.pointer.is_empty() { "" } else { ": " };
            return Err(Status::invalid_argument(format!(
                "{}{place}{}",
                error.pointer, error.message
            )));
        }
        let secrets: BTreeMap<String, Secret> =
            request.secrets.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        let folder = Some(request.scratch_folder).filter(|folder| !folder.is_empty());
        let setup = Setup { config, secrets, scratch_folder: folder.map(Into::into) };
        let session = Arc::new(self.plugin.initialize(setup).await?);
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = Some(session);
        let warnings = warnings.into_iter().map(problem).collect();
        Ok(Response::new(v1::InitializeResponse { warnings }))
    }

    async fn execute(
        &self,
        request: Request<Streaming<v1::ExecuteRequest>>,
    ) -> Result<Response<Self::ExecuteStream>, Status> {
        let Some(session) = self.session() else {
            return Err(Status::failed_precondition("the plugin was not initialized"));
        };
        let running = self.enter()?;
        let span = request.metadata().get("traceparent").and_then(|value| value.to_str().ok());
        let span = span.map(str::to_owned);
        let mut requests = request.into_inner();
        let first = requests.message().await?.and_then(|request| request.message);
        let Some(execute_request::Message::Begin(mut begin)) = first else {
            return Err(Status::invalid_argument(
                "the host broke the protocol: an execution starts with `begin`",
            ));
        };
        let exchange = Arc::new(Exchange::new(&mut begin)?);
        let call = Call { traceparent: span, ..call(begin, Arc::clone(&exchange))? };
        let plugin = Arc::clone(&self.plugin);
        let (mut records, mut sink) =
            (Records::new(Arc::clone(&exchange)), Sink::new(Arc::clone(&exchange)));
        let author = async move {
            let _running = running;
            let output = plugin.execute(&session, &call, &mut records, &mut sink).await?;
            sink.flush().await?;
            Ok(output)
        };
        let panicked = Arc::clone(&self.panicked);
        let on_panic = move |message: &str| {
            *panicked.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.to_owned());
        };
        Ok(Response::new(Execution::new(requests, exchange, author, on_panic)))
    }

    async fn health(
        &self,
        _: Request<v1::HealthRequest>,
    ) -> Result<Response<v1::HealthResponse>, Status> {
        let panicked = self.panicked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let health = match panicked {
            Some(message) => Err(format!("an execution panicked: {message}")),
            None => self.plugin.health(self.session().as_deref()).await,
        };
        Ok(Response::new(v1::HealthResponse {
            healthy: health.is_ok(),
            detail: health.err().unwrap_or_default(),
        }))
    }

    async fn shutdown(
        &self,
        request: Request<v1::ShutdownRequest>,
    ) -> Result<Response<v1::ShutdownResponse>, Status> {
        let grace = Duration::from_millis(request.get_ref().grace_ms);
        self.ending.begin(self.plugin.shutdown(), Some(grace)).await;
        Ok(Response::new(v1::ShutdownResponse {}))
    }
}

fn call(begin: v1::BeginExecution, exchange: Arc<Exchange>) -> Result<Call, Status> {
    if begin.encoding() != v1::Encoding::Jsonl {
        return Err(Status::invalid_argument(
            "the plugin reads and writes JSON lines, and the host asked for another encoding",
        ));
    }
    let parameters = if begin.parameters_json.is_empty() {
        Value::Object(serde_json::Map::new())
    } else {
        serde_json::from_str(&begin.parameters_json)
            .map_err(|error| Failure::configuration(format!("the input is no JSON: {error}")))?
    };
    Ok(Call {
        execution_id: begin.execution_id,
        step_id: begin.step_id,
        attempt: begin.attempt,
        idempotency_key: begin.idempotency_key,
        operation: begin.operation,
        parameters,
        bookmark: Some(begin.bookmark_json).filter(|bookmark| !bookmark.is_empty()),
        timeout: (begin.timeout_ms > 0).then(|| Duration::from_millis(begin.timeout_ms)),
        traceparent: None,
        exchange,
    })
}

/// Settings, which are an object.
fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(config @ Value::Object(_)) => Ok(config),
        Ok(_) => Err("the settings are no JSON object".to_owned()),
        Err(error) => Err(format!("the settings are no JSON: {error}")),
    }
}

fn problem(problem: Problem) -> v1::Problem {
    v1::Problem { pointer: problem.pointer, message: problem.message, warning: problem.warning }
}
