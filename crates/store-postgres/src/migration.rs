//! The schema, brought forward step by step.
//!
//! Each file in `sql/` is one step. A step that was applied never changes: its checksum is stored,
//! and another content under the same number is refused. Steps take no lock for long: they create,
//! and what they alter is new or empty.

use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use crate::{OpenError, connection::Connector};

/// One step.
struct Migration {
    number: u32,
    name: &'static str,
    sql: &'static str,
}

/// All steps. To add one: a file `sql/NNNN_name.sql`, and its line here.
const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "log", sql: include_str!("../sql/0001_log.sql") },
    Migration { number: 2, name: "lease", sql: include_str!("../sql/0002_lease.sql") },
    Migration { number: 3, name: "views", sql: include_str!("../sql/0003_views.sql") },
    Migration { number: 4, name: "tenants", sql: include_str!("../sql/0004_tenants.sql") },
];

/// The oldest server that a store runs on.
const OLDEST_SERVER: i32 = 140_000;

/// What migrating came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The schema before; 0: there was none.
    pub from: u32,
    /// The schema now.
    pub to: u32,
}

/// A connection, and who it is on which server.
pub(crate) struct Session<'c> {
    pub(crate) client: &'c Client,
    pub(crate) server: &'c str,
    pub(crate) role: String,
}

impl<'c> Session<'c> {
    /// Asks who we are, and whether the server can hold a store.
    pub(crate) async fn new(client: &'c Client, server: &'c str) -> Result<Self, OpenError> {
        let failed = |error| OpenError::statement(server, "?", &error);
        let row = client
            .query_one(
                "SELECT current_user::text, current_setting('server_version_num')::int, \
                 current_setting('server_version'), current_setting('server_encoding')",
                &[],
            )
            .await
            .map_err(failed)?;
        let (role, number): (String, i32) = (row.get(0), row.get(1));
        let (version, encoding): (String, String) = (row.get(2), row.get(3));
        let unfit = |reason| OpenError::Unfit { server: server.to_owned(), reason };
        if number < OLDEST_SERVER {
            return Err(unfit(format!("its PostgreSQL is {version}; 14 or newer is needed")));
        }
        if encoding != "UTF8" {
            return Err(unfit(format!("its encoding is {encoding}; create a database with UTF8")));
        }
        Ok(Self { client, server, role })
    }

    pub(crate) fn failed(&self, error: &tokio_postgres::Error) -> OpenError {
        OpenError::statement(self.server, &self.role, error)
    }

    /// The newest step that was applied; 0: none.
    ///
    /// # Errors
    /// That steps were applied which this program does not know.
    pub(crate) async fn schema_version(&self) -> Result<u32, OpenError> {
        let exists = self
            .client
            .query_one("SELECT to_regclass('flexcore.migration') IS NOT NULL", &[])
            .await
            .map_err(|error| self.failed(&error))?;
        if !exists.get::<_, bool>(0) {
            return Ok(0);
        }
        let rows = self
            .client
            .query("SELECT number, name, checksum FROM flexcore.migration ORDER BY number", &[])
            .await
            .map_err(|error| self.failed(&error))?;
        let server = || self.server.to_owned();
        let found = rows.last().map_or(0, |row| row.get::<_, i32>(0).cast_unsigned());
        if found > newest() {
            return Err(OpenError::Newer { server: server(), found, supported: newest() });
        }
        for (row, number) in rows.iter().zip(1_u32..) {
            let known = MIGRATIONS.iter().find(|step| {
                step.number == number && checksum(step).as_slice() == row.get::<_, &[u8]>(2)
            });
            if row.get::<_, i32>(0).cast_unsigned() != number || known.is_none() {
                let name = row.get(1);
                return Err(OpenError::Changed { server: server(), number, name });
            }
        }
        Ok(found)
    }

    /// Whether this role may bring the schema forward.
    async fn may_migrate(&self) -> Result<bool, OpenError> {
        let row = self
            .client
            .query_one(
                "SELECT coalesce((SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace \
                 WHERE nspname = 'flexcore'), has_database_privilege(current_database(), 'CREATE'))",
                &[],
            )
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(row.get(0))
    }
}

/// The newest step that this program knows.
pub(crate) fn newest() -> u32 {
    MIGRATIONS.last().map_or(0, |step| step.number)
}

