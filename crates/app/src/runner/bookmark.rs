//! The bookmark of a running sync: what the target confirmed becomes an event.
//!
//! States are merged per Singer stream onto the former bookmark. An empty state and one that goes
//! back are refused and recorded as such. Newer states are coalesced to at most one append a
//! second, and the last one is always appended. Each append guards the execution's stream with the
//! owner's epoch: a sync whose execution was taken over can no longer move its bookmark.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use flexcore_domain::{
    DataStream, ExecutionId, JsonText, StepCounts,
    data_stream::{DataStreamCommand, DataStreamEvent, SyncPlugins},
};
use flexcore_eventsourcing::{Aggregate, Append, Hash, StreamName, fold};
use flexcore_ports::{
    AppendError, AttemptLog, LogSource,
    attempt::{BookmarkRefused, Progress},
    metric,
};
use flexcore_singer::State;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{Ownership, attempt::AttemptTask};
use crate::{RequestContext, Services, UseCaseError, repository::Loaded};

/// How far a recorded bookmark may be behind what the target confirmed.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often an append is tried again because the execution's stream moved on meanwhile.
const ATTEMPTS_ON_CONFLICT: usize = 64;

/// What an attempt starts from.
#[derive(Debug)]
pub(super) struct Start {
    /// The bookmark.
    pub(super) state: Option<State>,
    /// SHA-256 (hex) of the STATE line that this execution committed last.
    pub(super) committed: Option<String>,
}

/// Keeps the bookmark of one running sync.
pub(super) struct BookmarkKeeper {
    recorder: Arc<Recorder>,
    records: AtomicU64,
    bytes: AtomicU64,
    log: Arc<dyn AttemptLog>,
}

/// What is shared with the task that appends a pending state when its time has come.
struct Recorder {
    services: Arc<Services>,
    context: RequestContext,
    ownership: Ownership,
    stream: StreamName,
    execution: ExecutionId,
    memory: tokio::sync::Mutex<Memory>,
    /// Set when an append in the background failed: the attempt must end with it.
    failure: Mutex<Option<BookmarkRefused>>,
}

/// The data stream as the log has it, and what is not recorded yet.
struct Memory {
    data_stream: DataStream,
    version: u64,
    /// The newest merged state and the hash of its line.
    pending: Option<(State, Hash)>,
    last_append: Option<Instant>,
    flush_is_due: bool,
}

