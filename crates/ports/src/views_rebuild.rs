//! Building views anew while the present ones stay in use.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{StoreError, ViewStore};

/// Begins views that are filled from the beginning of the log beside those in use.
#[async_trait]
pub trait RebuildViews: Send + Sync {
    /// Makes empty views. Only one rebuild at a time is of use: of two, the last to be published
    /// stays.
    ///
    /// # Errors
    /// [`StoreError`], also if the store is open for reading only.
    async fn begin(&self) -> Result<Box<dyn ViewsRebuild>, StoreError>;
}

/// Views that are being filled while others are in use. Dropped without
/// [`ViewsRebuild::publish`], they are removed.
#[async_trait]
pub trait ViewsRebuild: Send + Sync {
    /// The views to fill.
    fn views(&self) -> Arc<dyn ViewStore>;

    /// Puts them in the place of those in use, for every holder of a handle at once, and removes
    /// the former ones.
    ///
    /// # Errors
    /// [`StoreError`] if they could not be replaced; the former views stay in use then.
    async fn publish(self: Box<Self>) -> Result<(), StoreError>;
}
