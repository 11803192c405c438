//! Proving the log.
//!
//! Two passes run at once over one file. The *scan* reads batches and events in order and
//! recomputes everything that is stored about them: positions, versions, leaves, roots, batch
//! hashes, times, owner epochs, and the ends of streams at the position for which table `stream`
//! holds them. It names the first batch that does not hold, and needs memory only for the names and
//! ends of streams. The *page check* is SQLite's own walk over the structure of the file, which
//! also covers bytes that no row needs; it names a page. It goes on to sum up the indexes, which are
//! then compared with the events. Last come the checkpoints of the views: views that know more than
//! the log prove that it was cut.

mod fault;
mod indexes;
mod pages;
mod scan;
mod streams;
mod texts;

use std::{
    path::{Path, PathBuf},
    thread,
};

use async_trait::async_trait;
use flexcore_eventsourcing::{Hash, Timestamp};
use flexcore_ports::{
    LogCounts, LogHead, LogVerifier, StoreError, VerifyFault, VerifyReport, WitnessedHeads,
};
use rusqlite::{Connection, OptionalExtension};

use crate::{
    connection::Access,
    error::{is_corruption, reason, store_error},
    folder::Folder,
    log::{LOG, batch_hash_at, log_end},
    open_error::OpenError,
    views::{VIEWS, checkpoints_of, current_number, difference, file_name},
};
use fault::Fault;
use indexes::FoundIndex;
use pages::PageFault;
use scan::Scanned;

/// Proves the log of a folder. It opens the files itself, for reading, so that it can say what is
/// wrong with a store that can no longer be opened.
#[derive(Debug, Clone)]
pub struct SqliteLogVerifier {
    folder: PathBuf,
}

impl SqliteLogVerifier {
    /// The verifier of the store in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Path) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || job(&folder))
            .await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }
}

#[async_trait]
impl LogVerifier for SqliteLogVerifier {
    async fn verify(&self, witnessed: &[LogHead]) -> Result<VerifyReport, StoreError> {
        let witnessed = WitnessedHeads::new(witnessed);
        self.blocking(move |folder| verify(folder, witnessed)).await
    }

    async fn statistics(&self) -> Result<LogCounts, StoreError> {
        self.blocking(statistics).await
    }
}

