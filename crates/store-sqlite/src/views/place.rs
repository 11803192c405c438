//! Where the rows of views are: a file, or memory where nothing can be written.

use std::sync::{Arc, Mutex, PoisonError};

use flexcore_ports::StoreError;
use rusqlite::Connection;

use super::{files, schema::VIEWS};
use crate::{
    connection::Access, error::store_error, folder::Folder, open_error::OpenError, readers::Readers,
};

/// One set of views.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The file's number; `None` in memory.
    pub(crate) number: Option<u32>,
    /// `None`: open for reading only, or closed.
    writer: Option<Arc<Mutex<Option<Connection>>>>,
    /// `None`: in memory, where there is only the writer.
    readers: Option<Readers>,
}

impl Place {
    /// A file that is written and read.
    pub(crate) fn writable(folder: &Folder, number: u32, connection: Connection) -> Self {
        let file = folder.file(&files::name(number));
        Self {
            number: Some(number),
            writer: Some(Arc::new(Mutex::new(Some(connection)))),
            readers: Some(Readers::new(&VIEWS, file, Access::Read)),
        }
    }

    /// A file that another process may write.
    pub(crate) fn readable(folder: &Folder, number: u32) -> Result<Self, OpenError> {
        let file = folder.file(&files::name(number));
        drop(VIEWS.open(&file, Access::Read)?);
        let readers = Some(Readers::new(&VIEWS, file, Access::Read));
        Ok(Self { number: Some(number), writer: None, readers })
    }

    /// Empty views in memory.
    pub(crate) fn in_memory(folder: &Folder) -> Result<Self, OpenError> {
        let connection =
            VIEWS.in_memory().map_err(|error| OpenError::sqlite(folder.path(), &error))?;
        let writer = Some(Arc::new(Mutex::new(Some(connection))));
        Ok(Self { number: None, writer, readers: None })
    }

    /// Whether it is a file that this process writes.
    pub(crate) fn is_writable(&self) -> bool {
        self.number.is_some() && self.writer.is_some()
    }

    /// Runs `job` on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.readers {
            Some(readers) => readers.run(|reader| job(&reader.connection)).await,
            None => self.with_writer(job).await,
        }
    }

    /// Runs `job` in a transaction, on a thread that may block.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let transaction = move |connection: &Connection| {
            let transaction = connection.unchecked_transaction()?;
            let result = job(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        self.with_writer(move |connection| {
            transaction(connection).map_err(|error| store_error(&error, "the views"))
        })
        .await
    }

    /// Closes the connections: the last one moves the file's write-ahead log into it.
    pub(crate) fn close(&self) {
        if let Some(readers) = &self.readers {
            readers.close();
        }
        if let Some(writer) = &self.writer {
            drop(writer.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }

    async fn with_writer<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let unavailable = |reason: &str| StoreError::Unavailable(reason.to_owned());
        let writer = self.writer.clone();
        let writer = writer.ok_or_else(|| unavailable("the views are open for reading only"))?;
        let finished = tokio::task::spawn_blocking(move || {
            match &*writer.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(connection) => job(connection),
                None => Err(unavailable("the views were closed")),
            }
        });
        finished.await.unwrap_or_else(|error| Err(unavailable(&error.to_string())))
    }
}
