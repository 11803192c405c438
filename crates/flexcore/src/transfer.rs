//! Opening a log to copy batches out of it or into it.

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_cli::{
    CloseStore, DatabaseUrl, HostError, Place, StoreAddress, Transfer, TransferEnd,
};
use flexcore_store_postgres::{PostgresStore, Role};
use flexcore_store_sqlite::{OpenMode, SqliteStore, StoreLock};

use crate::{
    host::failed,
    paths::StatePaths,
    store::{database, folder},
};

/// What a process that waits for a destination to be free is told.
const PURPOSE: &str = "importing events";

pub(crate) async fn open(place: &Place, end: TransferEnd) -> Result<Transfer, HostError> {
    match &place.store {
        StoreAddress::Folder => open_folder(&StatePaths::new(&place.state_folder), end),
        StoreAddress::Database(url) => open_database(place, url, end).await,
    }
}

fn open_folder(paths: &StatePaths, end: TransferEnd) -> Result<Transfer, HostError> {
    let mode = match end {
        TransferEnd::Source => {
            folder::must_be_there(paths)?;
            OpenMode::Reader
        }
        TransferEnd::Destination => OpenMode::Writer { purpose: PURPOSE.to_owned() },
    };
    let store = folder::open(paths, mode)?;
    Ok(Transfer { log: Arc::new(store.transfer()), closing: Box::new(EmbeddedLog(store)) })
}

async fn open_database(
    place: &Place,
    url: &DatabaseUrl,
    end: TransferEnd,
) -> Result<Transfer, HostError> {
    let (role, lock) = match end {
        TransferEnd::Source => (Role::Reader, None),
        TransferEnd::Destination => {
            let paths = StatePaths::new(&place.state_folder);
            (Role::Writer, Some(database::lock(&paths, PURPOSE)?))
        }
    };
    let store = database::open(url, role).await?;
    Ok(Transfer { log: Arc::new(store.transfer()), closing: Box::new(DatabaseLog { store, lock }) })
}

struct DatabaseLog {
    store: PostgresStore,
    lock: Option<StoreLock>,
}

#[async_trait]
impl CloseStore for DatabaseLog {
    async fn close(self: Box<Self>) -> Result<(), HostError> {
        let closed = self.store.close().await;
        drop(self.lock);
        closed.map_err(|error| failed(error.to_string()))
    }
}

struct EmbeddedLog(SqliteStore);

#[async_trait]
impl CloseStore for EmbeddedLog {
    async fn close(self: Box<Self>) -> Result<(), HostError> {
        self.0.close().await.map_err(|error| failed(error.to_string()))
    }
}
