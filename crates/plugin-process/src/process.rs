//! A process of a plugin that can be called.

use std::{path::PathBuf, sync::Arc, time::Duration};

use flexcore_domain::{CapabilityUse, ErrorClass, Isolation};
use flexcore_plugin_protocol::protobuf::{goplugin, v1};
use flexcore_ports::{ConfigProblem, PluginSchema};
use flexcore_sandbox::{Containment, GrantUse};
use prost::Message;
use serde_json::Value;

use crate::{
    config::Settings,
    error::Fault,
    grpc::{Connection, GrpcError, Status},
    output::Output,
    start,
    supervisor::Supervisor,
};

/// The longest answer that is not part of an execution.
pub(crate) const MAX_ANSWER: usize = 16 << 20;

/// What a process can be asked for.
#[derive(Debug)]
pub(crate) enum Services {
    /// FlexCore's own protocol.
    FlexCore {
        /// How many executions it carries out at the same time.
        concurrent: u32,
        /// Whether it keeps nothing between executions.
        stateless: bool,
        /// The credit with which every execution begins.
        initial_credit: Option<v1::Credit>,
    },
    /// Services of its own, and nothing that is known of them.
    Foreign,
}

/// A process of a plugin that can be called. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct PluginProcess {
    pub(crate) connection: Connection,
    pub(crate) services: Services,
    pub(crate) supervisor: Supervisor,
    pub(crate) output: Arc<Output>,
    pub(crate) containment: Containment,
    pub(crate) isolation: Isolation,
    pub(crate) scratch: PathBuf,
}

impl PluginProcess {
    /// Whether it is there and can be reached.
    pub(crate) fn is_alive(&self) -> bool {
        self.connection.is_open() && self.supervisor.exit().is_none()
    }

    /// How many calls it takes at the same time.
    pub(crate) fn concurrent(&self) -> u32 {
        match self.services {
            Services::FlexCore { concurrent, .. } => concurrent,
            Services::Foreign => 1,
        }
    }

    /// Hands over settings.
    pub(crate) async fn initialize(
        &self,
        settings: &Settings<'_>,
        patience: Duration,
    ) -> Result<(), Fault> {
        let question = v1::InitializeRequest {
            config_json: settings.config_json(),
            secrets: settings.secrets(),
            scratch_folder: self.scratch.to_string_lossy().into_owned(),
        };
        self.ask::<v1::InitializeResponse>("Initialize", &question, patience).await.map(|_| ())
    }

    /// Asks what is wrong with settings.
    pub(crate) async fn validate(
        &self,
        config: &Value,
        patience: Duration,
    ) -> Result<Vec<ConfigProblem>, Fault> {
        let question = v1::ValidateRequest { config_json: config.to_string() };
        let answer = self.ask::<v1::ValidateResponse>("Validate", &question, patience).await?;
        let problem = |problem: v1::Problem| ConfigProblem {
            pointer: problem.pointer,
            message: problem.message,
            warning: problem.warning,
        };
        Ok(answer.problems.into_iter().map(problem).collect())
    }

    /// Asks for schemas.
    pub(crate) async fn schema(
        &self,
        config: Option<&Value>,
        patience: Duration,
    ) -> Result<PluginSchema, Fault> {
        let config_json = config.map(Value::to_string).unwrap_or_default();
        let question = v1::SchemaRequest { config_json };
        let answer = self.ask::<v1::SchemaResponse>("Schema", &question, patience).await?;
        let config = match answer.config_schema_json.as_str() {
            "" => None,
            text => Some(json(text, "the schema of its settings")?),
        };
        let mut data_streams = Vec::with_capacity(answer.data_streams.len());
        for stream in answer.data_streams {
            let what = format!("the schema of its data stream `{}`", stream.name);
            data_streams.push((stream.name, json(&stream.schema_json, &what)?));
        }
        Ok(PluginSchema { config, data_streams })
    }

    /// Asks whether it is well.
    pub(crate) async fn health(&self, patience: Duration) -> Result<(), Fault> {
        if matches!(self.services, Services::Foreign) {
            return start::health(&self.connection, patience).await;
        }
        let question = v1::HealthRequest {};
        let answer = self.ask::<v1::HealthResponse>("Health", &question, patience).await?;
        if answer.healthy {
            return Ok(());
        }
        let detail: String = answer.detail.chars().take(1000).collect();
        Err(Fault::Unwell { detail })
    }

    /// Asks it to end itself, and kills what is left after `grace`. Nothing of it is left then.
    pub(crate) async fn stop(self: Arc<Self>, grace: Duration) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        let asked = async {
            let asked = self
                .ask::<v1::ShutdownResponse>("Shutdown", &v1::ShutdownRequest { grace_ms }, grace)
                .await;
            if asked.is_err() {
                let question = (MAX_ANSWER, grace);
                let path = "/plugin.GRPCController/Shutdown";
                // It may end before it answers.
                let _ = self
                    .connection
                    .unary::<goplugin::Empty>(path, &goplugin::Empty {}, question)
                    .await;
            }
        };
        let gone = async {
            asked.await;
            self.supervisor.exit_within(grace).await
        };
        let _ = tokio::time::timeout(grace, gone).await;
        self.supervisor.kill().await;
    }

    /// What its network grants were used for since `before`.
    pub(crate) fn uses_since(&self, before: &[GrantUse]) -> Vec<CapabilityUse> {
        let mut now = self.supervisor.network();
        for (use_, earlier) in now.iter_mut().zip(before) {
            use_.connections = use_.connections.saturating_sub(earlier.connections);
            use_.failed = use_.failed.saturating_sub(earlier.failed);
            use_.refused = use_.refused.saturating_sub(earlier.refused);
            use_.bytes_sent = use_.bytes_sent.saturating_sub(earlier.bytes_sent);
            use_.bytes_received = use_.bytes_received.saturating_sub(earlier.bytes_received);
        }
        self.containment.uses(&now)
    }

    /// What became of the process says more than what became of the connection.
    pub(crate) async fn explain(&self, fault: Fault) -> Fault {
        start::explain(fault, &self.supervisor, &self.containment).await
    }

    async fn ask<A: Message + Default>(
        &self,
        method: &str,
        question: &impl Message,
        patience: Duration,
    ) -> Result<A, Fault> {
        let path = format!("/flexcore.plugin.v1.Plugin/{method}");
        let answer = self.connection.unary(&path, question, (MAX_ANSWER, patience)).await;
        answer.map_err(|error| answered(method, error))
    }
}

/// A status is the plugin's word; anything else is a fault of it.
fn answered(method: &str, error: GrpcError) -> Fault {
    let GrpcError::Status(status) = &error else { return error.into() };
    let class = match status.code {
        // A plugin whose server is gone is no plugin that failed at what it was asked.
        Status::UNAVAILABLE => return error.into(),
        Status::INVALID_ARGUMENT | Status::FAILED_PRECONDITION | Status::UNIMPLEMENTED => {
            ErrorClass::Refused
        }
        Status::DEADLINE_EXCEEDED => ErrorClass::Timeout,
        _ => ErrorClass::ExitCode,
    };
    Fault::Failed { class, message: format!("its {method} failed: {status}") }
}

fn json(text: &str, what: &str) -> Result<Value, Fault> {
    serde_json::from_str(text).map_err(|error| {
        Fault::protocol(format!("sent {what} as something that is no JSON ({error})"))
    })
}
