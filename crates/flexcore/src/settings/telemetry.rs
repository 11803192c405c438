//! `[telemetry]`: metrics, traces and logs.

use serde::{Deserialize, Serialize};

/// What a server tells about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TelemetrySettings {
    /// Whether `/metrics` answers.
    pub(crate) metrics: bool,
    /// Whether traces are sent; unset to send them if an endpoint is named.
    pub(crate) tracing: Option<bool>,
    /// Where traces are sent: the URL of a collector that speaks OTLP.
    pub(crate) traces: Option<String>,
    /// How they are sent.
    pub(crate) protocol: TelemetryProtocol,
    /// The name under which traces are found.
    pub(crate) service_name: String,
    /// The part of traces that is kept, from 0 to 1.
    pub(crate) sample_ratio: f64,
    /// What lines of the log look like.
    pub(crate) log_format: LogFormat,
    /// The lowest level that is logged; unset for what `--verbose` and `--quiet` say.
    pub(crate) log_level: Option<String>,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            metrics: true,
            tracing: None,
            traces: None,
            protocol: TelemetryProtocol::Grpc,
            service_name: "flexcore".to_owned(),
            sample_ratio: 1.0,
            log_format: LogFormat::Pretty,
            log_level: None,
        }
    }
}

/// How traces are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TelemetryProtocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, as protobuf.
    #[serde(alias = "http/protobuf")]
    Http,
}

/// What lines of the log look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Pretty,
    /// A JSON object for each line.
    Json,
}
