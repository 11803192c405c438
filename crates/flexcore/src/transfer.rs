//! Opening a log to copy batches out of it or into it.

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_cli::{CloseStore, HostError, Place, StoreAddress, Transfer, TransferEnd};
use flexcore_store_sqlite::{OpenMode, SqliteStore};

use crate::{host::failed, paths::StatePaths, store::folder};

/// What a process that waits for a destination to be free is told.
const PURPOSE: &str = "importing events";

pub(crate) async fn open(place: &Place, end: TransferEnd) -> Result<Transfer, HostError> {
    match &place.store {
        StoreAddress::Folder => open_folder(&StatePaths::new(&place.state_folder), end),
        StoreAddress::Database(url) => Err(crate::store::not_yet(url)),
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

struct EmbeddedLog(SqliteStore);

#[async_trait]
impl CloseStore for EmbeddedLog {
    async fn close(self: Box<Self>) -> Result<(), HostError> {
        self.0.close().await.map_err(|error| failed(error.to_string()))
    }
}
