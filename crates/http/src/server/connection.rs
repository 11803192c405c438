//! One connection, from its first byte to its last.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::Watcher},
    service::TowerToHyperService,
};
use rustls::pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::PeerCertificate;

/// A connection that was accepted.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    pub(super) builder: Arc<auto::Builder<TokioExecutor>>,
    pub(super) router: Router,
    /// How long it may take until a request has begun.
    pub(super) patience: Duration,
    pub(super) watcher: Watcher,
}

impl Connection {
    pub(super) async fn serve_plain(self) {
        let Self { stream, builder, router, patience, watcher, .. } = self;
        let service = WithPeer::new(router, None);
        serve(stream, service, &builder, patience, watcher).await;
    }

    pub(super) async fn serve_encrypted(self, acceptor: TlsAcceptor) {
        let Self { stream, address, builder, router, patience, watcher } = self;
        let stream = match timeout(patience, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, %address, "no handshake of TLS"),
            Err(_) => return tracing::debug!(%address, "the handshake of TLS took too long"),
        };
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate =
            shown.map(|shown: &CertificateDer<'_>| PeerCertificate(shown.as_ref().into()));
        let service = WithPeer::new(router, certificate);
        serve(stream, service, &builder, patience, watcher).await;
    }
}

async fn serve<S>(
    stream: S,
    service: WithPeer,
    builder: &auto::Builder<TokioExecutor>,
    patience: Duration,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let has_begun = Arc::clone(&service.has_begun);
    let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut served = pin!(watcher.watch(served.into_owned()));
    // Before its first request nothing else watches over it: not which protocol it speaks, nor
    // whether it speaks at all.
    let first = tokio::select! {
        served = &mut served => Some(served),
        () = sleep(patience) => None,
    };
    let served = match first {
        Some(served) => served,
        None if has_begun.load(Ordering::Relaxed) => served.await,
        None => return tracing::debug!("a connection said nothing and was closed"),
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
}

/// The routes, told who is at the other end.
#[derive(Clone)]
struct WithPeer {
    routes: TowerToHyperService<Router>,
    certificate: Option<PeerCertificate>,
    has_begun: Arc<AtomicBool>,
}

impl WithPeer {
    fn new(router: Router, certificate: Option<PeerCertificate>) -> Self {
        let has_begun = Arc::default();
        Self { routes: TowerToHyperService::new(router), certificate, has_begun }
    }
}

impl Service<Request<Incoming>> for WithPeer {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.has_begun.store(true, Ordering::Relaxed);
        if let Some(certificate) = &self.certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        self.routes.call(request)
    }
}
