//! Connections: accepted, bounded, and ended in two stages.

mod connection;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

use crate::Tls;
use connection::Connection;

/// How a server treats connections.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// How many there are at most; more wait to be accepted.
    pub connections: usize,
    /// How long a client may take to say anything, and to send the head of a request.
    pub head: Duration,
    /// How many headers a request may have.
    pub headers: usize,
    /// How long requests that are under way may take once the server is to end.
    pub drain: Duration,
    /// What connections are encrypted with, if they are.
    pub tls: Option<Tls>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            connections: 10_000,
            head: Duration::from_secs(10),
            headers: 100,
            drain: Duration::from_secs(20),
            tls: None,
        }
    }
}

/// The largest head of a request, in bytes.
const MAX_HEAD: u32 = 64 * 1024;
/// How many requests a connection of HTTP/2 carries at the same time.
const STREAMS: u32 = 200;
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

    /// Whether connections are encrypted.
    pub const fn is_encrypted(&self) -> bool {
        self.options.tls.is_some()
    }

    /// Answers until `stop` fires. Then no connection is accepted any more, requests that are under
    /// way are given their time, and what is left is cut off.
    pub async fn run(self, router: Router, stop: CancellationToken) {
        let Self { listener, options } = self;
        let graceful = GracefulShutdown::new();
        let slots = Arc::new(Semaphore::new(options.connections));
        let builder = Arc::new(builder(&options));
        if let Some(tls) = options.tls.clone() {
            tokio::spawn(tls.follow(stop.clone()));
        }
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accept(&listener, &slots) => accepted,
            };
            let (stream, address, slot) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let connection = Connection {
                stream,
                address,
                builder: Arc::clone(&builder),
                router: router.clone(),
                patience: options.head,
                watcher: graceful.watcher(),
            };
            let acceptor = options.tls.as_ref().map(Tls::acceptor);
            tokio::spawn(async move {
                let _slot = slot;
                match acceptor {
                    None => connection.serve_plain().await,
                    Some(acceptor) => connection.serve_encrypted(acceptor).await,
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
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await;
    let slot = slot.map_err(|error| io::Error::other(error.to_string()))?;
    let (stream, address) = listener.accept().await?;
    // Answers are written whole; waiting for more to send would only cost time.
    let _ = stream.set_nodelay(true);
    Ok((stream, address, slot))
}

fn builder(options: &ServerOptions) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head)
        .max_headers(options.headers)
        .max_buf_size(MAX_HEAD as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEAD)
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
