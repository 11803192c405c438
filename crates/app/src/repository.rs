//! Aggregates out of the log and back into it.

mod cache;
mod snapshot;

use flexcore_event_codec::{StoredEvent, StoredState};
use flexcore_eventsourcing::{
    Aggregate, Append, EventData, EventId, RecordedEvent, StreamName, fold,
};
use flexcore_ports::AppendError;

use crate::{RequestContext, Services, UseCaseError};
pub(crate) use cache::AggregateCache;
pub use snapshot::SnapshotPolicy;

/// A stream with fewer events is folded from its beginning: looking for a snapshot would cost more.
const SHORT_STREAM: usize = 64;

/// How many events one read of a stream gives.
pub(crate) const READ_PAGE: usize = 1_000;

/// How often a command is decided anew because the stream changed meanwhile.
pub(crate) const ATTEMPTS_ON_CONFLICT: usize = 16;

/// An aggregate as its stream has it now.
#[derive(Debug)]
pub(crate) struct Loaded<A> {
    /// Its state; `None`: the stream is empty.
    pub(crate) state: Option<A>,
    /// How many events the stream has.
    pub(crate) version: u64,
}

impl Services {
    /// The events of a stream from `from_version` on.
    pub(crate) async fn history(
        &self,
        stream: &StreamName,
        from_version: u64,
    ) -> Result<Vec<RecordedEvent>, UseCaseError> {
        let mut events = Vec::new();
        loop {
            let next = from_version + events.len() as u64;
            let page = self.ports.store.read_stream(stream, next, READ_PAGE).await?;
            let last = page.len() < READ_PAGE;
            events.extend(page);
            if last {
                return Ok(events);
            }
        }
    }

    /// An aggregate folded from its stream: from its snapshot on, if it is long and has one.
    pub(crate) async fn load<A>(&self, stream: &StreamName) -> Result<Loaded<A>, UseCaseError>
    where
        A: StoredState + Send,
        A::Event: Send,
    {
        // Most streams are short: one read is all that they cost.
        let short = self.snapshot_policy.every.map_or(SHORT_STREAM, |every| {
            usize::try_from(every).unwrap_or(SHORT_STREAM).clamp(1, SHORT_STREAM)
        });
        let beginning = self.ports.store.read_stream(stream, 1, short).await?;
        let is_short = beginning.len() < short;
        let mut known = Loaded { state: None, version: 0 };
        if !is_short {
            known = self.snapshot_of(stream).await;
        }
        let mut from = known.version;
        let mut loaded = if known.version == 0 {
            fold_in(stream, known, &beginning)?
        } else {
            match self.load_on(stream, known).await {
                // The snapshot may be what is wrong.
                Err(UseCaseError::IllegalHistory { .. }) => {
                    from = 0;
                    fold_in(stream, Loaded { state: None, version: 0 }, &beginning)?
                }
                loaded => loaded?,
            }
        };
        if !is_short && from == 0 {
            loaded = self.load_on(stream, loaded).await?;
        }
        self.keep_snapshot(stream, &loaded, loaded.version - from);
        Ok(loaded)
    }

    /// An aggregate folded on from what is known of it already.
    pub(crate) async fn load_on<A>(
        &self,
        stream: &StreamName,
        known: Loaded<A>,
    ) -> Result<Loaded<A>, UseCaseError>
    where
        A: Aggregate,
        A::Event: StoredEvent,
    {
        let recorded = self.history(stream, known.version + 1).await?;
        fold_in(stream, known, &recorded)
    }

    /// The stored form of events, each with a new id and the time `now`.
    pub(crate) fn envelopes<E: StoredEvent>(
        &self,
        context: &RequestContext,
        events: &[E],
    ) -> Vec<EventData> {
        let shared = context.of_events();
        let now = self.ports.clock.now();
        let envelope = |event: &E| {
            let encoded = event.encode();
            EventData {
                id: EventId(self.ports.ids.next()),
                type_name: encoded.type_name.into(),
                schema_version: encoded.schema_version,
                occurred_at: now,
                context: shared.clone(),
                payload: encoded.payload,
            }
        };
        events.iter().map(envelope).collect()
    }

    /// Loads, decides and appends; decides anew when the stream changed meanwhile. Gives back the
    /// log's position after it, 0 if there was nothing to change.
    pub(crate) async fn change<A>(
        &self,
        context: &RequestContext,
        stream: &StreamName,
        command: &A::Command,
    ) -> Result<u64, UseCaseError>
    where
        A: StoredState + Send + Sync,
        A::Command: Sync,
        A::Event: StoredEvent + Send + Sync,
        UseCaseError: From<A::Rejection>,
    {
        for _ in 0..ATTEMPTS_ON_CONFLICT {
            let Loaded { state, version } = self.load::<A>(stream).await?;
            let events = A::decide(state.as_ref(), command, self.ports.clock.now())?;
            if events.is_empty() {
                return Ok(0);
            }
            let events = self.envelopes(context, &events);
            match self.append(context, Append::to(stream.clone(), version, events)).await {
                Ok(appended) => return Ok(appended.last_position),
                Err(AppendError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(UseCaseError::Busy { stream: stream.clone() })
    }
}

/// Folds recorded events on what is known.
pub(crate) fn fold_in<A>(
    stream: &StreamName,
    known: Loaded<A>,
    recorded: &[RecordedEvent],
) -> Result<Loaded<A>, UseCaseError>
where
    A: Aggregate,
    A::Event: StoredEvent,
{
    let events = decode::<A::Event>(stream, recorded)?;
    let version = known.version + events.len() as u64;
    let state = fold(known.state, known.version + 1, &events)
        .map_err(|source| UseCaseError::IllegalHistory { stream: stream.clone(), source })?;
    Ok(Loaded { state, version })
}

/// Domain events out of stored ones.
pub(crate) fn decode<E: StoredEvent>(
    stream: &StreamName,
    recorded: &[RecordedEvent],
) -> Result<Vec<E>, UseCaseError> {
    let one = |recorded: &RecordedEvent| {
        let event = &recorded.event;
        E::decode(&event.type_name, event.schema_version, &event.payload).map_err(|source| {
            UseCaseError::Undecodable { stream: stream.clone(), version: recorded.version, source }
        })
    };
    recorded.iter().map(one).collect()
}
