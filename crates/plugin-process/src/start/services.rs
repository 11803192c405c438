//! The first questions to a plugin that was connected to.

use std::{sync::Arc, time::Duration};

use flexcore_plugin_protocol::protobuf::{
    goplugin,
    health::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus},
    v1,
};
use flexcore_ports::{CallablePlugin, LogSource};

use crate::{
    ProcessOptions,
    error::Fault,
    grpc::{Call, Connection, GrpcError, Status},
    output::{Lines, Output, Pace},
    process::{MAX_ANSWER, Services},
};

/// What go-plugin calls the service whose health counts.
const HEALTH_SERVICE: &str = "plugin";
/// How many executions one process is given at most, whatever it says.
const MAX_CONCURRENT: u32 = 1024;

/// Asks whether the plugin is well and what it is.
pub(super) async fn greet(
    connection: &Connection,
    plugin: &CallablePlugin,
    options: &ProcessOptions,
    (output, patience): (&Arc<Output>, Duration),
) -> Result<Services, Fault> {
    // First, because what it prints blocks it otherwise.
    follow_prints(connection, output).await?;
    health(connection, patience).await?;
    let question = v1::InfoRequest { host_version: options.host_version.clone() };
    let info = connection
        .unary::<v1::InfoResponse>(
            "/flexcore.plugin.v1.Plugin/Info",
            &question,
            (MAX_ANSWER, patience),
        )
        .await;
    match info {
        Ok(info) => {
            check(&info, plugin)?;
            Ok(Services::FlexCore {
                concurrent: info.max_concurrent_executions.clamp(1, MAX_CONCURRENT),
                stateless: info.stateless,
                initial_credit: info.initial_credit,
            })
        }
        Err(error) if error.code() == Some(Status::UNIMPLEMENTED) => Ok(Services::Foreign),
        Err(error) => Err(error.into()),
    }
}

/// Asks gRPC's health service.
pub(crate) async fn health(connection: &Connection, patience: Duration) -> Result<(), Fault> {
    let question = HealthCheckRequest { service: HEALTH_SERVICE.to_owned() };
    let answer = connection
        .unary::<HealthCheckResponse>(
            "/grpc.health.v1.Health/Check",
            &question,
            (MAX_ANSWER, patience),
        )
        .await?;
    if answer.status() == ServingStatus::Serving {
        return Ok(());
    }
    let what = format!("says that it is not well (health status {})", answer.status);
    Err(Fault::protocol(what))
}

/// Whether it is what was registered, and can be spoken with.
fn check(info: &v1::InfoResponse, plugin: &CallablePlugin) -> Result<(), Fault> {
    let manifest = &plugin.manifest;
    let pairs =
        [("name", &info.name, &manifest.name), ("version", &info.version, &manifest.version)];
    for (what, said, registered) in pairs {
        if said != registered {
            let said: String = said.chars().take(100).collect();
            return Err(Fault::Mismatch {
                what: format!(
                    "it says that its {what} is `{said}`, its manifest says `{registered}`; make them the same"
                ),
            });
        }
    }
    let jsonl = i32::from(v1::Encoding::Jsonl);
    // One that names no encoding at all was made before there was a choice.
    if info.encodings.is_empty() || info.encodings.contains(&jsonl) {
        return Ok(());
    }
    let what = "it does not read JSON lines, the encoding of this host's calls".to_owned();
    Err(Fault::Mismatch { what })
}

/// Reads what the plugin prints once it serves. Old plugins do not offer it.
async fn follow_prints(connection: &Connection, output: &Arc<Output>) -> Result<(), GrpcError> {
    let Call { mut sending, mut receiving } =
        connection.call("/plugin.GRPCStdio/StreamStdio", MAX_ANSWER).await?;
    // google.protobuf.Empty has no fields, as this has none.
    sending.push(&goplugin::Empty {});
    sending.end();
    let output = Arc::clone(output);
    // Ends with the connection.
    tokio::spawn(async move {
        let mut lines = [Lines::default(), Lines::default()];
        let mut pace = Pace::default();
        let sources = [LogSource::Stdout, LogSource::Stderr];
        while let Ok(Some(printed)) = receiving.next::<goplugin::StdioData>().await {
            let which = usize::from(printed.channel() == goplugin::stdio_data::Channel::Stderr);
            lines[which].feed(&printed.data, |line| output.line(sources[which], line));
            pace.keep(printed.data.len()).await;
        }
        for (lines, source) in lines.iter_mut().zip(sources) {
            if !lines.is_empty() {
                lines.finish(|line| output.line(source, line));
            }
        }
    });
    Ok(())
}
