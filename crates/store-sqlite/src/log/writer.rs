//! The writer thread: the only one that writes the log.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use flexcore_ports::{AppendError, Clock, LogHead, StoreError, metric::AppendCounts};
use flume::Sender;
use rusqlite::{Connection, config::DbConfig};
use tokio::sync::{oneshot, watch};

use super::{
    group::{Group, Log, LogEnd},
    heads::Heads,
    interned::Interned,
    queue::{self, Queue},
    request::{Answer, Prepared, Reply, Request},
    statements::Statements,
    transfer::Import,
    wal::{Checkpoint, WalSize},
};
use crate::{
    error::{WriteFailure, reason, store_error, write_failure},
    lock::StoreLock,
};

/// What the thread shares with the store's handles.
#[derive(Debug)]
pub(crate) struct Published {
    head: Mutex<LogHead>,
    appended: watch::Sender<u64>,
}

impl Published {
    pub(crate) fn new(head: LogHead) -> Self {
        Self { head: Mutex::new(head), appended: watch::Sender::new(head.position) }
    }

    /// The end of the log.
    pub(crate) fn head(&self) -> LogHead {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes when the log grows.
    pub(crate) fn appended(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }

    /// Announces a new end.
    pub(crate) fn publish(&self, head: LogHead) {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
        self.appended.send_if_modified(|last| {
            let grown = *last != head.position;
            *last = head.position;
            grown
        });
    }
}

/// The thread and the way to it. Dropped, it waits until the thread has written everything.
#[derive(Debug)]
pub(crate) struct Writer {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

/// What a writer begins with.
pub(crate) struct WriterSetup {
    pub(crate) connection: Connection,
    pub(crate) end: LogEnd,
    pub(crate) published: Arc<Published>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Held until the thread ends.
    #[expect(dead_code, reason = "it is there to be dropped")]
    pub(crate) lock: Arc<StoreLock>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(setup: WriterSetup) -> std::io::Result<Self> {
        let (sender, receiver) = flume::bounded(queue::CAPACITY);
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || run(setup, Queue::new(receiver)))?;
        Ok(Self { requests: Some(sender), thread: Some(thread) })
    }

    /// Hands an append over and gives the receiver of its outcome.
    pub(crate) async fn send(&self, request: Request) -> Result<(), StoreError> {
        let sent = match &self.requests {
            Some(requests) => requests.send_async(request).await.is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { Err(closed()) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so; the log on disk is whole in any case.
            let _ = thread.join();
        }
    }
}

/// The answer to whoever comes after the end.
pub(crate) fn closed() -> StoreError {
    StoreError::Unavailable("the store was closed".to_owned())
}

fn run(mut setup: WriterSetup, mut queue: Queue) {
    let closing = serve(&mut setup, &mut queue);
    drop(queue);
    drop(setup);
    // Only now: who asked to close may open the store again at once.
    if let Some((reply, result)) = closing {
        let _ = reply.send(result);
    }
}

fn serve(setup: &mut WriterSetup, queue: &mut Queue) -> Option<Closing> {
    let wal = match WalSize::watch(&mut setup.connection) {
        Ok(wal) => wal,
        Err(error) => return refuse_all(queue, &StoreError::Poisoned(reason(&error))),
    };
    match Statements::prepare(&setup.connection) {
        Ok(rows) => {
            let log = Log {
                rows,
                heads: Heads::default(),
                interned: Interned::default(),
                end: setup.end,
            };
            let counts = AppendCounts::new();
            Thread { setup, log, wal, poison: None, counts }.serve(queue)
        }
        Err(error) => refuse_all(queue, &StoreError::Poisoned(reason(&error))),
    }
}

type Closing = (oneshot::Sender<Result<(), StoreError>>, Result<(), StoreError>);

fn refuse_all(queue: &mut Queue, error: &StoreError) -> Option<Closing> {
    while let Some(request) = queue.first() {
        match request {
            Request::Append(prepared, reply) => {
                let _ = reply.send(Answer { outcome: Err(error.clone().into()), prepared });
            }
            Request::Import(import) => {
                let _ = import.reply.send(Err(error.clone().into()));
            }
            Request::Close(reply) => return Some((reply, Err(error.clone()))),
        }
    }
    None
}

/// What comes after a group has been committed.
enum After {
    Close(oneshot::Sender<Result<(), StoreError>>),
    Import(Import),
}

struct Thread<'c> {
    setup: &'c WriterSetup,
    log: Log<'c>,
    wal: WalSize,
    poison: Option<StoreError>,
    counts: AppendCounts,
}

impl Thread<'_> {
    fn serve(&mut self, queue: &mut Queue) -> Option<Closing> {
        let mut closing = None;
        while closing.is_none()
            && let Some(first) = queue.first()
        {
            match self.commit_group(first, queue) {
                Some(After::Close(reply)) => closing = Some(reply),
                Some(After::Import(import)) => self.import(import),
                None => {}
            }
            self.maintain(queue.is_empty());
        }
        let result = self.finish();
        closing.map(|reply| (reply, result))
    }

