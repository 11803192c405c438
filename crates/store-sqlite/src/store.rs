//! A store's folder, opened as a whole.

use std::{path::Path, sync::Arc};

use flexcore_ports::{Clock, StoreError};

use crate::{
    OpenError, SqliteEventStore, SqliteLogTransfer, SqliteLogVerifier, SqliteRebuildViews,
    SqliteSnapshots, SqliteViewStore, ViewsRebuild, connection::Access, folder::Folder,
    lock::StoreLock,
};

/// What a store is opened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenMode {
    /// To read and write, as the only process that does. The folder and its files are created if
    /// they are missing.
    Writer {
        /// What this process does with it, for the message of whoever is refused meanwhile: `run of
        /// pipeline flights`.
        purpose: String,
    },
    /// To read, also beside a writer.
    Reader,
}

/// The embedded store: event log, views and snapshots in one folder.
///
/// Beside a writer a reader sees every committed event. On a folder that cannot be written, the log
/// is read as it is if it was closed cleanly, and views begin empty in memory.
#[derive(Debug)]
pub struct SqliteStore {
    folder: Folder,
    lock: Option<Arc<StoreLock>>,
    events: Arc<SqliteEventStore>,
    views: Arc<SqliteViewStore>,
    views_in_memory: bool,
}

impl SqliteStore {
    /// Tells how many connections that read the log are at work, and how many are idle.
    pub fn connections(&self) -> impl Fn() -> (usize, usize) + Send + Sync + use<> {
        let readers = self.events.readers().clone();
        move || readers.connections()
    }

    /// Opens the store in `folder`.
    ///
    /// A writer first finishes what a crash left: it reads what the write-ahead log still holds,
    /// brings the ends of streams up to the last batch, and replaces views that cannot be used.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(folder: &Path, mode: OpenMode, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        match mode {
            OpenMode::Writer { purpose } => {
                let folder = Folder::create(folder)?;
                let lock = Arc::new(StoreLock::take(folder.path(), &purpose)?);
                let events = SqliteEventStore::for_writing(&folder, Arc::clone(&lock), clock)?;
                let views = SqliteViewStore::for_writing(&folder, events.readers())?;
                Ok(Self::new(folder, Some(lock), events, views, false))
            }
            OpenMode::Reader => {
                let folder = Folder::existing(folder)?;
                let access = folder.read_access()?;
                let events = SqliteEventStore::for_reading(&folder, access)?;
                let in_memory = access == Access::Immutable;
                let views = if in_memory {
                    SqliteViewStore::in_memory(&folder)?
                } else {
                    SqliteViewStore::for_reading(&folder)?
                };
                Ok(Self::new(folder, None, events, views, in_memory))
            }
        }
    }

    fn new(
        folder: Folder,
        lock: Option<Arc<StoreLock>>,
        events: SqliteEventStore,
        views: SqliteViewStore,
        views_in_memory: bool,
    ) -> Self {
        Self { folder, lock, events: Arc::new(events), views: Arc::new(views), views_in_memory }
    }

    /// The store's folder, as an absolute path.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The event log.
    pub fn events(&self) -> Arc<SqliteEventStore> {
        Arc::clone(&self.events)
    }

    /// The views.
    pub fn views(&self) -> Arc<SqliteViewStore> {
        Arc::clone(&self.views)
    }

    /// Whether the views began empty in memory, because the folder cannot be written: whoever reads
    /// them folds the log into them first.
    pub fn has_views_in_memory(&self) -> bool {
        self.views_in_memory
    }

    /// Snapshots of aggregates.
    pub fn snapshots(&self) -> SqliteSnapshots {
        SqliteSnapshots::new(self.events.readers().clone(), self.views())
    }

    /// Copies the log, in and out.
    pub fn transfer(&self) -> SqliteLogTransfer {
        SqliteLogTransfer::new(self.events())
    }

    /// Proves the log.
    pub fn verifier(&self) -> SqliteLogVerifier {
        SqliteLogVerifier::new(self.folder())
    }

    /// Says what this process does with the store from now on, to whoever is refused meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the lock file cannot be written.
    pub fn set_purpose(&self, purpose: &str) -> Result<(), StoreError> {
        match &self.lock {
            Some(lock) => lock
                .describe(purpose)
                .map_err(|error| StoreError::Unavailable(format!("store.lock: {error}"))),
            None => Ok(()),
        }
    }

    /// Begins views that are filled from the beginning of the log while the present ones stay in
    /// use.
    ///
    /// # Errors
    /// [`StoreError`] if the store is open for reading only, or the new file cannot be created.
    pub fn begin_views_rebuild(&self) -> Result<ViewsRebuild, StoreError> {
        ViewsRebuild::begin(&self.views)
    }

    /// What begins such a rebuild for those who know the port only.
    pub fn views_rebuilder(&self) -> SqliteRebuildViews {
        SqliteRebuildViews::new(self.views())
    }

    /// Commits what was handed over, moves everything into the main files and lets go of the
    /// folder. Handles that others still hold are refused from then on.
    ///
    /// A store that is dropped without it loses nothing and does the same, but cannot tell what
    /// went wrong, and not before the last handle is gone.
    ///
    /// # Errors
    /// [`StoreError`] if a file could not be brought to its closed form. What was acknowledged is
    /// safe; the next start finishes the work.
    pub async fn close(self) -> Result<(), StoreError> {
        let closed = self.events.close().await;
        self.views.close();
        if let Some(lock) = &self.lock {
            lock.release();
        }
        closed
    }
}
