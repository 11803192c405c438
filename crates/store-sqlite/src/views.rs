//! The views: `views-<n>.db`.

mod checkpoints;
mod compare;
mod data_streams;
mod executions;
mod files;
mod lists;
mod metrics;
mod notes;
mod pipelines;
mod place;
mod plugins;
mod projected;
mod query;
mod rebuild;
mod schema;
mod seal;

use std::sync::{PoisonError, RwLock};

use flexcore_ports::StoreError;
use rusqlite::Connection;

use crate::{folder::Folder, open_error::OpenError, readers::Readers};
pub(crate) use checkpoints::all as checkpoints_of;
pub(crate) use compare::difference;
pub(crate) use files::{current as current_number, name as file_name};
use place::Place;
pub use rebuild::{SqliteRebuildViews, ViewsRebuild};
pub(crate) use schema::VIEWS;
pub(crate) use seal::seal;

/// The views on SQLite. A handle stays good over a rebuild.
#[derive(Debug)]
pub struct SqliteViewStore {
    folder: Folder,
    place: RwLock<Place>,
}

impl SqliteViewStore {
    /// Opens the views for writing. Views that are missing, damaged or of another format are
    /// begun anew: their checkpoints are gone, so that projections fold from the beginning.
    ///
    /// # Errors
    /// [`OpenError::LogBehindViews`] if whole views know more than `log` holds.
    pub(crate) fn for_writing(folder: &Folder, log: &Readers) -> Result<Self, OpenError> {
        let usable = match files::open_current(folder)? {
            Some((number, connection)) => {
                let whole = compare::with_log(folder, &connection, log)?;
                whole.then_some((number, connection))
            }
            None => None,
        };
        let (number, connection) = if let Some(usable) = usable {
            files::remove_others(folder, usable.0);
            usable
        } else {
            let fresh = files::create(folder)?;
            files::publish(folder, fresh.0)?;
            fresh
        };
        Ok(Self::at(folder, Place::writable(folder, number, connection)))
    }

    /// Opens the views for reading beside a writer. Where there are none to read, they begin empty
    /// in memory, and can be filled there.
    pub(crate) fn for_reading(folder: &Folder) -> Result<Self, OpenError> {
        let place = match files::current(folder).map(|number| Place::readable(folder, number)) {
            Some(Ok(place)) => place,
            Some(Err(error)) if !files::is_replaceable(&error) => return Err(error),
            _ => Place::in_memory(folder)?,
        };
        Ok(Self::at(folder, place))
    }

    /// Views that begin empty in memory, for a folder that cannot be written: what lies there may
    /// be older than the log and could not be brought up to it.
    pub(crate) fn in_memory(folder: &Folder) -> Result<Self, OpenError> {
        Ok(Self::at(folder, Place::in_memory(folder)?))
    }

    fn at(folder: &Folder, place: Place) -> Self {
        Self { folder: folder.clone(), place: RwLock::new(place) }
    }

    /// Closes the files.
    pub(crate) fn close(&self) {
        self.place().close();
    }

    pub(crate) fn place(&self) -> Place {
        self.place.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let result = self.place().read(job).await;
        self.heal(result)
    }

    /// Damaged views are built again at the next start.
    fn heal<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        match result {
            Err(StoreError::Corrupt { place, reason }) if self.place().is_writable() => {
                files::set_aside(&self.folder);
                let reason = format!("{reason}; the views are built again at the next start");
                Err(StoreError::Corrupt { place, reason })
            }
            result => result,
        }
    }
}
