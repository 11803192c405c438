//! Starts a plugin and calls it without a host: for authors' own tests, and for the conformance
//! checks.
//!
//! The plugin runs as the user who tests it, with nothing around it. What it may do in a jail is
//! not seen here.
//!
//! ```no_run
//! use flexcore_plugin_sdk::testing::{TestCall, TestPlugin};
//! use serde_json::json;
//!
//! # async fn greets() -> Result<(), Box<dyn std::error::Error>> {
//! let plugin = TestPlugin::start(&["target/debug/greeter"]).await?;
//! plugin.initialize(&json!({"greeting": "Hello"}), &[]).await?;
//! let answer = plugin.call(TestCall::records([json!({"name": "Ada"})])).await?;
//! assert_eq!(answer.records("greetings"), [json!({"text": "Hello, Ada!"})]);
//! # Ok(())
//! # }
//! ```

mod answer;
mod exchange;
mod process;

use std::{collections::HashMap, time::Duration};

use flexcore_plugin_protocol::protobuf::v1;
use serde_json::Value;
use thiserror::Error;
use tonic::{Status, transport::Channel};

use crate::{
    Problem,
    grpc::{
        goplugin::grpc_controller_client::GrpcControllerClient,
        health::health_client::HealthClient, v1::plugin_client::PluginClient,
    },
};

pub use answer::{TestAnswer, TestFailure};
pub use exchange::TestCall;
use process::Process;
pub use process::{Cookie, StartError};

/// The longest message, either way.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// A plugin that was started. It is killed when this is dropped.
#[derive(Debug)]
pub struct TestPlugin {
    process: Process,
    channel: Channel,
    info: v1::InfoResponse,
}

/// Why a call gave no answer.
#[derive(Debug, Error)]
pub enum CallError {
    /// The plugin answered with a gRPC status.
    #[error("{}: {}", .0.code(), .0.message())]
    Status(Box<Status>),
    /// The plugin broke the protocol.
    #[error("the plugin broke the protocol: {0}")]
    Protocol(String),
    /// The plugin gave no answer in time.
    #[error("no answer after {} s", .0.as_secs())]
    Late(Duration),
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl TestPlugin {
    /// Starts a program with the usual cookie and asks what it is.
    ///
    /// # Errors
    /// [`StartError`], with what the program wrote to stderr.
    pub async fn start<S: AsRef<str>>(argv: &[S]) -> Result<Self, StartError> {
        Self::start_with(argv, &Cookie::default(), &[]).await
    }

    /// Starts a program with a cookie and with environment variables besides.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with<S: AsRef<str>>(
        argv: &[S],
        cookie: &Cookie,
        environment: &[(&str, &str)],
    ) -> Result<Self, StartError> {
        let mut process = Process::start(argv, cookie, environment)?;
        let channel = process.connect().await?;
        let mut client = PluginClient::new(channel.clone());
        let asked = client.info(v1::InfoRequest { host_version: "test".to_owned() }).await;
        let info = match asked {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                return Err(process.failed(format!("it does not say what it is: {status}")));
            }
        };
        Ok(Self { process, channel, info })
    }

    /// What the plugin says it is.
    pub fn info(&self) -> &v1::InfoResponse {
        &self.info
    }

    /// The client, for what this type has no method for.
    pub fn client(&self) -> PluginClient<Channel> {
        PluginClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The connection, for other services.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The path of the plugin's socket.
    pub fn socket(&self) -> &std::path::Path {
        self.process.socket()
    }

    /// Whether gRPC's own health check says that the service `plugin` can be called.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn is_serving(&self) -> Result<bool, CallError> {
        use flexcore_plugin_protocol::protobuf::health::{
            HealthCheckRequest, health_check_response::ServingStatus,
        };
        let request = HealthCheckRequest { service: "plugin".to_owned() };
        let answer = HealthClient::new(self.channel.clone()).check(request).await?;
        Ok(answer.get_ref().status() == ServingStatus::Serving)
    }

    /// What is wrong with settings.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn validate(&self, config: &Value) -> Result<Vec<Problem>, CallError> {
        self.validate_text(config.to_string()).await
    }

    /// What is wrong with settings that may be no JSON.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn validate_text(&self, config_json: String) -> Result<Vec<Problem>, CallError> {
        let answer = self.client().validate(v1::ValidateRequest { config_json }).await?;
        let problems = answer.into_inner().problems.into_iter();
        Ok(problems
            .map(|found| Problem {
                pointer: found.pointer,
                message: found.message,
                warning: found.warning,
            })
            .collect())
    }

    /// The JSON Schema of the settings, as text.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn config_schema(&self) -> Result<String, CallError> {
        let request = v1::SchemaRequest { config_json: String::new() };
        Ok(self.client().schema(request).await?.into_inner().config_schema_json)
    }

    /// Initializes the plugin with settings and secrets; answers with the warnings.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn initialize(
        &self,
        config: &Value,
        secrets: &[(&str, &str)],
    ) -> Result<Vec<String>, CallError> {
        let secrets: HashMap<String, _> = secrets
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec().into()))
            .collect();
        let request = v1::InitializeRequest {
            config_json: config.to_string(),
            secrets,
            scratch_folder: String::new(),
        };
        let answer = self.client().initialize(request).await?.into_inner();
        Ok(answer.warnings.into_iter().map(|warning| warning.message).collect())
    }

    /// Carries out one call as a host does, and holds what comes back against the protocol.
    ///
    /// # Errors
    /// [`CallError`]. A call that the plugin failed is an answer.
    pub async fn call(&self, call: TestCall) -> Result<TestAnswer, CallError> {
        let credit = self.info.initial_credit.unwrap_or_default();
        let limit = call.limit;
        tokio::time::timeout(limit, exchange::run(self.client(), call, credit))
            .await
            .map_err(|_| CallError::Late(limit))?
    }

    /// Whether the plugin says that it is well, or why not.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn health(&self) -> Result<Result<(), String>, CallError> {
        let answer = self.client().health(v1::HealthRequest {}).await?.into_inner();
        Ok(if answer.healthy { Ok(()) } else { Err(answer.detail) })
    }

    /// Asks the plugin to end itself, and waits until it has: whether its exit code was 0.
    ///
    /// # Errors
    /// [`CallError::Late`] if it did not end in time; it is killed then.
    pub async fn shut_down(self, limit: Duration) -> Result<bool, CallError> {
        let grace_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let mut client = self.client();
        // It may end before it answers.
        let _ =
            tokio::time::timeout(limit, client.shutdown(v1::ShutdownRequest { grace_ms })).await;
        self.process.wait(limit).await
    }

    /// As hosts of go-plugin do it: over the controller's service.
    ///
    /// # Errors
    /// As [`shut_down`](Self::shut_down).
    pub async fn shut_down_by_controller(self, limit: Duration) -> Result<bool, CallError> {
        use flexcore_plugin_protocol::protobuf::goplugin::Empty;
        let mut client = GrpcControllerClient::new(self.channel.clone());
        let _ = tokio::time::timeout(limit, client.shutdown(Empty {})).await;
        self.process.wait(limit).await
    }
}