fn verify(folder: &Path, witnessed: WitnessedHeads) -> Result<VerifyReport, StoreError> {
    let folder = Folder::existing(folder)?;
    let access = folder.read_access()?;
    let connection = match LOG.open(&folder.log(), access) {
        Ok(connection) => connection,
        Err(error) if is_damage(&error) => return Ok(unreadable(&error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let transaction =
        connection.unchecked_transaction().map_err(|error| store_error(&error, "log.db"))?;
    let end = match log_end(&transaction) {
        Ok(end) => end.head.position,
        // The scan will say where.
        Err(StoreError::Corrupt { .. }) => u64::MAX,
        Err(error) => return Err(error),
    };
    let (scanned, structure) = thread::scope(|scope| {
        let structure = scope.spawn(|| check_structure(&folder, access, end));
        (scan_events(&transaction, witnessed), structure.join())
    });
    let structure = structure.unwrap_or_else(|_| {
        Err(StoreError::Unavailable("the page check did not come to its end".to_owned()))
    })?;
    let mut scanned = scanned?;
    if scanned.fault.is_none()
        && let Some(indexes) = structure.indexes
    {
        scanned.fault = indexes::compare(&transaction, indexes, &scanned)
            .map_err(|error| store_error(&error, "log.db"))?;
    }
    let mut report = combine(scanned, structure.page);
    if report.fault.is_none() {
        report.fault = compare_with_views(&folder, access, &transaction)?;
    }
    Ok(report)
}

/// Whether opening failed in a way that a damaged file explains. A newer format is such a way too:
/// a flipped bit in the header looks just like it.
fn is_damage(error: &OpenError) -> bool {
    matches!(
        error,
        OpenError::Corrupt { .. } | OpenError::Newer { .. } | OpenError::NotAStore { .. }
    )
}

/// The report on a file whose first page, which holds header and schema, cannot be used.
fn unreadable(reason: &str) -> VerifyReport {
    let fault = Fault::on_page(1, 0, format!("{reason}, or the file's first page is damaged"));
    VerifyReport { batches: 0, events: 0, streams: 0, head: Hash::ZERO, fault: Some(fault.into()) }
}

/// What the second pass comes to.
struct Structure {
    page: Option<PageFault>,
    /// `None` where the pages are damaged: then there is no need to read them as indexes.
    indexes: Option<[FoundIndex; 2]>,
}

fn check_structure(folder: &Folder, access: Access, end: u64) -> Result<Structure, StoreError> {
    let connection = LOG.open(&folder.log(), access)?;
    let check = || -> rusqlite::Result<Structure> {
        let page = pages::check(&connection)?;
        let indexes = page.is_none().then(|| indexes::read(&connection, end)).transpose()?;
        Ok(Structure { page, indexes })
    };
    check().map_err(|error| store_error(&error, "log.db"))
}

fn scan_events(connection: &Connection, witnessed: WitnessedHeads) -> Result<Scanned, StoreError> {
    match scan::scan(connection, witnessed) {
        Err(error) if is_corruption(&error) => Ok(Scanned::unreadable(&reason(&error))),
        result => result.map_err(|error| store_error(&error, "log.db")),
    }
}

/// One report of both passes. What the scan finds is in a batch; the page check adds where in the
/// file that is, or finds what lies in no batch.
fn combine(scanned: Scanned, pages: Option<PageFault>) -> VerifyReport {
    let fault = match (scanned.fault, pages) {
        (None, None) => None,
        (Some(fault), None) => Some(fault),
        (None, Some(page)) => Some(Fault::on_page(page.page, scanned.head.position, page.reason)),
        (Some(fault), Some(page)) => Some(fault.also_on_page(&page)),
    };
    VerifyReport {
        batches: scanned.head.batch,
        events: scanned.head.position,
        streams: scanned.streams,
        head: scanned.head.hash,
        fault: fault.map(VerifyFault::from),
    }
}

/// What the views know and the log does not. Views that cannot be read prove nothing.
fn compare_with_views(
    folder: &Folder,
    access: Access,
    log: &Connection,
) -> Result<Option<VerifyFault>, StoreError> {
    let Some(number) = current_number(folder) else { return Ok(None) };
    let Ok(views) = VIEWS.open(&folder.file(&file_name(number)), access) else { return Ok(None) };
    let Ok(checkpoints) = checkpoints_of(&views) else { return Ok(None) };
    for (projection, checkpoint) in checkpoints {
        let stored = batch_hash_at(log, checkpoint.position)?;
        let Some(difference) = difference(checkpoint, stored) else { continue };
        let end = log_end(log)?.head;
        let reason = format!(
            "view `{projection}` has folded in more than the log holds: {difference}; \
             the log was truncated or replaced"
        );
        let good = end.position.min(checkpoint.position.saturating_sub(1));
        let batch = (checkpoint.position > end.position).then_some(end.batch + 1);
        return Ok(Some(VerifyFault { batch, page: None, last_good_position: good, reason }));
    }
    Ok(None)
}

fn statistics(folder: &Path) -> Result<LogCounts, StoreError> {
    let folder = Folder::existing(folder)?;
    let connection = LOG.open(&folder.log(), folder.read_access()?)?;
    count(&connection).map_err(|error| store_error(&error, "log.db"))
}

fn count(connection: &Connection) -> rusqlite::Result<LogCounts> {
    let transaction = connection.unchecked_transaction()?;
    let end = transaction
        .query_row(
            "SELECT last_position, number, hash, committed_at FROM batch \
             ORDER BY last_position DESC LIMIT 1",
            [],
            |row| {
                let hash = Hash(row.get(2)?);
                let head = LogHead { position: row.get(0)?, batch: row.get(1)?, hash };
                Ok((head, Timestamp::from_micros(row.get(3)?)))
            },
        )
        .optional()?;
    let first: Option<i64> = transaction
        .query_row("SELECT committed_at FROM batch ORDER BY last_position LIMIT 1", [], |row| {
            row.get(0)
        })
        .optional()?;
    let types = transaction
        .prepare(
            "SELECT name, (SELECT count(*) FROM event INDEXED BY event_by_type \
             WHERE type_id = event_type.id) FROM event_type ORDER BY name",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(LogCounts {
        head: end.map_or(LogHead { position: 0, batch: 0, hash: Hash::ZERO }, |(head, _)| head),
        streams: transaction.query_row("SELECT count(*) FROM stream", [], |row| row.get(0))?,
        types,
        first_committed_at: first.map(Timestamp::from_micros),
        last_committed_at: end.map(|(_, committed_at)| committed_at),
    })
}
