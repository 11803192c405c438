//! The way to a collector: OTLP over gRPC, or as protobuf over HTTP.

use std::{sync::Arc, time::Duration};

use flexcore_ports::metric;
use hyper_rustls::HttpsConnectorBuilder;
use metrics::Counter;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{
    Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use thiserror::Error;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tonic::transport::Endpoint;

use super::Traces;

/// How many ended spans wait for their turn at most; what comes then is dropped and counted.
const QUEUE: usize = 4_096;
/// How many go to the collector at once.
const BATCH: usize = 512;
/// How long a span waits for others at most.
const GATHER: Duration = Duration::from_millis(500);
/// How long a collector may take to take a batch, repetitions included.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last spans may take at the end.
const LAST: Duration = Duration::from_secs(5);

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC, usually at port 4317.
    Grpc,
    /// Protobuf over HTTP, usually at port 4318.
    Http,
}

/// Where spans go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceExportOptions {
    /// The collector: `http://localhost:4317`. Over HTTP, `/v1/traces` is added.
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: OtlpProtocol,
    /// The name of this service.
    pub service: String,
    /// Its version.
    pub version: String,
    /// This node, for its spans.
    pub node: String,
}

/// Why spans cannot be handed over.
#[derive(Debug, Error)]
pub enum TraceExportError {
    /// The address is none.
    #[error("`{endpoint}` is no address of a collector: {reason}")]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The client cannot be made.
    #[error("no client for the collector can be made: {0}")]
    Client(String),
}

/// The task that hands spans over.
#[derive(Debug)]
pub struct TraceExport {
    task: JoinHandle<()>,
    end: tokio_util::sync::CancellationToken,
}

impl TraceExport {
    /// Hands over every span that ends from now on. Must be called in a tokio runtime; nothing is
    /// connected to before there are spans.
    ///
    /// # Errors
    /// [`TraceExportError`] if the options are wrong. A collector that does not answer is no error:
    /// spans are lost then, and counted.
    pub fn start(traces: &Traces, options: &TraceExportOptions) -> Result<Self, TraceExportError> {
        let mut exporter = exporter(options)?;
        exporter.set_resource(&resource(options));
        let (sender, receiver) = mpsc::channel(QUEUE);
        let end = tokio_util::sync::CancellationToken::new();
        let task = tokio::spawn(Exporting::new(exporter, receiver).run(end.clone()));
        traces.connect(sender);
        Ok(Self { task, end })
    }

    /// Hands over what has ended by now, for as long as that may take.
    pub async fn finish(self) {
        self.end.cancel();
        if tokio::time::timeout(LAST, self.task).await.is_err() {
            tracing::warn!("the last spans did not get to the collector in time");
        }
    }
}

struct Exporting {
    exporter: SpanExporter,
    queue: mpsc::Receiver<SpanData>,
    taken: Counter,
    failed: Counter,
    /// Whether the last batch was taken.
    is_well: bool,
}

impl Exporting {
    fn new(exporter: SpanExporter, queue: mpsc::Receiver<SpanData>) -> Self {
        let spans = |outcome: &'static str| {
            let name = metric::TRACE_SPANS.name;
            metrics::counter!(name, "outcome" => outcome)
        };
        let (taken, failed) = (spans("exported"), spans("failed"));
        Self { exporter, queue, taken, failed, is_well: true }
    }

    async fn run(mut self, end: tokio_util::sync::CancellationToken) {
        loop {
            let first = tokio::select! {
                biased;
                first = self.queue.recv() => first,
                () = end.cancelled() => break,
            };
            let Some(first) = first else { break };
            let batch = self.gather(first, &end).await;
            self.export(batch).await;
        }
        // Nobody waits in front of a closed queue; what is in it still goes out.
        self.queue.close();
        let mut rest = Vec::new();
        while self.queue.recv_many(&mut rest, BATCH).await > 0 {
            self.export(std::mem::take(&mut rest)).await;
        }
    }

    /// A span, with those that end soon after it.
    async fn gather(
        &mut self,
        first: SpanData,
        end: &tokio_util::sync::CancellationToken,
    ) -> Vec<SpanData> {
        let mut batch = vec![first];
        let until = Instant::now() + GATHER;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            let more = timeout_at(until, self.queue.recv_many(&mut batch, room));
            tokio::select! {
                more = more => if !matches!(more, Ok(1..)) { break },
                () = end.cancelled() => break,
            }
        }
        batch
    }

    async fn export(&mut self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        match self.exporter.export(batch).await {
            Ok(()) => {
                self.taken.increment(count);
                self.is_well = true;
            }
            Err(error) => {
                self.failed.increment(count);
                // Once: a collector that is away for an hour needs no line for each batch.
                if self.is_well {
                    tracing::warn!(%error, "the collector of traces takes no spans");
                }
                self.is_well = false;
            }
        }
    }
}

fn exporter(options: &TraceExportOptions) -> Result<SpanExporter, TraceExportError> {
    let wrong = |reason: String| {
        let endpoint = options.endpoint.clone();
        TraceExportError::Endpoint { endpoint, reason }
    };
    let url = options.endpoint.trim_end_matches('/');
    let is_known = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    if !is_known {
        return Err(wrong("it begins with neither http:// nor https://".to_owned()));
    }
    let built = match options.protocol {
        OtlpProtocol::Grpc => {
            let endpoint = Endpoint::from_shared(url.to_owned());
            let endpoint = endpoint.map_err(|error| wrong(error.to_string()))?.timeout(PATIENCE);
            let connector = HttpsConnectorBuilder::new()
                .with_tls_config(tls()?)
                .https_or_http()
                .enable_http2()
                .build();
            let channel = endpoint.connect_with_connector_lazy(connector);
            SpanExporter::builder()
                .with_tonic()
                .with_channel(channel)
                .with_timeout(PATIENCE)
                .build()
        }
        OtlpProtocol::Http => {
            let client = reqwest::Client::builder()
                .tls_backend_preconfigured(tls()?)
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .timeout(PATIENCE)
                .build()
                .map_err(|error| TraceExportError::Client(error.to_string()))?;
            SpanExporter::builder()
                .with_http()
                .with_http_client(client)
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(format!("{url}/v1/traces"))
                .with_timeout(PATIENCE)
                .build()
        }
    };
    built.map_err(|error| wrong(error.to_string()))
}

/// TLS with the authorities that the system trusts.
fn tls() -> Result<ClientConfig, TraceExportError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TraceExportError::Client(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn resource(options: &TraceExportOptions) -> Resource {
    Resource::builder_empty()
        .with_service_name(options.service.clone())
        .with_attributes([
            KeyValue::new("service.version", options.version.clone()),
            KeyValue::new("service.instance.id", options.node.clone()),
        ])
        .build()
}
