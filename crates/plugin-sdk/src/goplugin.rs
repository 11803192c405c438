//! What hosts of go-plugin ask besides: gRPC's health check, the end, and two services that this
//! SDK has no use for and keeps open, because hosts open them at the start.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use flexcore_plugin_protocol::protobuf::{
    goplugin::{ConnInfo, Empty, StdioData},
    health::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus},
};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    Plugin,
    ending::Ending,
    grpc::{
        goplugin::{grpc_broker_server, grpc_controller_server, grpc_stdio_server},
        health::health_server,
    },
};

/// The name under which hosts of go-plugin ask for a plugin's health.
const SERVICE: &str = "plugin";

/// The services around the plugin.
pub(crate) struct Surroundings<P> {
    pub(crate) plugin: Arc<P>,
    pub(crate) ending: Arc<Ending>,
}

impl<P> Surroundings<P> {
    fn until_the_end<T>(&self, first: Option<T>) -> UntilTheEnd<T> {
        let ending = Arc::clone(&self.ending);
        UntilTheEnd { first, end: Box::pin(async move { ending.wait().await }) }
    }
}

/// At most one message, and the end only with the process.
pub(crate) struct UntilTheEnd<T> {
    first: Option<T>,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<T: Unpin> Stream for UntilTheEnd<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.first.take() {
            Some(message) => Poll::Ready(Some(Ok(message))),
            None => self.end.as_mut().poll(context).map(|()| None),
        }
    }
}

fn serving(request: &HealthCheckRequest) -> Result<HealthCheckResponse, Status> {
    if request.service.is_empty() || request.service == SERVICE {
        return Ok(HealthCheckResponse { status: ServingStatus::Serving.into() });
    }
    Err(Status::not_found("there is no such service; the plugin is `plugin`"))
}

#[tonic::async_trait]
impl<P: Plugin> health_server::Health for Surroundings<P> {
    type WatchStream = UntilTheEnd<HealthCheckResponse>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        serving(request.get_ref()).map(Response::new)
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let first = serving(request.get_ref())?;
        Ok(Response::new(self.until_the_end(Some(first))))
    }
}

#[tonic::async_trait]
impl<P: Plugin> grpc_controller_server::GrpcController for Surroundings<P> {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.ending.begin(self.plugin.shutdown(), None).await;
        Ok(Response::new(Empty {}))
    }
}

#[tonic::async_trait]
impl<P: Plugin> grpc_stdio_server::GrpcStdio for Surroundings<P> {
    type StreamStdioStream = UntilTheEnd<StdioData>;

    /// Nothing ever comes: what the plugin prints goes to its own streams, which the host reads.
    async fn stream_stdio(
        &self,
        _: Request<()>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        Ok(Response::new(self.until_the_end(None)))
    }
}

#[tonic::async_trait]
impl<P: Plugin> grpc_broker_server::GrpcBroker for Surroundings<P> {
    type StartStreamStream = UntilTheEnd<ConnInfo>;

    /// Nothing ever comes: the plugin needs no further connection.
    async fn start_stream(
        &self,
        _: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        Ok(Response::new(self.until_the_end(None)))
    }
}
