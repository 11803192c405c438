//! A database, opened as a store.

use flexcore_ports::StoreError;

use crate::{
    LeaseOwner, OpenError, PostgresCoordinator, PostgresOptions, Role,
    connection::{Connector, Pool},
    migration::{Session, bring_forward},
};

/// The store on PostgreSQL: event log, views, snapshots and leases in one database.
#[derive(Debug)]
pub struct PostgresStore {
    pool: Pool,
    server: String,
}

impl PostgresStore {
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
        Ok(Self { pool, server })
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
    #[expect(clippy::unused_async, reason = "closing waits for appends that were handed over")]
    pub async fn close(self) -> Result<(), StoreError> {
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
