//! The embedded store: a folder with one writer.

use std::sync::Arc;

use flexcore_app::Projector;
use flexcore_cli::{HostError, HostErrorKind};
use flexcore_coordination::LocalCoordinator;
use flexcore_ports::LogVerifier;
use flexcore_store_sqlite::{OpenError, OpenMode, SqliteLogVerifier, SqliteStore};

use super::{Held, OpenStore};
use crate::{
    clock::SystemClock,
    control::{self, Request},
    host::node_name,
    paths::StatePaths,
};

pub(super) fn for_writing(paths: &StatePaths, purpose: &str) -> Result<OpenStore, HostError> {
    open(paths, OpenMode::Writer { purpose: purpose.to_owned() }).map(opened)
}

pub(super) async fn for_reading(paths: &StatePaths) -> Result<OpenStore, HostError> {
    must_be_there(paths)?;
    bring_views_up_to_date(paths).await;
    open(paths, OpenMode::Reader).map(opened)
}

/// Opens the folder in a mode.
pub(crate) fn open(paths: &StatePaths, mode: OpenMode) -> Result<SqliteStore, HostError> {
    SqliteStore::open(paths.folder(), mode, Arc::new(SystemClock)).map_err(open_error)
}

fn opened(store: SqliteStore) -> OpenStore {
    OpenStore {
        events: store.events(),
        verifier: Arc::new(store.verifier()),
        views: store.views(),
        rebuild: Arc::new(store.views_rebuilder()),
        snapshots: Arc::new(store.snapshots()),
        // Whoever holds the lock of the folder holds every lease.
        coordinator: Arc::new(LocalCoordinator::new(node_name())),
        folds_views: store.has_views_in_memory(),
        held: Held::Folder(store),
    }
}

/// A log that this program cannot read in this place has no proof; one that is damaged has one.
pub(super) fn verifier(paths: &StatePaths) -> Result<Arc<dyn LogVerifier>, HostError> {
    must_be_there(paths)?;
    match SqliteStore::open(paths.folder(), OpenMode::Reader, Arc::new(SystemClock)) {
        Err(error @ (OpenError::Newer { .. } | OpenError::NeedsCopy { .. })) => {
            Err(open_error(error))
        }
        _ => Ok(Arc::new(SqliteLogVerifier::new(paths.folder()))),
    }
}

/// A store that was never written is not made by looking at it.
pub(crate) fn must_be_there(paths: &StatePaths) -> Result<(), HostError> {
    if !paths.folder().join("log.db").exists() {
        return Err(HostError {
            kind: HostErrorKind::Absent,
            code: "FC0402",
            message: format!("there is no store in {}", paths.folder().display()),
            hint: Some("`flexcore run FILE` makes one".to_owned()),
        });
    }
    Ok(())
}

/// Asks the live writer to catch up; without one, takes the lock for the moment that it takes.
/// Where neither is possible (a read-only folder) views in memory are filled when they are asked.
async fn bring_views_up_to_date(paths: &StatePaths) {
    match control::ask(paths.folder(), &Request::CatchUp).await {
        Ok(Some(_)) => return,
        Ok(None) => {}
        Err(error) => tracing::debug!(%error, "the live writer does not answer"),
    }
    let mode = OpenMode::Writer { purpose: "bringing views up to date".to_owned() };
    let Ok(store) = SqliteStore::open(paths.folder(), mode, Arc::new(SystemClock)) else {
        return;
    };
    let projector = Projector::new(store.events(), store.views());
    if let Err(error) = projector.catch_up().await {
        tracing::warn!(%error, "the views do not follow the log");
    }
    drop(projector);
    if let Err(error) = store.close().await {
        tracing::warn!(%error, "the store did not close cleanly");
    }
}

/// The store's refusals in the host's words.
pub(super) fn open_error(error: OpenError) -> HostError {
    let message = error.to_string();
    let (kind, code, hint) = match error {
        OpenError::Held { pid, purpose, .. } => {
            let purpose = (!purpose.is_empty()).then_some(purpose);
            (HostErrorKind::Held { pid, purpose }, "FC0403", None)
        }
        OpenError::Missing { .. } => (HostErrorKind::Absent, "FC0402", None),
        OpenError::Newer { .. } => (HostErrorKind::NewerVersion, "FC0404", None),
        OpenError::NeedsCopy { .. } => (HostErrorKind::ReadOnly, "FC0405", None),
        OpenError::LogBehindViews { .. } | OpenError::Corrupt { .. } => {
            (HostErrorKind::Failed, "FC0406", None)
        }
        OpenError::NotAStore { .. } | OpenError::Unavailable { .. } => {
            (HostErrorKind::Failed, "FC0401", None)
        }
    };
    HostError { kind, code, message, hint }
}
