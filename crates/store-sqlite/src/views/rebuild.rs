//! Building views anew beside those in use.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use flexcore_ports::{RebuildViews, StoreError, ViewStore, ViewsRebuild as Rebuild};

use super::{SqliteViewStore, files, place::Place};

/// Views that are being filled while others are in use. Dropped without
/// [`ViewsRebuild::publish`], they are removed.
#[derive(Debug)]
pub struct ViewsRebuild {
    current: Arc<SqliteViewStore>,
    fresh: Arc<SqliteViewStore>,
    number: u32,
    published: bool,
}

impl ViewsRebuild {
    pub(crate) fn begin(current: &Arc<SqliteViewStore>) -> Result<Self, StoreError> {
        if !current.place().is_writable() {
            return Err(StoreError::Unavailable("the views are open for reading only".to_owned()));
        }
        let folder = &current.folder;
        let (number, connection) = files::create(folder)?;
        let fresh = SqliteViewStore::at(folder, Place::writable(folder, number, connection));
        let (current, fresh) = (Arc::clone(current), Arc::new(fresh));
        Ok(Self { current, fresh, number, published: false })
    }

    /// The views to fill.
    pub fn views(&self) -> Arc<dyn ViewStore> {
        Arc::clone(&self.fresh) as Arc<dyn ViewStore>
    }

    /// Puts them in the place of those in use, for every holder of a handle at once, and removes
    /// the former file.
    ///
    /// # Errors
    /// [`StoreError`] if the pointer could not be replaced; the former views stay in use then.
    pub fn publish(mut self) -> Result<(), StoreError> {
        let folder = &self.current.folder;
        files::publish(folder, self.number)?;
        self.published = true;
        let fresh = self.fresh.place();
        let mut place = self.current.place.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *place, fresh).close();
        Ok(())
    }
}

#[async_trait]
impl Rebuild for ViewsRebuild {
    fn views(&self) -> Arc<dyn ViewStore> {
        Self::views(self)
    }

    async fn publish(self: Box<Self>) -> Result<(), StoreError> {
        Self::publish(*self)
    }
}

/// Begins rebuilds of the views of one store.
#[derive(Debug, Clone)]
pub struct SqliteRebuildViews {
    current: Arc<SqliteViewStore>,
}

impl SqliteRebuildViews {
    pub(crate) fn new(current: Arc<SqliteViewStore>) -> Self {
        Self { current }
    }
}

#[async_trait]
impl RebuildViews for SqliteRebuildViews {
    async fn begin(&self) -> Result<Box<dyn Rebuild>, StoreError> {
        Ok(Box::new(ViewsRebuild::begin(&self.current)?))
    }
}

impl Drop for ViewsRebuild {
    fn drop(&mut self) {
        if !self.published {
            self.fresh.close();
            files::remove(&self.current.folder, self.number);
        }
    }
}
