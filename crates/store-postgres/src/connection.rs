//! Connections.

use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use flexcore_ports::StoreError;
use tokio::time::timeout;
use tokio_postgres::{Client, Connection, Socket};

use crate::{
    OpenError,
    open_error::reason,
    options::Target,
    tls::{Encrypted, Tls},
};

/// How long a connection may take altogether, the login included: a server that is paused accepts
/// connections and says nothing.
const CONNECT: Duration = Duration::from_secs(10);

/// The settings of every session. What is sorted and compared here is bytes; a plan for whatever
/// parameters is as good as one for these and need not be made again.
const SESSION: [(&str, &str); 3] = [
    ("client_min_messages", "warning"),
    ("plan_cache_mode", "force_generic_plan"),
    ("TimeZone", "UTC"),
];

/// Makes connections to one database.
#[derive(Clone)]
pub(crate) struct Connector {
    target: Target,
    tls: Tls,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.target.fmt(formatter)
    }
}

impl Connector {
    /// Understands a URL; connects to nothing yet.
    pub(crate) fn new(url: &str) -> Result<Self, OpenError> {
        let target: Target = url.parse()?;
        let tls = target.trust.connector().map_err(|reason| OpenError::BadUrl { reason })?;
        Ok(Self { target: target.with_settings("", &SESSION), tls })
    }

    /// The same, for sessions of one purpose with settings of their own.
    pub(crate) fn with_settings(&self, purpose: &str, settings: &[(&str, &str)]) -> Self {
        Self { target: self.target.with_settings(purpose, settings), tls: self.tls.clone() }
    }

    /// Host, port and database, for messages.
    pub(crate) fn server(&self) -> &str {
        &self.target.name
    }

    /// A new connection, driven by a task of its own.
    pub(crate) async fn connect(&self) -> Result<Client, OpenError> {
        let (client, connection) = self.connect_undriven().await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %reason(&error), "a connection to the database ended");
            }
        });
        Ok(client)
    }

    /// A new connection that the caller drives.
    pub(crate) async fn connect_undriven(
        &self,
    ) -> Result<(Client, Connection<Socket, Encrypted>), OpenError> {
        match timeout(CONNECT, self.target.config.connect(self.tls.clone())).await {
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(error)) => Err(OpenError::connect(self.server(), &error)),
            Err(_) => Err(OpenError::Unreachable {
                server: self.server().to_owned(),
                reason: format!("no answer to the login within {} s", CONNECT.as_secs()),
            }),
        }
    }
}

/// A few connections that many share.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    inner: deadpool_postgres::Pool,
    connector: Connector,
}

impl Pool {
    /// How many connections are lent out and how many are idle.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let status = self.inner.status();
        (status.size.saturating_sub(status.available), status.available)
    }

    pub(crate) fn new(connector: &Connector, size: usize) -> Result<Self, OpenError> {
        let settings =
            [("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "30s")];
        let connector = connector.with_settings("", &settings);
        let manager = Manager::from_config(
            connector.target.config.clone(),
            connector.tls.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let inner = deadpool_postgres::Pool::builder(manager)
            .max_size(size.max(1))
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(CONNECT),
                create: Some(CONNECT),
                recycle: Some(CONNECT),
            })
            .build()
            .map_err(|error| OpenError::Failed {
                server: connector.server().to_owned(),
                reason: error.to_string(),
            })?;
        Ok(Self { inner, connector })
    }

    /// A connection; it goes back when it is dropped.
    pub(crate) async fn get(&self) -> Result<Object, StoreError> {
        self.inner.get().await.map_err(|error| match error {
            PoolError::Backend(error) => OpenError::connect(self.connector.server(), &error).into(),
            PoolError::Closed => StoreError::Unavailable("the store was closed".to_owned()),
            other => StoreError::Unavailable(format!("{}: {other}", self.connector.server())),
        })
    }

    /// Makes new connections, apart from the pool.
    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Refuses everybody from now on.
    pub(crate) fn close(&self) {
        self.inner.close();
    }
}
