//! Connections: accepted, bounded, and ended in two stages.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

/// How a server treats connections.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// How many there are at most; more wait to be accepted.
    pub connections: usize,
    /// How long a client may take to send the head of a request.
    pub head: Duration,
    /// How long requests that are under way may take once the server is to end.
    pub drain: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { connections: 10_000, head: Duration::from_secs(10), drain: Duration::from_secs(20) }
    }
}

/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// After an error of the system, such as no descriptor left, before the next try.
const PAUSE: Duration = Duration::from_millis(50);

/// A listening socket.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    options: ServerOptions,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn bind(address: SocketAddr, options: ServerOptions) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, options })
    }

    /// Where it listens; the port is the real one, also if 0 was asked for.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop` fires. Then no connection is accepted any more, requests that are under
    /// way are given their time, and what is left is cut off.
    pub async fn run(self, router: Router, stop: CancellationToken) {
        let Self { listener, options } = self;
        let graceful = GracefulShutdown::new();
        let slots = Arc::new(Semaphore::new(options.connections));
        let builder = Arc::new(builder(&options));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accept(&listener, &slots) => accepted,
            };
            let (stream, slot) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let service = TowerToHyperService::new(router.clone());
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection.into_owned());
            tokio::spawn(async move {
                let _slot = slot;
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection broke");
                }
            });
        }
        drop(listener);
        if tokio::time::timeout(options.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests did not end in time and were cut off");
        }
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await;
    let slot = slot.map_err(|error| io::Error::other(error.to_string()))?;
    let (stream, _) = listener.accept().await?;
    // Answers are written whole; waiting for more to send would only cost time.
    let _ = stream.set_nodelay(true);
    Ok((stream, slot))
}

fn builder(options: &ServerOptions) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let mut http1 = builder.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(options.head).max_buf_size(MAX_HEAD);
    let mut http2 = builder.http2();
    http2
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEAD as u32)
        .max_concurrent_streams(200)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