/// Brings the schema forward if that is needed and allowed; on `read_only` sessions it only looks.
pub(crate) async fn bring_forward(session: &Session<'_>, read_only: bool) -> Result<(), OpenError> {
    let found = session.schema_version().await?;
    if found == newest() {
        return Ok(());
    }
    if read_only || !session.may_migrate().await? {
        return Err(OpenError::NotMigrated {
            server: session.server.to_owned(),
            role: session.role.clone(),
            found,
            needed: newest(),
        });
    }
    apply_missing(session).await.map(drop)
}

/// Migrates as the owner, and gives a role what the application needs and nothing more.
///
/// # Errors
/// [`OpenError`].
pub async fn migrate(url: &str, app_role: Option<&str>) -> Result<Migrated, OpenError> {
    let connector = Connector::new(url)?;
    let client = connector.connect().await?;
    let session = Session::new(&client, connector.server()).await?;
    let from = apply_missing(&session).await?;
    if let Some(role) = app_role {
        grant(&session, role).await?;
    }
    Ok(Migrated { from, to: newest() })
}

/// Applies what is missing, one process at a time, and gives the schema before.
async fn apply_missing(session: &Session<'_>) -> Result<u32, OpenError> {
    let Session { client, .. } = session;
    let failed = |error| session.failed(&error);
    // Two that start at once: the second waits for the first, not for ever.
    client
        .batch_execute("SET lock_timeout = '30s'; SELECT pg_advisory_lock(7021436)")
        .await
        .map_err(failed)?;
    let result = apply_locked(session).await;
    let unlocked =
        client.batch_execute("SELECT pg_advisory_unlock(7021436); RESET lock_timeout").await;
    let from = result?;
    unlocked.map_err(failed)?;
    Ok(from)
}

async fn apply_locked(session: &Session<'_>) -> Result<u32, OpenError> {
    let Session { client, .. } = session;
    let failed = |error| session.failed(&error);
    client
        .batch_execute(
            "SET lock_timeout = '2s'; CREATE SCHEMA IF NOT EXISTS flexcore; \
             CREATE TABLE IF NOT EXISTS flexcore.migration (number int PRIMARY KEY, \
             name text NOT NULL, checksum bytea NOT NULL, \
             applied_at timestamptz NOT NULL DEFAULT now())",
        )
        .await
        .map_err(failed)?;
    let from = session.schema_version().await?;
    for step in MIGRATIONS.iter().filter(|step| step.number > from) {
        let row = format!(
            "INSERT INTO flexcore.migration VALUES ({}, '{}', '\\x{}')",
            step.number,
            step.name,
            hex::encode(checksum(step))
        );
        // Functions are executable by everybody until somebody says otherwise.
        let private = "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA flexcore FROM PUBLIC";
        let sql = format!("BEGIN;\n{}\n;{private};{row};COMMIT", step.sql);
        if let Err(error) = client.batch_execute(&sql).await {
            // The session goes on: it has a lock to give back.
            let _ = client.batch_execute("ROLLBACK").await;
            return Err(session.failed(&error));
        }
        tracing::info!(number = step.number, name = step.name, "migrated the store");
    }
    Ok(from)
}

/// Grants what the application needs: to read everything, to call functions, and to change views.
async fn grant(session: &Session<'_>, role: &str) -> Result<(), OpenError> {
    let Session { client, .. } = session;
    let failed = |error| session.failed(&error);
    let role = client
        .query_one("SELECT quote_ident($1)", &[&role])
        .await
        .map_err(failed)?
        .get::<_, String>(0);
    let tables = client
        .query("SELECT 'flexcore.' || quote_ident(name) FROM flexcore.app_table", &[])
        .await
        .map_err(failed)?;
    let mut sql = format!(
        "BEGIN; GRANT USAGE ON SCHEMA flexcore TO {role}; \
         GRANT SELECT ON ALL TABLES IN SCHEMA flexcore TO {role}; \
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA flexcore TO {role};"
    );
    for table in tables {
        let table: String = table.get(0);
        let rights = ["GRANT INSERT, UPDATE, DELETE, TRUNCATE ON ", &table, " TO ", &role, ";"];
        sql.extend(rights);
    }
    sql.push_str("COMMIT");
    client.batch_execute(&sql).await.map_err(failed)
}

fn checksum(step: &Migration) -> [u8; 32] {
    Sha256::digest(step.sql.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_from_one_without_gaps() {
        for (step, number) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(step.number, number, "{}", step.name);
        }
    }
}
