//! Views must never know more than the log does.

use flexcore_eventsourcing::Hash;
use flexcore_ports::{Checkpoint, StoreError};
use rusqlite::Connection;

use super::checkpoints;
use crate::{folder::Folder, log::batch_hash_at, open_error::OpenError, readers::Readers};

/// Whether the views are whole, as far as their checkpoints tell.
///
/// # Errors
/// [`OpenError::LogBehindViews`] if they are, and the log does not hold what they have folded in:
/// then it is the log that lost events, and building the views again would hide that.
pub(crate) fn with_log(
    folder: &Folder,
    views: &Connection,
    log: &Readers,
) -> Result<bool, OpenError> {
    let checkpoints = match checkpoints::all(views) {
        Ok(checkpoints) => checkpoints,
        Err(StoreError::Corrupt { place, reason }) => {
            tracing::warn!(%place, %reason, "the views are built again from the log");
            return Ok(false);
        }
        Err(error) => return Err(OpenError::io(folder.path(), error)),
    };
    for (projection, checkpoint) in checkpoints {
        let stored = log
            .run_blocking(|reader| batch_hash_at(&reader.connection, checkpoint.position))
            .map_err(|error| OpenError::io(&folder.log(), error))?;
        if let Some(reason) = difference(checkpoint, stored) {
            return Err(OpenError::LogBehindViews {
                folder: folder.path().to_owned(),
                projection,
                reason,
            });
        }
    }
    Ok(true)
}

/// Why a checkpoint does not follow the log, of which `stored` is the hash at its position.
pub(crate) fn difference(checkpoint: Checkpoint, stored: Option<Hash>) -> Option<String> {
    let position = checkpoint.position;
    match stored {
        _ if position == 0 => None,
        Some(hash) if hash == checkpoint.hash => None,
        Some(_) => Some(format!("at position {position} the log has another history")),
        None => Some(format!("the log has no batch that ends at position {position}")),
    }
}
