//! Building views anew beside those in use.

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_ports::{RebuildViews, StoreError, ViewStore, ViewsRebuild};
use tokio_postgres::Client;

use super::PostgresViewStore;
use crate::{connection::Pool, error::store_error};

/// Begins rebuilds of the views of one store.
#[derive(Debug, Clone)]
pub struct PostgresRebuildViews {
    pool: Pool,
}

impl PostgresRebuildViews {
    pub(crate) fn new(pool: &Pool) -> Self {
        Self { pool: pool.clone() }
    }
}

#[async_trait]
impl RebuildViews for PostgresRebuildViews {
    async fn begin(&self) -> Result<Box<dyn ViewsRebuild>, StoreError> {
        let client = self.pool.connector().connect().await?;
        let created = client.query_one("SELECT flexcore.views_create()", &[]).await;
        let generation = created.map_err(|error| store_error(&error))?.get(0);
        let fresh = Arc::new(PostgresViewStore::fixed(&self.pool, generation));
        Ok(Box::new(Rebuild { client, fresh, generation }))
    }
}

/// Views that are being filled. Given up, their tables go when the next rebuild begins: the
/// connection holds them, and ends with this.
struct Rebuild {
    client: Client,
    fresh: Arc<PostgresViewStore>,
    generation: i32,
}

#[async_trait]
impl ViewsRebuild for Rebuild {
    fn views(&self) -> Arc<dyn ViewStore> {
        Arc::clone(&self.fresh) as Arc<dyn ViewStore>
    }

    async fn publish(self: Box<Self>) -> Result<(), StoreError> {
        let Self { client, generation, .. } = *self;
        let published = client.query_one("SELECT flexcore.views_publish($1)", &[&generation]).await;
        let former: Option<i32> = published.map_err(|error| store_error(&error))?.get(0);
        if let Some(former) = former.filter(|former| *former != generation) {
            // Readers that are still at it keep the tables until the next rebuild removes them.
            if let Err(error) = client.query_one("SELECT flexcore.views_drop($1)", &[&former]).await
            {
                tracing::debug!(%error, former, "the former views are removed later");
            }
        }
        Ok(())
    }
}
