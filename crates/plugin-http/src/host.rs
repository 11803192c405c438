//! The port: each method is one request, `execute` with a cancel besides.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use flexcore_domain::{Isolation, IsolationPlace};
use flexcore_plugin_protocol::{ContentDigest, HttpDetails, KindDetails, LimitName};
use flexcore_ports::{
    AttemptLog, CallablePlugin, ConfigProblem, LogSource, PluginCall, PluginDescription, PluginEnd,
    PluginError, PluginHost, PluginOutput, PluginSchema,
};
use reqwest::{Client, Method, RequestBuilder, header};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    answer,
    client::{Clients, Identity},
    exchange::{Answer, Deadline, send},
    fault::Fault,
    options::HttpOptions,
    output,
    rights::{Rights, Used},
    trace,
};

const START: &str = "`start` in its limits says how long it may take";
const EXECUTE: &str = "`execute` in its limits and `timeout` of the step say how long it may take";

/// Calls plugins that are services.
pub struct HttpHost {
    options: HttpOptions,
    clients: Clients,
}

impl std::fmt::Debug for HttpHost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HttpHost").finish_non_exhaustive()
    }
}

impl HttpHost {
    /// A host without connections; they are made when they are needed.
    pub fn new(options: HttpOptions) -> Self {
        Self { options, clients: Clients::default() }
    }

    async fn service<'a>(&'a self, plugin: &'a CallablePlugin) -> Result<Service<'a>, Fault> {
        let KindDetails::Http(http) = &plugin.manifest.details else {
            return Err(Fault::unusable("its manifest is none of a service"));
        };
        let rights = Rights::of(plugin, http)?;
        let identity = Identity::of(&http.authentication, &self.options).await?;
        let client = self.clients.get(&plugin.digest, &identity, &self.options)?;
        let token = match identity {
            Identity::Token(token) => Some(token),
            Identity::None | Identity::Certificate { .. } => None,
        };
        let options = &self.options;
        Ok(Service { plugin, http, options, client, token, rights, used: Used::default() })
    }
}

#[async_trait]
impl PluginHost for HttpHost {
    async fn initialize(&self, plugin: &CallablePlugin) -> Result<PluginDescription, PluginError> {
        let name = &plugin.manifest.name;
        let described = async {
            let service = self.service(plugin).await?;
            answer::description(service.health().await?, &plugin.manifest)
        };
        described.await.map_err(|fault| fault.of(name))
    }

    async fn validate(
        &self,
        plugin: &CallablePlugin,
        config: &Value,
    ) -> Result<Vec<ConfigProblem>, PluginError> {
        let problems = async {
            let service = self.service(plugin).await?;
            let answer = service.ask(Method::POST, "/validate", Some(json!({ "config": config })));
            answer::problems(answer.await?.json().await?)
        };
        problems.await.map_err(|fault| fault.of(&plugin.manifest.name))
    }

    async fn schema(
        &self,
        plugin: &CallablePlugin,
        config: Option<&Value>,
    ) -> Result<PluginSchema, PluginError> {
        let schema = async {
            let service = self.service(plugin).await?;
            let answer = match config {
                None => service.ask(Method::GET, "/schema", None).await?,
                Some(config) => {
                    let body = Some(json!({ "config": config }));
                    service.ask(Method::POST, "/schema", body).await?
                }
            };
            answer::schema(answer.json().await?)
        };
        schema.await.map_err(|fault| fault.of(&plugin.manifest.name))
    }

    async fn execute(
        &self,
        plugin: &CallablePlugin,
        call: PluginCall,
        log: Arc<dyn AttemptLog>,
        cancel: CancellationToken,
    ) -> PluginEnd {
        let name = &plugin.manifest.name;
        let service = match self.service(plugin).await {
            Ok(service) => service,
            Err(fault) => return PluginEnd::refused(fault.of(name)),
        };
        let outcome = service.execute(&call, &*log, &cancel).await;
        let isolation =
            Isolation { part: String::new(), place: IsolationPlace::Remote, controls: Vec::new() };
        PluginEnd {
            uses: service.rights.uses(&service.used),
            isolation: (!service.used.is_nothing()).then_some(isolation),
            outcome: outcome.map_err(|fault| fault.of(name)),
        }
    }

    async fn health(&self, plugin: &CallablePlugin) -> Result<(), PluginError> {
        let health = async { answer::is_well(self.service(plugin).await?.health().await?) };
        health.await.map_err(|fault| fault.of(&plugin.manifest.name))
    }

    async fn release(&self, digest: &ContentDigest) {
        self.clients.release(digest);
    }
}

/// A service that may be called, with what calling it takes.
struct Service<'a> {
    plugin: &'a CallablePlugin,
    http: &'a HttpDetails,
    options: &'a HttpOptions,
    client: Client,
    token: Option<String>,
    rights: Rights,
    used: Used,
}