impl BookmarkKeeper {
    /// Holds the data stream for the task's execution.
    pub(super) async fn hold(
        task: &AttemptTask,
        stream: StreamName,
        plugins: SyncPlugins,
        log: Arc<dyn AttemptLog>,
    ) -> Result<(Self, Start), UseCaseError> {
        let services = Arc::clone(task.services());
        let execution = task.execution.id;
        let Loaded { state, version } = services.load::<DataStream>(&stream).await?;
        let data_stream = state.unwrap_or_default();
        let other = data_stream.holder.filter(|holder| *holder != execution);
        let former_is_gone = match other {
            Some(former) => services.live_owner(former).await?.is_none(),
            None => true,
        };
        let recorder = Recorder {
            services,
            context: task.context.clone(),
            ownership: task.ownership.clone(),
            stream,
            execution,
            memory: tokio::sync::Mutex::new(Memory {
                data_stream,
                version,
                pending: None,
                last_append: None,
                flush_is_due: false,
            }),
            failure: Mutex::new(None),
        };
        let mut memory = recorder.memory.lock().await;
        let hold = DataStreamCommand::Hold { execution, plugins, former_is_gone };
        recorder.record(&mut memory, hold).await?;
        let bookmark = memory.data_stream.bookmark.as_ref();
        let state = bookmark.map(|bookmark| State::parse(bookmark.state.as_str())).transpose();
        let state = state.map_err(|error| {
            UseCaseError::refused(format!("the stored bookmark cannot be read: {error}"))
        })?;
        let own = bookmark.filter(|bookmark| bookmark.execution == Some(execution));
        let committed = own.and_then(|bookmark| bookmark.line).map(|line| line.to_string());
        drop(memory);
        let recorder = Arc::new(recorder);
        let (records, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok((Self { recorder, records, bytes, log }, Start { state, committed }))
    }

    /// Takes over the newest counts.
    pub(super) fn count(&self, progress: &Progress) {
        let more =
            |known: &AtomicU64, now: u64| now.saturating_sub(known.swap(now, Ordering::Relaxed));
        let (records, bytes) =
            (more(&self.records, progress.records), more(&self.bytes, progress.bytes));
        metrics::counter!(metric::SYNC_RECORDS.name).increment(records);
        metrics::counter!(metric::SYNC_BYTES.name).increment(bytes);
    }

    /// The newest counts.
    pub(super) fn counts(&self) -> StepCounts {
        StepCounts {
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// The target confirmed a STATE line.
    pub(super) async fn state_confirmed(&self, line: &[u8]) -> Result<(), BookmarkRefused> {
        self.recorder.must_not_have_failed()?;
        let text = std::str::from_utf8(line).ok();
        let Some(newer) = text.and_then(|text| State::parse(text).ok()) else {
            return self.refuse("the target confirmed something that is no state").await;
        };
        self.holds_no_secret("the bookmark", text.unwrap_or_default())?;
        let mut memory = self.recorder.memory.lock().await;
        let known = memory.newest()?;
        if newer.is_empty() && !known.is_empty() {
            drop(memory);
            return self.refuse("the target confirmed an empty state").await;
        }
        if let Some(regression) = known.regressions(&newer).first() {
            let reason = format!(
                "the bookmark of stream `{}` would go back at {} from {} to {}",
                regression.stream, regression.path, regression.from, regression.to
            );
            drop(memory);
            return self.refuse(&reason).await;
        }
        let mut merged = known;
        merged.merge(&newer);
        let hash = Hash(Sha256::digest(line).into());
        memory.pending = Some((merged, hash));
        let due = memory.last_append.map(|last| last + INTERVAL);
        match due.filter(|due| *due > Instant::now()) {
            None => self.recorder.append_pending(&mut memory).await.map_err(|error| lost(&error)),
            Some(due) => {
                if !memory.flush_is_due {
                    memory.flush_is_due = true;
                    tokio::spawn(Arc::clone(&self.recorder).append_at(due));
                }
                Ok(())
            }
        }
    }

    /// A SCHEMA line was seen.
    pub(super) async fn schema_observed(
        &self,
        stream: &str,
        line: &[u8],
    ) -> Result<(), BookmarkRefused> {
        let message: Option<Value> = serde_json::from_slice(line).ok();
        let Some(schema) = message.and_then(|message| message.get("schema").cloned()) else {
            return Ok(());
        };
        self.holds_no_secret(&format!("the schema of stream `{stream}`"), &schema.to_string())?;
        let mut memory = self.recorder.memory.lock().await;
        let observe = DataStreamCommand::Observe { stream: stream.to_owned(), schema };
        self.recorder.record(&mut memory, observe).await.map_err(|error| lost(&error))
    }

    /// Records what is pending.
    pub(super) async fn flush(&self) -> Result<(), UseCaseError> {
        let mut memory = self.recorder.memory.lock().await;
        self.recorder.append_pending(&mut memory).await
    }

    /// Records what is pending and that the sync ended.
    pub(super) async fn finish(&self, counts: StepCounts) -> Result<(), UseCaseError> {
        let mut memory = self.recorder.memory.lock().await;
        self.recorder.append_pending(&mut memory).await?;
        let execution = self.recorder.execution;
        let record = DataStreamCommand::Record { execution, counts };
        self.recorder.record(&mut memory, record).await
    }

    /// The sync's output with the bookmark of each of its streams.
    pub(super) async fn add_bookmarks(&self, mut output: Value) -> Value {
        let memory = self.recorder.memory.lock().await;
        let state = memory.newest().unwrap_or_default();
        let streams = output.get_mut("streams").and_then(Value::as_object_mut);
        for (name, stream) in streams.into_iter().flatten() {
            if let (Some(bookmark), Some(stream)) = (state.stream(name), stream.as_object_mut()) {
                stream.insert("bookmark".to_owned(), bookmark.to_value());
            }
        }
        output
    }

    /// Events are read forever, and a bookmark that was masked would be another one.
    fn holds_no_secret(&self, what: &str, text: &str) -> Result<(), BookmarkRefused> {
        if !self.recorder.services.ports.secrets.mask().finds(text) {
            return Ok(());
        }
        let message = format!(
            "{what} holds the value of a secret, and it would be part of an event that is read \
             forever [FC0683]; look for a setting with which the tap leaves it out"
        );
        Err(BookmarkRefused { message })
    }

    async fn refuse(&self, reason: &str) -> Result<(), BookmarkRefused> {
        let reason = self.recorder.services.ports.secrets.mask().apply(reason).into_owned();
        self.log.line(LogSource::Runner, &format!("bookmark refused: {reason}"));
        let mut memory = self.recorder.memory.lock().await;
        let execution = self.recorder.execution;
        let refuse = DataStreamCommand::Refuse { execution, reason };
        self.recorder.record(&mut memory, refuse).await.map_err(|error| lost(&error))
    }
}

impl Memory {
    /// The newest state, recorded or not.
    fn newest(&self) -> Result<State, BookmarkRefused> {
        if let Some((state, _)) = &self.pending {
            return Ok(state.clone());
        }
        let Some(bookmark) = &self.data_stream.bookmark else {
            return Ok(State::default());
        };
        State::parse(bookmark.state.as_str())
            .map_err(|error| BookmarkRefused { message: format!("the stored bookmark: {error}") })
    }
}

impl Recorder {
    fn must_not_have_failed(&self) -> Result<(), BookmarkRefused> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone().map_or(Ok(()), Err)
    }

    /// Appends what is pending once `due` has come.
    async fn append_at(self: Arc<Self>, due: Instant) {
        tokio::time::sleep_until(due).await;
        let mut memory = self.memory.lock().await;
        memory.flush_is_due = false;
        if let Err(error) = self.append_pending(&mut memory).await {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            *failure = Some(lost(&error));
        }
    }

    async fn append_pending(&self, memory: &mut Memory) -> Result<(), UseCaseError> {
        let Some((state, line)) = memory.pending.clone() else {
            return Ok(());
        };
        let state = JsonText(state.to_string());
        let advance = DataStreamCommand::Advance { execution: self.execution, state, line };
        self.record(memory, advance).await?;
        memory.pending = None;
        memory.last_append = Some(Instant::now());
        Ok(())
    }

    /// Decides and appends, guarded by the owner's epoch on the execution's stream.
    async fn record(
        &self,
        memory: &mut Memory,
        command: DataStreamCommand,
    ) -> Result<(), UseCaseError> {
        for _ in 0..ATTEMPTS_ON_CONFLICT {
            let now = self.services.ports.clock.now();
            let events = DataStream::decide(Some(&memory.data_stream), &command, now)?;
            if events.is_empty() {
                return Ok(());
            }
            let next =
                fold(Some(memory.data_stream.clone()), memory.version + 1, &events).map_err(
                    |source| UseCaseError::IllegalHistory { stream: self.stream.clone(), source },
                )?;
            let count = events.len() as u64;
            let envelopes = self.services.envelopes(&self.context, &events);
            let guard = self.ownership.guard.load(Ordering::Acquire);
            let append = Append::to(self.stream.clone(), memory.version, envelopes).guarded(
                self.ownership.stream.clone(),
                guard,
                Some(self.ownership.epoch),
            );
            match self.services.ports.store.append(append).await {
                Ok(_) => {
                    let moved = |event: &DataStreamEvent| {
                        matches!(event, DataStreamEvent::BookmarkAdvanced { .. })
                    };
                    let bookmarks = events.iter().filter(|event| moved(event)).count() as u64;
                    metrics::counter!(metric::BOOKMARKS.name).increment(bookmarks);
                    memory.data_stream = next.unwrap_or_default();
                    memory.version += count;
                    return Ok(());
                }
                Err(AppendError::Conflict { stream, actual, .. }) => {
                    self.catch_up(memory, &stream, actual).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(UseCaseError::Busy { stream: self.stream.clone() })
    }

    /// After a conflict: either the execution moved on, which only the fence minds, or somebody
    /// changed the bookmark by hand.
    async fn catch_up(
        &self,
        memory: &mut Memory,
        conflict: &StreamName,
        actual: u64,
    ) -> Result<(), UseCaseError> {
        if *conflict == self.ownership.stream {
            self.ownership.guard.fetch_max(actual, Ordering::AcqRel);
            return Ok(());
        }
        let known = Loaded { state: Some(memory.data_stream.clone()), version: memory.version };
        let loaded = self.services.load_on(&self.stream, known).await?;
        memory.data_stream = loaded.state.unwrap_or_default();
        memory.version = loaded.version;
        Ok(())
    }
}

fn lost(error: &UseCaseError) -> BookmarkRefused {
    BookmarkRefused { message: format!("the bookmark cannot be recorded: {error}") }
}
