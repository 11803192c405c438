//! The port's implementation over the writer thread and the readers.

use std::sync::{Arc, atomic::AtomicUsize};

use async_trait::async_trait;
use flexcore_eventsourcing::{Append, Hash, RecordedEvent, StreamName, Timestamp};
use flexcore_ports::{
    AppendError, Appended, Clock, EventStore, LogBatch, LogHead, ReadFilter, StoreError,
    TransferError,
};
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::{
    queue, read,
    request::{Answer, Prepared, Request},
    roll_forward::{log_end, roll_forward},
    schema::LOG,
    transfer::Import,
    writer::{Published, Writer, WriterSetup, closed},
};
use crate::{
    connection::Access, folder::Folder, lock::StoreLock, open_error::OpenError, readers::Readers,
};

/// A read of at most so many events of a stream is done on the thread that asks.
const BRIEF: usize = 64;

/// The event log on SQLite, with one writer thread for all callers.
///
/// Opened for reading, it sees what another process commits; [`EventStore::appended`] then changes
/// when [`EventStore::head`] is asked and finds that the log has grown.
#[derive(Debug)]
pub struct SqliteEventStore {
    readers: Readers,
    published: Arc<Published>,
    /// `None`: opened for reading.
    writer: Option<Writer>,
    waiting: AtomicUsize,
}

impl SqliteEventStore {
    /// Opens the log for writing, creates it if it is missing, and brings it up to its end after a
    /// crash.
    pub(crate) fn for_writing(
        folder: &Folder,
        lock: Arc<StoreLock>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let file = folder.create_private("log.db")?;
        let connection = LOG.open(&file, Access::Write)?;
        let end = roll_forward(&connection).map_err(|error| located(folder, error))?;
        let published = Arc::new(Published::new(end.head));
        let setup = WriterSetup { connection, end, published: Arc::clone(&published), clock, lock };
        let writer = Writer::start(setup).map_err(|error| OpenError::io(&file, error))?;
        Ok(Self {
            readers: Readers::new(&LOG, file, Access::Read),
            published,
            writer: Some(writer),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Opens the log for reading.
    pub(crate) fn for_reading(folder: &Folder, access: Access) -> Result<Self, OpenError> {
        let readers = Readers::new(&LOG, folder.log(), access);
        // The first connection says at once whether this is a log that we can read.
        drop(LOG.open(&folder.log(), access)?);
        let head = readers
            .run_blocking(|reader| log_end(&reader.connection))
            .map_err(|error| located(folder, error))?
            .head;
        let published = Arc::new(Published::new(head));
        Ok(Self { readers, published, writer: None, waiting: AtomicUsize::new(0) })
    }

    /// Connections for reading.
    pub(crate) fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Commits what was handed over, moves everything into the main file and stops the thread.
    ///
    /// # Errors
    /// [`StoreError`] if the write-ahead log could not be moved; nothing is lost then.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        // Readers first: they would keep the write-ahead log from being emptied.
        self.readers.close();
        let Some(writer) = &self.writer else { return Ok(()) };
        let (reply, answer) = oneshot::channel();
        if writer.send(Request::Close(reply)).await.is_err() {
            return Ok(()); // closed before
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn hand_over(&self, append: Append) -> Result<Appended, AppendError> {
        let Some(writer) = &self.writer else {
            return Err(StoreError::Unavailable("it is open for reading only".to_owned()).into());
        };
        let prepared = Prepared::new(append)?;
        let (reply, answer) = oneshot::channel();
        writer.send(Request::Append(prepared, reply)).await?;
        match queue::answer(answer, &self.waiting).await {
            Ok(Answer { outcome, prepared }) => {
                drop(prepared);
                outcome
            }
            Err(_) => Err(closed().into()),
        }
    }

    /// Adds batches that were checked to follow `after`.
    pub(crate) async fn import(
        &self,
        after: LogHead,
        batches: Vec<LogBatch>,
    ) -> Result<LogHead, TransferError> {
        let Some(writer) = &self.writer else {
            return Err(StoreError::Unavailable("it is open for reading only".to_owned()).into());
        };
        let (reply, answer) = oneshot::channel();
        writer.send(Request::Import(Import { after, batches, reply })).await?;
        answer.await.unwrap_or_else(|_| Err(closed().into()))
    }

    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.run(|reader| job(&reader.connection)).await
    }
}

#[async_trait]
impl EventStore for SqliteEventStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.hand_over(append).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from_version: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        // Most streams that a request asks for are short, and their pages are in memory.
        if limit <= BRIEF {
            return self
                .readers
                .run_briefly(|reader| read::read_stream(reader, stream, from_version, limit));
        }
        let stream = stream.clone();
        self.readers
            .run(move |reader| read::read_stream(reader, &stream, from_version, limit))
            .await
    }

    async fn read_all(
        &self,
        after: u64,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let filter = filter.clone();
        self.readers.run(move |reader| read::read_all(reader, after, limit, &filter)).await
    }

    async fn position_at(&self, time: Timestamp) -> Result<u64, StoreError> {
        self.read(move |connection| read::position_at(connection, time)).await
    }

    async fn head(&self) -> Result<LogHead, StoreError> {
        if self.writer.is_none() {
            // Another process may have written since.
            let head = self.read(|connection| Ok(log_end(connection)?.head)).await?;
            self.published.publish(head);
        }
        Ok(self.published.head())
    }

    async fn batch_hash_at(&self, position: u64) -> Result<Option<Hash>, StoreError> {
        self.read(move |connection| read::batch_hash_at(connection, position)).await
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.published.appended()
    }
}

impl Drop for SqliteEventStore {
    fn drop(&mut self) {
        // As in `close`; the writer ends when its queue does, just after this.
        self.readers.close();
    }
}

fn located(folder: &Folder, error: StoreError) -> OpenError {
    match error {
        StoreError::Corrupt { place, reason } => {
            OpenError::Corrupt { file: folder.log(), reason: format!("{place}: {reason}") }
        }
        other => OpenError::io(&folder.log(), other),
    }
}
