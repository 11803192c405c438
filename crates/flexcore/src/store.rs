//! An open store, whatever it is made of.

pub(crate) mod database;
pub(crate) mod folder;
pub(crate) mod status;

use std::sync::Arc;

use flexcore_cli::{HostError, Place, StoreAddress};
use flexcore_ports::{Coordinator, EventStore, LogVerifier, RebuildViews, Snapshots, ViewStore};
use flexcore_store_postgres::PostgresStore;
use flexcore_store_sqlite::{SqliteStore, StoreLock};

use crate::{host::failed, paths::StatePaths};

/// What an open store gives to the rest of the program, and what is let go of at the end.
pub(crate) struct OpenStore {
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) verifier: Arc<dyn LogVerifier>,
    pub(crate) views: Arc<dyn ViewStore>,
    pub(crate) rebuild: Arc<dyn RebuildViews>,
    pub(crate) snapshots: Arc<dyn Snapshots>,
    pub(crate) coordinator: Arc<dyn Coordinator>,
    /// Whether this process may fold the log into the views.
    pub(crate) folds_views: bool,
    held: Held,
}

/// The store itself, to be closed.
enum Held {
    Folder(SqliteStore),
    Database { store: Box<PostgresStore>, lock: Option<StoreLock> },
}

/// Opens the store of a place as one of the processes that write it, and as the only one of its
/// state folder. `purpose` is what others are told who are refused meanwhile.
pub(crate) async fn for_writing(place: &Place, purpose: &str) -> Result<OpenStore, HostError> {
    let paths = StatePaths::new(&place.state_folder);
    match &place.store {
        StoreAddress::Folder => folder::for_writing(&paths, purpose),
        StoreAddress::Database(url) => database::for_writing(&paths, url, purpose).await,
    }
}

/// Opens the store of a place to read, with views that are as new as the log where that is
/// possible.
pub(crate) async fn for_reading(place: &Place) -> Result<OpenStore, HostError> {
    match &place.store {
        StoreAddress::Folder => folder::for_reading(&StatePaths::new(&place.state_folder)).await,
        StoreAddress::Database(url) => database::for_reading(url).await,
    }
}

/// What proves the log of a place, without opening the store first.
pub(crate) async fn verifier(place: &Place) -> Result<Arc<dyn LogVerifier>, HostError> {
    match &place.store {
        StoreAddress::Folder => folder::verifier(&StatePaths::new(&place.state_folder)),
        StoreAddress::Database(url) => database::verifier(url).await,
    }
}

impl OpenStore {
    /// Tells how many connections that read are at work, and how many are idle.
    pub(crate) fn connections(&self) -> Box<dyn Fn() -> (usize, usize) + Send + Sync> {
        match &self.held {
            Held::Folder(store) => Box::new(store.connections()),
            Held::Database { store, .. } => Box::new(store.connections()),
        }
    }

    /// Commits what was handed over and lets go of everything, the lock last.
    pub(crate) async fn close(self) -> Result<(), HostError> {
        let closed = match self.held {
            Held::Folder(store) => store.close().await,
            Held::Database { store, lock } => {
                let closed = store.close().await;
                drop(lock);
                closed
            }
        };
        closed.map_err(|error| failed(error.to_string()))
    }
}
