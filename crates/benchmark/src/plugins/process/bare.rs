//! A bare gRPC unary call over a Unix socket: tonic at both ends, nothing else.

use std::{
    path::PathBuf,
    process::{Child, Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use flexcore_plugin_protocol::protobuf::v1;
use flexcore_plugin_sdk::grpc::v1::{
    plugin_client::PluginClient,
    plugin_server::{Plugin, PluginServer},
};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint, Server},
};

pub(crate) const SERVER: &str = "bare-grpc-server";

/// A server in a process of its own, and a connection to it.
pub(super) struct Bare {
    client: PluginClient<Channel>,
    server: Child,
    _folder: tempfile::TempDir,
}

impl Bare {
    pub(super) async fn start() -> anyhow::Result<Self> {
        // A socket's path must be short, and that of a work folder is long.
        let folder = tempfile::Builder::new().prefix("fx").tempdir()?;
        let socket = folder.path().join("s");
        let server = Command::new(std::env::current_exe()?).arg(SERVER).arg(&socket).spawn()?;
        let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display()))?;
        let began = Instant::now();
        let channel = loop {
            match endpoint.connect().await {
                Ok(channel) => break channel,
                Err(error) if began.elapsed() > Duration::from_secs(10) => {
                    return Err(error).context("the bare gRPC server does not answer");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        Ok(Self { client: PluginClient::new(channel), server, _folder: folder })
    }

    /// How long one call takes.
    pub(super) async fn call(&self, text: &str) -> anyhow::Result<Duration> {
        let mut client = self.client.clone();
        let request = v1::ValidateRequest { config_json: text.to_owned() };
        let began = Instant::now();
        client.validate(request).await?;
        Ok(began.elapsed())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Serves on the socket until it is killed.
pub(crate) fn serve(socket: PathBuf) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = UnixListener::bind(socket)?;
        let incoming = UnixListenerStream::new(listener);
        Server::builder().serve_with_incoming(PluginServer::new(Echo), incoming).await?;
        Ok(ExitCode::SUCCESS)
    })
}

struct Echo;

type Answer<T> = Result<Response<T>, Status>;

fn nothing<T>() -> Answer<T> {
    Err(Status::unimplemented("only `Validate` is called"))
}

#[tonic::async_trait]
impl Plugin for Echo {
    type ExecuteStream = tokio_stream::Empty<Result<v1::ExecuteResponse, Status>>;

    async fn info(&self, _: Request<v1::InfoRequest>) -> Answer<v1::InfoResponse> {
        nothing()
    }

    async fn validate(
        &self,
        question: Request<v1::ValidateRequest>,
    ) -> Answer<v1::ValidateResponse> {
        let message = question.into_inner().config_json;
        let problem = v1::Problem { message, ..v1::Problem::default() };
        Ok(Response::new(v1::ValidateResponse { problems: vec![problem] }))
    }

    async fn schema(&self, _: Request<v1::SchemaRequest>) -> Answer<v1::SchemaResponse> {
        nothing()
    }

    async fn initialize(
        &self,
        _: Request<v1::InitializeRequest>,
    ) -> Answer<v1::InitializeResponse> {
        nothing()
    }

    async fn execute(
        &self,
        _: Request<tonic::Streaming<v1::ExecuteRequest>>,
    ) -> Answer<Self::ExecuteStream> {
        nothing()
    }

    async fn health(&self, _: Request<v1::HealthRequest>) -> Answer<v1::HealthResponse> {
        nothing()
    }

    async fn shutdown(&self, _: Request<v1::ShutdownRequest>) -> Answer<v1::ShutdownResponse> {
        nothing()
    }
}
