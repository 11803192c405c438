//! A collector of traces: it takes OTLP over gRPC or HTTP as a real one does, decodes what comes,
//! and keeps it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, bail};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::status::StatusCode,
};
use prost::Message as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// A span as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectedSpan {
    /// The trace, in 32 digits.
    pub trace: String,
    /// Its id, in 16 digits.
    pub span: String,
    /// The span around it, in 16 digits; empty if there is none.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// The service that it is of.
    pub service: String,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether it says that it went wrong.
    pub is_error: bool,
    /// The names of its events.
    pub events: Vec<String>,
    /// Its kind, as the protocol numbers it.
    pub kind: i32,
}

/// What all threads of a collector share.
type Spans = Arc<Mutex<Vec<CollectedSpan>>>;

/// A collector on a free port of this machine. It serves until the process ends.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    spans: Spans,
}

impl Collector {
    /// One that speaks gRPC.
    ///
    /// # Errors
    /// If no port or thread is to be had.
    pub fn grpc() -> anyhow::Result<Self> {
        let (listener, collector) = Self::listen()?;
        listener.set_nonblocking(true)?;
        let service = TraceServiceServer::new(Grpc(Arc::clone(&collector.spans)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("collector".to_owned()).spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let incoming = TcpListenerStream::new(listener);
                let server = tonic::transport::Server::builder();
                server.serve_with_incoming(service, incoming).await?;
                anyhow::Ok(())
            })
        })?;
        Ok(collector)
    }

    /// One that takes protobuf over HTTP.
    ///
    /// # Errors
    /// If no port or thread is to be had.
    pub fn http() -> anyhow::Result<Self> {
        let (listener, collector) = Self::listen()?;
        let spans = Arc::clone(&collector.spans);
        thread::Builder::new().name("collector".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                let spans = Arc::clone(&spans);
                // A client that breaks off is none of the next one's business.
                thread::spawn(move || drop(answer(&stream, &spans)));
            }
        })?;
        Ok(collector)
    }

    fn listen() -> anyhow::Result<(TcpListener, Self)> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("a free port")?;
        let address = listener.local_addr()?;
        Ok((listener, Self { address, spans: Spans::default() }))
    }

    /// Where it is, as settings name it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has come by now.
    pub fn spans(&self) -> Vec<CollectedSpan> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Grpc(Spans);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        keep(&self.0, request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Answers the requests of one connection.
fn answer(stream: &TcpStream, spans: &Spans) -> anyhow::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").context("a length")?.parse()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let type_is = headers.get("content-type").map(String::as_str);
        if path != "/v1/traces" || type_is != Some("application/x-protobuf") {
            (&mut &*stream).write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?;
            bail!("this is no trace: {path} {type_is:?}");
        }
        keep(spans, ExportTraceServiceRequest::decode(&*body)?);
        let answer = ExportTraceServiceResponse::default().encode_to_vec();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        (&mut &*stream).write_all(&[head.as_bytes(), &answer].concat())?;
    }
}

fn keep(spans: &Spans, request: ExportTraceServiceRequest) {
    let mut kept = spans.lock().unwrap_or_else(PoisonError::into_inner);
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.map(|resource| texts(&resource.attributes));
        let service = resource.and_then(|said| said.get("service.name").cloned());
        let service = service.unwrap_or_default();
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let code = span.status.as_ref().map_or(0, |status| status.code);
            kept.push(CollectedSpan {
                trace: digits(&span.trace_id),
                span: digits(&span.span_id),
                parent: digits(&span.parent_span_id),
                name: span.name,
                service: service.clone(),
                attributes: texts(&span.attributes),
                is_error: code == StatusCode::Error as i32,
                events: span.events.into_iter().map(|event| event.name).collect(),
                kind: span.kind,
            });
        }
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|one| (one.key.clone(), text(one.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
