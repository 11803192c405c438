//! The store on PostgreSQL: a database that folders and machines share.
//!
//! A process that writes holds the lock of its state folder too: what lies there, the launcher
//! above all, belongs to one process at a time.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt as _, sync::Arc};

use flexcore_app::Projector;
use flexcore_cli::{DatabaseUrl, HostError, HostErrorKind};
use flexcore_ports::{Ids as _, LogVerifier};
use flexcore_store_postgres::{LeaseOwner, OpenError, PostgresOptions, PostgresStore, Role};
use flexcore_store_sqlite::StoreLock;

use super::{Held, OpenStore, folder};
use crate::{
    clock::RandomIds,
    host::{failed, node_name},
    node,
    paths::StatePaths,
};

pub(super) async fn for_writing(
    paths: &StatePaths,
    url: &DatabaseUrl,
    purpose: &str,
) -> Result<OpenStore, HostError> {
    let lock = lock(paths, purpose)?;
    let node = node::id(paths, &RandomIds)
        .map_err(|error| failed(format!("{}: {error}", paths.node().display())))?;
    let store = open(url, Role::Writer).await?;
    Ok(opened(store, Some(lock), node))
}

pub(super) async fn for_reading(url: &DatabaseUrl) -> Result<OpenStore, HostError> {
    let store = open(url, Role::Reader).await?;
    // It takes no lease and knows no folder: any id will do.
    let mut store = opened(store, None, RandomIds.next());
    let projector = Projector::new(Arc::clone(&store.events), Arc::clone(&store.views));
    if let Err(error) = projector.catch_up().await {
        // A standby, or a role that may only look.
        tracing::warn!(%error, "lists show what was brought up to date by others");
        store.folds_views = false;
    }
    Ok(store)
}

/// Makes the state folder if there is none, and takes its lock.
pub(crate) fn lock(paths: &StatePaths, purpose: &str) -> Result<StoreLock, HostError> {
    let folder = paths.folder();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| failed(format!("cannot make {}: {error}", folder.display())))?;
    StoreLock::take(folder, purpose).map_err(folder::open_error)
}

/// Opens the database for a purpose.
pub(crate) async fn open(url: &DatabaseUrl, role: Role) -> Result<PostgresStore, HostError> {
    PostgresStore::open(PostgresOptions::new(url.expose(), role))
        .await
        .map_err(|error| open_error(&error))
}

fn opened(store: PostgresStore, lock: Option<StoreLock>, node: uuid::Uuid) -> OpenStore {
    let owner = LeaseOwner { process: RandomIds.next(), node, label: node_name() };
    OpenStore {
        events: store.events(),
        verifier: Arc::new(store.verifier()),
        views: store.views(),
        rebuild: Arc::new(store.rebuild_views()),
        snapshots: Arc::new(store.snapshots()),
        coordinator: Arc::new(store.coordinator(owner)),
        folds_views: true,
        held: Held::Database { store: Box::new(store), lock },
    }
}

pub(super) async fn verifier(url: &DatabaseUrl) -> Result<Arc<dyn LogVerifier>, HostError> {
    Ok(Arc::new(open(url, Role::Reader).await?.verifier()))
}

/// The store's refusals in the host's words.
pub(crate) fn open_error(error: &OpenError) -> HostError {
    let message = error.to_string();
    let (kind, code) = match error {
        OpenError::BadUrl { .. } => (HostErrorKind::Refused, "FC0407"),
        OpenError::Unreachable { .. } => (HostErrorKind::Failed, "FC0408"),
        OpenError::Login { .. } => (HostErrorKind::Failed, "FC0409"),
        OpenError::Rights { .. } => (HostErrorKind::Failed, "FC0410"),
        OpenError::NotMigrated { found: 0, .. } => (HostErrorKind::Absent, "FC0402"),
        OpenError::NotMigrated { .. } => (HostErrorKind::Failed, "FC0411"),
        OpenError::Newer { .. } => (HostErrorKind::NewerVersion, "FC0404"),
        OpenError::Changed { .. } => (HostErrorKind::NewerVersion, "FC0412"),
        OpenError::Unfit { .. } => (HostErrorKind::Failed, "FC0413"),
        OpenError::Failed { .. } => (HostErrorKind::Failed, "FC0401"),
    };
    HostError { kind, code, message, hint: None }
}
