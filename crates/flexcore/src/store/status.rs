//! What holds of a store, in the command line's words.

use flexcore_cli::{
    DatabaseLogStatus, DatabaseStatus, DatabaseUrl, FolderStatus, HostError, Place, StoreAddress,
    StoreFile, StoreMigration, StoreStatus, StoreWriter,
};
use flexcore_store_postgres::{LogStatus, migrate, status};
use flexcore_store_sqlite::{OpenError, StoreLock};

use super::{database, folder};
use crate::paths::StatePaths;

/// Looks at the store of a place.
pub(crate) async fn of(place: &Place) -> Result<StoreStatus, HostError> {
    let paths = StatePaths::new(&place.state_folder);
    match &place.store {
        StoreAddress::Folder => of_folder(&paths).map(StoreStatus::Sqlite),
        StoreAddress::Database(url) => of_database(&paths, url).await.map(StoreStatus::Postgresql),
    }
}

fn of_folder(paths: &StatePaths) -> Result<FolderStatus, HostError> {
    folder::must_be_there(paths)?;
    let status = flexcore_store_sqlite::status(paths.folder()).map_err(folder::open_error)?;
    let file = |(name, bytes)| StoreFile { name, bytes };
    Ok(FolderStatus {
        folder: status.folder.display().to_string(),
        format: status.format,
        newest_format: status.newest_format,
        journal_mode: status.journal_mode,
        writer: status.holder.map(|(pid, purpose)| StoreWriter { pid, purpose }),
        files: status.files.into_iter().map(file).collect(),
    })
}

async fn of_database(paths: &StatePaths, url: &DatabaseUrl) -> Result<DatabaseStatus, HostError> {
    let status = status(url.expose()).await.map_err(|error| database::open_error(&error))?;
    Ok(DatabaseStatus {
        server: status.server,
        server_version: status.server_version,
        is_in_recovery: status.is_in_recovery,
        role: status.role,
        schema_version: status.schema_version,
        newest_schema_version: status.newest_schema_version,
        fsync: status.fsync,
        synchronous_commit: status.synchronous_commit,
        full_page_writes: status.full_page_writes,
        log: status.log.map(of_log),
        writer: writer(paths),
    })
}

fn of_log(log: LogStatus) -> DatabaseLogStatus {
    DatabaseLogStatus {
        position: log.position,
        batch: log.batch,
        owner: log.owner,
        append_only_by_rights: log.append_only_by_rights,
        append_only_by_triggers: log.append_only_by_triggers,
        partitions: log.partitions,
        positions_ahead: log.positions_ahead,
        bytes: log.bytes,
    }
}

/// The process that holds the lock of a state folder.
fn writer(paths: &StatePaths) -> Option<StoreWriter> {
    match StoreLock::check_free(paths.folder()) {
        Err(OpenError::Held { pid, purpose, .. }) => Some(StoreWriter { pid, purpose }),
        _ => None,
    }
}

/// Brings a database's schema forward.
pub(crate) async fn migrated(
    url: &DatabaseUrl,
    app_role: Option<&str>,
) -> Result<StoreMigration, HostError> {
    let migrated =
        migrate(url.expose(), app_role).await.map_err(|error| database::open_error(&error))?;
    Ok(StoreMigration {
        server: url.to_string(),
        from: migrated.from,
        to: migrated.to,
        app_role: app_role.map(str::to_owned),
    })
}
