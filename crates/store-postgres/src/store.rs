//! A database, opened as a store.

use std::sync::Arc;

use flexcore_ports::StoreError;

use crate::{
    LeaseOwner, OpenError, PostgresCoordinator, PostgresEventStore, PostgresLogTransfer,
    PostgresLogVerifier, PostgresOptions, PostgresRebuildViews, PostgresSnapshots,
    PostgresViewStore, Role,
    connection::{Connector, Pool},
    migration::{Session, bring_forward},
};

/// The store on PostgreSQL: event log, views, snapshots and leases in one database.
#[derive(Debug)]
pub struct PostgresStore {
    pool: Pool,
    server: String,
    events: Arc<PostgresEventStore>,
    views: Arc<PostgresViewStore>,
}

impl PostgresStore {
    /// Tells how many connections that read are lent out, and how many are idle.
    pub fn connections(&self) -> impl Fn() -> (usize, usize) + Send + Sync + use<> {
        let pool = self.pool.clone();
        move || pool.connections()
    }

    /// Opens the store. A writer brings the schema forward, if its role may.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(options: PostgresOptions) -> Result<Self, OpenError> {
        let connector = Connector::new(&options.url)?;
        let server = connector.server().to_owned();
        let client = connector.connect().await?;
        let session = Session::new(&client, &server).await?;
        let read_only = options.role == Role::Reader;
        if !read_only {
            refuse_standby(&session).await?;
        }
        bring_forward(&session, read_only).await?;
        let pool = Pool::new(&connector, options.readers)?;
        let lanes = (!read_only).then_some(options.lanes);
        let events = PostgresEventStore::open(&pool, lanes, options.append_deadline).await?;
        let views = Arc::new(PostgresViewStore::in_use(&pool));
        Ok(Self { pool, server, events: Arc::new(events), views })
    }

    /// The event log.
    pub fn events(&self) -> Arc<PostgresEventStore> {
        Arc::clone(&self.events)
    }

    /// Proves and counts the log.
    pub fn verifier(&self) -> PostgresLogVerifier {
        PostgresLogVerifier::new(self.pool.clone())
    }

    /// Copies the log.
    pub fn transfer(&self) -> PostgresLogTransfer {
        self.events.transfer()
    }

    /// The views.
    pub fn views(&self) -> Arc<PostgresViewStore> {
        Arc::clone(&self.views)
    }

    /// Begins views that are filled while the present ones stay in use.
    pub fn rebuild_views(&self) -> PostgresRebuildViews {
        PostgresRebuildViews::new(&self.pool)
    }

    /// Snapshots of aggregates.
    pub fn snapshots(&self) -> PostgresSnapshots {
        PostgresSnapshots::new(&self.pool)
    }

    /// Leases, for one process.
    pub fn coordinator(&self, owner: LeaseOwner) -> PostgresCoordinator {
        PostgresCoordinator::new(self.pool.connector(), owner)
    }

    /// Host, port and database, as messages name it.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Ends the work that was handed over and closes the connections.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn close(self) -> Result<(), StoreError> {
        self.events.close().await;
        self.pool.close();
        Ok(())
    }
}

async fn refuse_standby(session: &Session<'_>) -> Result<(), OpenError> {
    let row = session.client.query_one("SELECT pg_is_in_recovery()", &[]).await;
    let row = row.map_err(|error| session.failed(&error))?;
    if row.get::<_, bool>(0) {
        let reason = "it is a standby, which takes no appends; name the primary".to_owned();
        return Err(OpenError::Unfit { server: session.server.to_owned(), reason });
    }
    Ok(())
}
