//! What holds of a store, for whoever operates it.

use crate::{
    OpenError,
    connection::Connector,
    migration::{Session, newest},
};

/// What holds of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStatus {
    /// Host, port and database.
    pub server: String,
    /// The server's version.
    pub server_version: String,
    /// Whether the server is a standby, which takes no appends.
    pub is_in_recovery: bool,
    /// The role that asked.
    pub role: String,
    /// The newest migration that was applied; 0: none.
    pub schema_version: u32,
    /// The newest that this program knows.
    pub newest_schema_version: u32,
    /// The setting `fsync`: off, a crash of the machine destroys the log.
    pub fsync: bool,
    /// The setting `synchronous_commit`: `off`, a crash loses acknowledged events.
    pub synchronous_commit: String,
    /// The setting `full_page_writes`: off, a crash of the machine may tear pages of the log.
    pub full_page_writes: bool,
    /// What is known of the log; `None` if there is none yet.
    pub log: Option<LogStatus>,
}

/// What holds of a store's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStatus {
    /// The last position.
    pub position: u64,
    /// The number of the last batch.
    pub batch: u64,
    /// The role that the log belongs to.
    pub owner: String,
    /// Whether the role that asked lacks the rights to change or remove events: appending is all
    /// that it can do.
    pub append_only_by_rights: bool,
    /// Whether triggers refuse to change or remove events, also to the owner.
    pub append_only_by_triggers: bool,
    /// How many partitions there are.
    pub partitions: u32,
    /// How many more events the partitions take; they are created ahead.
    pub positions_ahead: u64,
    /// Size of the whole store on disk, in bytes.
    pub bytes: u64,
}

/// Looks at a store without opening it; also at one that cannot be opened.
///
/// # Errors
/// [`OpenError`] if the server cannot be reached or does not let us look.
pub async fn status(url: &str) -> Result<StoreStatus, OpenError> {
    let connector = Connector::new(url)?;
    let client = connector.connect().await?;
    let session = Session::new(&client, connector.server()).await?;
    let schema_version = match session.schema_version().await {
        Err(OpenError::Newer { found, .. }) => found,
        other => other?,
    };
    let row = client
        .query_one(
            "SELECT current_setting('server_version'), pg_is_in_recovery(), \
             current_setting('fsync') = 'on', current_setting('synchronous_commit'), \
             current_setting('full_page_writes') = 'on'",
            &[],
        )
        .await
        .map_err(|error| session.failed(&error))?;
    let log = if schema_version == 0 { None } else { Some(log_status(&session).await?) };
    Ok(StoreStatus {
        server: session.server.to_owned(),
        server_version: row.get(0),
        is_in_recovery: row.get(1),
        role: session.role.clone(),
        schema_version,
        newest_schema_version: newest(),
        fsync: row.get(2),
        synchronous_commit: row.get(3),
        full_page_writes: row.get(4),
        log,
    })
}

async fn log_status(session: &Session<'_>) -> Result<LogStatus, OpenError> {
    let sql = "
SELECT coalesce((SELECT max(last_position) FROM flexcore.batch), 0),
  coalesce((SELECT max(number) FROM flexcore.batch), 0),
  (SELECT pg_get_userbyid(relowner)::text FROM pg_class WHERE oid = 'flexcore.event'::regclass),
  NOT EXISTS (SELECT FROM guarded WHERE pg_has_role(relowner, 'USAGE')
    OR has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')),
  NOT EXISTS (SELECT FROM guarded g WHERE NOT EXISTS (SELECT FROM pg_trigger t
    WHERE t.tgrelid = g.oid AND t.tgname = 'append_only' AND t.tgenabled IN ('O', 'A')
      AND t.tgtype & 56 = 56)),
  (SELECT count(*) FROM flexcore.event_partition)::int,
  (SELECT max(last_position) FROM flexcore.event_partition)
    - coalesce((SELECT max(last_position) FROM flexcore.batch), 0),
  (SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
    WHERE relnamespace = 'flexcore'::regnamespace AND relkind = 'r')";
    // UPDATE, DELETE and TRUNCATE are bits 16, 8 and 32 of `tgtype`.
    let guarded = "WITH guarded AS (SELECT oid, relowner FROM pg_class \
        WHERE relnamespace = 'flexcore'::regnamespace \
        AND (relname IN ('event', 'batch') OR oid IN (SELECT inhrelid FROM pg_inherits \
          WHERE inhparent = 'flexcore.event'::regclass)))";
    let row = session
        .client
        .query_one(&format!("{guarded} {sql}"), &[])
        .await
        .map_err(|error| session.failed(&error))?;
    let unsigned = |column| row.get::<_, Option<i64>>(column).unwrap_or(0).unsigned_abs();
    Ok(LogStatus {
        position: unsigned(0),
        batch: unsigned(1),
        owner: row.get(2),
        append_only_by_rights: row.get(3),
        append_only_by_triggers: row.get(4),
        partitions: row.get::<_, i32>(5).unsigned_abs(),
        positions_ahead: unsigned(6),
        bytes: unsigned(7),
    })
}
