//! Which service a request is for.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use tonic::{
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::NamedService,
};

use crate::{
    Plugin,
    ending::Ending,
    goplugin::Surroundings,
    grpc::{
        goplugin::{
            grpc_broker_server::GrpcBrokerServer, grpc_controller_server::GrpcControllerServer,
            grpc_stdio_server::GrpcStdioServer,
        },
        health::health_server::HealthServer,
        v1::plugin_server::PluginServer,
    },
    service::PluginService,
};

/// The longest message, either way.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// All services of a plugin on one connection.
pub(crate) struct Dispatch<P: Plugin> {
    plugin: PluginServer<PluginService<P>>,
    health: HealthServer<Surroundings<P>>,
    controller: GrpcControllerServer<Surroundings<P>>,
    stdio: GrpcStdioServer<Surroundings<P>>,
    broker: GrpcBrokerServer<Surroundings<P>>,
}

impl<P: Plugin> Clone for Dispatch<P> {
    fn clone(&self) -> Self {
        Self {
            plugin: self.plugin.clone(),
            health: self.health.clone(),
            controller: self.controller.clone(),
            stdio: self.stdio.clone(),
            broker: self.broker.clone(),
        }
    }
}

impl<P: Plugin> Dispatch<P> {
    pub(crate) fn new(plugin: Arc<P>, ending: Arc<Ending>) -> Self {
        let service = PluginService::new(Arc::clone(&plugin), Arc::clone(&ending));
        let surroundings = Arc::new(Surroundings { plugin, ending });
        Self {
            plugin: PluginServer::new(service)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
            health: HealthServer::from_arc(Arc::clone(&surroundings)),
            controller: GrpcControllerServer::from_arc(Arc::clone(&surroundings)),
            stdio: GrpcStdioServer::from_arc(Arc::clone(&surroundings)),
            broker: GrpcBrokerServer::from_arc(surroundings),
        }
    }
}

impl<P: Plugin> Service<http::Request<Body>> for Dispatch<P> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let service = path.strip_prefix('/').and_then(|rest| rest.split_once('/'));
        match service.map(|(service, _)| service) {
            Some(PluginServer::<PluginService<P>>::NAME) => self.plugin.call(request),
            Some(HealthServer::<Surroundings<P>>::NAME) => self.health.call(request),
            Some(GrpcControllerServer::<Surroundings<P>>::NAME) => self.controller.call(request),
            Some(GrpcStdioServer::<Surroundings<P>>::NAME) => self.stdio.call(request),
            Some(GrpcBrokerServer::<Surroundings<P>>::NAME) => self.broker.call(request),
            _ => Box::pin(async {
                Ok(tonic::Status::unimplemented("the plugin has no such service").into_http())
            }),
        }
    }
}