    /// Takes appends for as long as there are some, commits them together and answers.
    ///
    /// Rows are written while further appends still arrive, so that the callers' work overlaps
    /// with the writer's.
    fn commit_group(&mut self, first: Request, queue: &mut Queue) -> Option<After> {
        let mut group = Group::default();
        let mut next = Some(first);
        let mut failed = None;
        let mut after = None;
        while let Some(request) = next.take() {
            match request {
                Request::Append(prepared, reply) => {
                    failed = self.take(prepared, reply, &mut group).err();
                }
                Request::Import(import) => after = Some(After::Import(import)),
                Request::Close(reply) => after = Some(After::Close(reply)),
            }
            if failed.is_none() && after.is_none() && !group.is_full() {
                next = queue.another(group.answers.len());
            }
        }
        let events = group.event_count();
        let start = Instant::now();
        let failed = failed.or_else(|| self.log.commit(&mut group, self.setup.clock.now()).err());
        let elapsed = start.elapsed();
        queue.committed(group.answers.len(), elapsed);
        self.count(&group, failed.is_some(), (events, elapsed));
        match failed {
            None => self.answer(group),
            Some(error) => self.fail(group, &error),
        }
        after
    }

    fn count(&self, group: &Group, has_failed: bool, (events, elapsed): (usize, Duration)) {
        if has_failed {
            return self.counts.answered(0, 0, group.answers.len());
        }
        if events > 0 {
            self.counts.batch(events, elapsed);
        }
        let (mut accepted, mut refused, mut failed) = (0, 0, 0);
        for (_, answer) in &group.answers {
            match answer.outcome {
                Ok(_) => accepted += 1,
                Err(AppendError::Conflict { .. } | AppendError::Fenced { .. }) => refused += 1,
                Err(_) => failed += 1,
            }
        }
        self.counts.answered(accepted, refused, failed);
    }

    fn take(
        &mut self,
        prepared: Prepared,
        reply: Reply,
        group: &mut Group,
    ) -> rusqlite::Result<()> {
        let (outcome, result) = if let Some(poison) = &self.poison {
            (Err(poison.clone().into()), Ok(()))
        } else {
            match self.log.take(&prepared, group) {
                Ok(outcome) => (outcome, Ok(())),
                // The outcome is replaced with the failure that the whole group shares.
                Err(error) => (Err(closed().into()), Err(error)),
            }
        };
        group.answers.push((reply, Answer { outcome, prepared }));
        result
    }

    fn answer(&self, group: Group) {
        self.setup.published.publish(self.log.end.head);
        for (reply, answer) in group.answers {
            // A caller that no longer waits will find its events by repeating the append.
            let _ = reply.send(answer);
        }
    }

    fn fail(&mut self, group: Group, error: &rusqlite::Error) {
        self.log.roll_back(&group);
        let failure = self.failure(error);
        for (reply, answer) in group.answers {
            let _ = reply.send(Answer { outcome: Err(failure.clone().into()), ..answer });
        }
    }

    /// What a failed write means to whoever wanted it, and for the store.
    fn failure(&mut self, error: &rusqlite::Error) -> StoreError {
        let place = format!("position {}", self.log.end.head.position + 1);
        let mut failure = store_error(error, place);
        if write_failure(error) == WriteFailure::Fatal {
            failure = StoreError::Poisoned(format!(
                "{}; restart the program, and check disk and log (`flexcore events verify`)",
                reason(error)
            ));
            tracing::error!(error = %failure, "the event log takes no more appends");
            self.poison = Some(failure.clone());
        }
        failure
    }

    /// Adds whole batches, as many as can be taken over, with one flush.
    fn import(&mut self, import: Import) {
        let Import { after, batches, reply } = import;
        let result = if let Some(poison) = &self.poison {
            Err(poison.clone().into())
        } else {
            let imported = self.log.import(after, batches);
            imported.unwrap_or_else(|error| Err(self.failure(&error).into()))
        };
        self.setup.published.publish(self.log.end.head);
        let _ = reply.send(result);
    }

    /// What is due after a group: rows of `stream`, and moving the WAL into the main file.
    fn maintain(&mut self, idle: bool) {
        if self.poison.is_some() {
            return;
        }
        let due = self.wal.due(idle);
        if due.is_none() && !self.log.heads.is_large() {
            return;
        }
        if let Err(error) = self.flush().and_then(|()| match due {
            Some(kind) => self.wal.checkpoint(&self.setup.connection, kind).map(drop),
            None => Ok(()),
        }) {
            self.after_failed_maintenance(&error);
        }
    }

    fn flush(&mut self) -> rusqlite::Result<()> {
        self.log.heads.flush(&mut self.log.rows, self.log.end.head.position)?;
        if self.log.heads.is_large() {
            self.log.heads.shrink();
        }
        Ok(())
    }

    fn after_failed_maintenance(&mut self, error: &rusqlite::Error) {
        tracing::warn!(error = %reason(error), "the event log's write-ahead log was not moved");
        if write_failure(error) == WriteFailure::Fatal {
            self.poison = Some(StoreError::Poisoned(reason(error)));
        }
    }

    /// Leaves a log whose last events lie in the main file, so that it can be read where nothing
    /// can be written.
    fn finish(&mut self) -> Result<(), StoreError> {
        if let Some(poison) = &self.poison {
            // What is on disk is unknown: the next start reads the WAL as it is.
            let connection = &self.setup.connection;
            let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            return Err(poison.clone());
        }
        self.flush()
            .and_then(|()| self.wal.checkpoint(&self.setup.connection, Checkpoint::Truncate))
            .map(drop)
            .map_err(|error| store_error(&error, "log.db"))
    }
}
