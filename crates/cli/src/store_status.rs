//! What holds of a store, for whoever operates it. A part of the interface of `--output json`.

use serde::Serialize;

/// What holds of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StoreStatus {
    /// The embedded store.
    Sqlite(FolderStatus),
    /// A database.
    Postgresql(DatabaseStatus),
}

/// What holds of the embedded store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FolderStatus {
    /// Its folder.
    pub folder: String,
    /// The format of its log.
    pub format: u32,
    /// The newest format that this program knows.
    pub newest_format: u32,
    /// SQLite's journal mode of the log, if it could be asked for.
    pub journal_mode: Option<String>,
    /// The process that writes it now.
    pub writer: Option<StoreWriter>,
    /// Its files.
    pub files: Vec<StoreFile>,
}

/// A process that writes a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreWriter {
    /// Its process id, if it could be told.
    pub pid: Option<u32>,
    /// What it does, in its own words.
    pub purpose: String,
}

/// A file of the embedded store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreFile {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What holds of a store in a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatabaseStatus {
    /// Host, port and database.
    pub server: String,
    /// The server's version.
    pub server_version: String,
    /// Whether the server is a standby, which takes no appends.
    pub is_in_recovery: bool,
    /// The role that asked.
    pub role: String,
    /// The newest migration that was applied; 0: there is no store yet.
    pub schema_version: u32,
    /// The newest that this program knows.
    pub newest_schema_version: u32,
    /// The server's setting `fsync`.
    pub fsync: bool,
    /// The server's setting `synchronous_commit`.
    pub synchronous_commit: String,
    /// The server's setting `full_page_writes`.
    pub full_page_writes: bool,
    /// The log, if there is one.
    pub log: Option<DatabaseLogStatus>,
    /// The process of the state folder that writes now.
    pub writer: Option<StoreWriter>,
}

/// What holds of a log in a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatabaseLogStatus {
    /// The last position.
    pub position: u64,
    /// The number of the last batch.
    pub batch: u64,
    /// The role that it belongs to.
    pub owner: String,
    /// Whether the role that asked lacks the rights to change or remove events.
    pub append_only_by_rights: bool,
    /// Whether triggers refuse to change or remove events.
    pub append_only_by_triggers: bool,
    /// How many partitions there are.
    pub partitions: u32,
    /// How many more events the partitions take.
    pub positions_ahead: u64,
    /// Size of the whole store on disk, in bytes.
    pub bytes: u64,
}

/// What migrating a store came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreMigration {
    /// Host, port and database.
    pub server: String,
    /// The schema before; 0: there was none.
    pub from: u32,
    /// The schema now.
    pub to: u32,
    /// The role that may use the store now, if one was named.
    pub app_role: Option<String>,
}
