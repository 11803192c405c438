//! The port's implementation over the batcher and the readers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use flexcore_eventsourcing::{Append, Hash, RecordedEvent, StreamName, Timestamp};
use flexcore_ports::{AppendError, Appended, EventStore, LogHead, ReadFilter, StoreError};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    time::timeout,
};

use super::{
    answers::{Answer, Outcome, Request, written},
    batcher::{Batcher, CAPACITY, Message},
    lane::Lane,
    names::Names,
    partitions::Partitions,
    prepared::Prepared,
    published::Published,
    read::Reader,
    resolve::resolve,
    tailer::Tailer,
    transfer::PostgresLogTransfer,
};
use crate::{OpenError, connection::Pool};

/// How often an append that was refused although nothing speaks against it is tried again.
const TURNS: usize = 100;
/// The first and the longest pause before the streams of a refused append are looked at again.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// The event log on PostgreSQL.
#[derive(Debug)]
pub struct PostgresEventStore {
    reader: Arc<Reader>,
    published: Arc<Published>,
    /// `None`: opened for reading.
    batcher: Option<mpsc::Sender<Message>>,
    tailer: Tailer,
    deadline: Duration,
}

impl PostgresEventStore {
    pub(crate) async fn open(
        pool: &Pool,
        lanes: Option<usize>,
        deadline: Duration,
    ) -> Result<Self, OpenError> {
        let reader = Arc::new(Reader::new(pool.clone()));
        let failed = |error: StoreError| OpenError::Failed {
            server: pool.connector().server().to_owned(),
            reason: error.to_string(),
        };
        let published = Arc::new(Published::new(reader.head().await.map_err(failed)?));
        let batcher = match lanes {
            None => None,
            Some(lanes) => {
                let partitions = Partitions::new(pool.clone());
                let client = pool.get().await.map_err(failed)?;
                let ensured = partitions.ensure(&client, 0).await;
                ensured.map_err(|error| failed(crate::error::store_error(&error)))?;
                Some(start_batcher(pool, lanes, deadline, &partitions, &published))
            }
        };
        let tailer = Tailer::start(pool.connector(), Arc::clone(&published));
        Ok(Self { reader, published, batcher, tailer, deadline })
    }

    /// Copies the log.
    pub(crate) fn transfer(&self) -> PostgresLogTransfer {
        PostgresLogTransfer::new(Arc::clone(&self.reader), Arc::clone(&self.published))
    }

    /// Commits what was handed over, and takes no more.
    pub(crate) async fn close(&self) {
        self.tailer.stop();
        let Some(batcher) = &self.batcher else { return };
        let (reply, closed) = oneshot::channel();
        if batcher.send(Message::Close(reply)).await.is_ok() {
            // An error means that the task is gone already.
            let _ = closed.await;
        }
    }

    async fn hand_over(&self, mut prepared: Prepared) -> Result<Appended, AppendError> {
        for turn in 0..TURNS {
            if !prepared.is_contradictory {
                let answer = self.ask(prepared, turn > 0).await?;
                match answer.outcome {
                    Outcome::Written(position) => return Ok(written(position)),
                    Outcome::Failed(error) => return Err(error),
                    Outcome::Refused => prepared = answer.prepared,
                }
            }
            if let Some(outcome) = self.why_refused(&prepared).await? {
                return outcome;
            }
        }
        let reason = "its streams change faster than it can be appended; try again";
        Err(StoreError::Unavailable(reason.to_owned()).into())
    }

    /// Looks at the streams of a refused append, and looks again if the connection was lost: an
    /// attempt before the one that was refused may have been the one that wrote it.
    async fn why_refused(
        &self,
        prepared: &Prepared,
    ) -> Result<Option<Result<Appended, AppendError>>, StoreError> {
        let is_open = || self.batcher.as_ref().is_some_and(|batcher| !batcher.is_closed());
        let (since, mut pause) = (Instant::now(), LOOK_AGAIN.0);
        loop {
            let look = async { resolve(&*self.reader.pool().get().await?, prepared).await };
            match look.await {
                Err(StoreError::Unavailable(reason)) if is_open() => {
                    if since.elapsed() + pause > self.deadline {
                        return Err(StoreError::Unavailable(format!(
                            "{reason}; whether it was written is not known; repeating the same \
                             append is safe"
                        )));
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LOOK_AGAIN.1);
                }
                result => return result,
            }
        }
    }

    async fn ask(&self, prepared: Prepared, is_again: bool) -> Result<Answer, AppendError> {
        let Some(batcher) = &self.batcher else {
            return Err(StoreError::Unavailable("it is open for reading only".to_owned()).into());
        };
        let (reply, answer) = oneshot::channel();
        let request = Request { prepared, reply, is_again, was_deferred: false };
        let place = match batcher.try_reserve() {
            Ok(place) => place,
            Err(_) => match timeout(self.deadline, batcher.reserve()).await {
                Ok(Ok(place)) => place,
                Ok(Err(_)) => return Err(closed().into()),
                Err(_) => return Err(overloaded(self.deadline).into()),
            },
        };
        place.send(Message::Append(request));
        answer.await.map_err(|_| closed().into())
    }
}

fn start_batcher(
    pool: &Pool,
    lanes: usize,
    deadline: Duration,
    partitions: &Partitions,
    published: &Arc<Published>,
) -> mpsc::Sender<Message> {
    let names = Arc::new(Mutex::new(Names::default()));
    let lane = |_| Lane::new(pool.connector(), Arc::clone(&names), partitions.clone(), deadline);
    let (sender, messages) = mpsc::channel(CAPACITY);
    let batcher = Batcher {
        messages,
        lanes: (0..lanes).map(lane).collect(),
        published: Arc::clone(published),
    };
    tokio::spawn(batcher.run());
    sender
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store was closed".to_owned())
}

fn overloaded(after: Duration) -> StoreError {
    StoreError::Unavailable(format!(
        "overloaded: {CAPACITY} appends are waiting, and no room came free within {} s; \
         nothing was written",
        after.as_secs()
    ))
}

#[async_trait]
impl EventStore for PostgresEventStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.hand_over(Prepared::new(append)?).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from_version: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.reader.stream(stream, from_version, limit).await
    }

    async fn read_all(
        &self,
        after: u64,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.reader.all(after, limit, filter).await
    }

    async fn position_at(&self, time: Timestamp) -> Result<u64, StoreError> {
        self.reader.position_at(time).await
    }

    async fn head(&self) -> Result<LogHead, StoreError> {
        // Others may have appended since.
        let head = self.reader.head().await?;
        self.published.publish(head);
        Ok(head)
    }

    async fn batch_hash_at(&self, position: u64) -> Result<Option<Hash>, StoreError> {
        self.reader.batch_hash_at(position).await
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.published.appended()
    }
}

#[cfg(test)]
mod tests;