impl Service<'_> {
    fn limit(&self, name: LimitName) -> Option<Duration> {
        self.plugin.effective.limits.duration(name)
    }

    fn max_answer(&self) -> u64 {
        let stated = self.plugin.effective.limits.get(LimitName::OutputBytes);
        stated.unwrap_or(self.options.max_answer)
    }

    /// A request with everything that each has.
    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<RequestBuilder, Fault> {
        let bytes = body.as_ref().map_or(0, Vec::len) as u64;
        if bytes > self.options.max_request {
            return Err(Fault::TooLarge {
                what: "the request",
                limit: self.options.max_request,
                hint: "hand over less at a time",
                is_answer: false,
            });
        }
        let url = format!("{}{path}", self.http.url);
        let mut request =
            self.client.request(method, url).header(header::ACCEPT, "application/json");
        if let Some(token) = &self.token {
            let value = header::HeaderValue::from_str(&format!("Bearer {token}"));
            // Not what the value is: it is a secret.
            let mut value = value.map_err(|_| Fault::Credentials {
                what: "its token has characters that no header can have".to_owned(),
            })?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        self.used.request(bytes);
        Ok(request)
    }

    /// A short question.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer<'_>, Fault> {
        let after = self.limit(LimitName::Start).unwrap_or(self.options.ask);
        let deadline = Deadline::new(after, None, START);
        let request = self.request(method, path, body.map(|body| body.to_string().into_bytes()))?;
        send(request, deadline, &self.used, self.max_answer()).await
    }

    /// What it says of itself; nothing is fine.
    async fn health(&self) -> Result<Value, Fault> {
        let answer = self.ask(Method::GET, &self.http.health, None).await?;
        if answer.is_empty() { Ok(Value::Null) } else { answer.json().await }
    }

    async fn execute(
        &self,
        call: &PluginCall,
        log: &dyn AttemptLog,
        cancel: &CancellationToken,
    ) -> Result<PluginOutput, Fault> {
        let stated = [call.timeout, self.limit(LimitName::Execute)].into_iter().flatten().min();
        let after = stated.unwrap_or(self.options.execute);
        let deadline = Deadline::new(after, self.limit(LimitName::Idle), EXECUTE);
        let request = self.call(call, deadline)?;
        let limits = &self.plugin.effective.limits;
        let max_line = limits.get(LimitName::MaxFrame).unwrap_or(self.options.max_line);
        let answered = async {
            let answer = send(request, deadline, &self.used, self.max_answer()).await?;
            output::read(answer, max_line, log).await
        };
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Fault::Cancelled),
            outcome = answered => outcome,
        };
        // Nobody waits for it any more, so it should not go on.
        if let Err(
            Fault::Cancelled | Fault::TooLate { .. } | Fault::TooLarge { is_answer: true, .. },
        ) = outcome
        {
            self.cancel(call, log).await;
        }
        outcome
    }

    fn call(&self, call: &PluginCall, deadline: Deadline) -> Result<RequestBuilder, Fault> {
        let own = self.plugin.manifest.host_secrets();
        let secrets = call.secrets.iter().filter(|(name, _)| !own.contains(&name));
        let secrets: serde_json::Map<String, Value> =
            secrets.map(|(name, value)| (name.to_string(), json!(value))).collect();
        let state: Option<Value> = match &call.state {
            None => None,
            Some(text) => Some(serde_json::from_str(text).map_err(|error| {
                Fault::unusable(format!("the state that is kept for it is no JSON: {error}"))
            })?),
        };
        let is_records = call.input.is_array();
        let body = json!({
            "id": call.id,
            "attempt": call.attempt,
            "operation": call.operation,
            "tenant": self.plugin.tenant,
            "config": call.config,
            "records": is_records.then_some(&call.input),
            "parameters": (!is_records).then_some(&call.input),
            "state": state,
            "secrets": secrets,
        });
        let request =
            self.request(Method::POST, "/execute", Some(body.to_string().into_bytes()))?;
        Ok(request
            .header(header::ACCEPT, "application/x-ndjson")
            .header("idempotency-key", &call.idempotency_key)
            .header("flexcore-timeout-ms", deadline.left().as_millis().to_string())
            .header("traceparent", trace::parent(call)))
    }

    /// Asks it to stop; what came of the call is settled already.
    async fn cancel(&self, call: &PluginCall, log: &dyn AttemptLog) {
        let body = json!({ "id": call.id }).to_string().into_bytes();
        let cancelled = async {
            let request = self.request(Method::POST, "/cancel", Some(body))?;
            let request = request.header("traceparent", trace::parent(call));
            let deadline = Deadline::new(self.options.cancel, None, "that is all the time it has");
            send(request, deadline, &self.used, self.max_answer()).await.map(|_| ())
        };
        if let Err(fault) = cancelled.await {
            let name = &self.plugin.manifest.name;
            log.line(
                LogSource::Runner,
                &format!("the service of plugin `{name}` may go on: its cancel {fault}"),
            );
        }
    }
}
