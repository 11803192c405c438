//! Aggregates that nearly every request needs, as they were when they were folded last.
//!
//! Nothing here is believed without a look: each use asks the log for what came after. What is
//! saved is reading, decoding and folding what did not change.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use flexcore_event_codec::{StoredEvent, StoredState};
use flexcore_eventsourcing::StreamName;

use super::{Loaded, SHORT_STREAM};
use crate::{Services, UseCaseError};

/// How many aggregates are kept. When there are more, all are let go of: those that are needed are
/// soon there again.
const CAPACITY: usize = 1_024;

/// Aggregates by their streams.
#[derive(Default)]
pub(crate) struct AggregateCache {
    entries: Mutex<HashMap<StreamName, Entry>>,
}

#[derive(Clone)]
struct Entry {
    state: Arc<dyn Any + Send + Sync>,
    version: u64,
}

impl AggregateCache {
    fn get<A: Send + Sync + 'static>(&self, stream: &StreamName) -> Option<(Arc<A>, u64)> {
        let Entry { state, version } = self.entries().get(stream)?.clone();
        Some((state.downcast().ok()?, version))
    }

    pub(crate) fn keep<A: Send + Sync + 'static>(
        &self,
        stream: &StreamName,
        state: &Arc<A>,
        version: u64,
    ) {
        let mut entries = self.entries();
        if entries.len() >= CAPACITY && !entries.contains_key(stream) {
            entries.clear();
        }
        entries.insert(stream.clone(), Entry { state: Arc::clone(state) as _, version });
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<StreamName, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AggregateCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AggregateCache").finish_non_exhaustive()
    }
}

impl Services {
    /// An aggregate as its stream has it now, to be read and not to be changed: folded on from
    /// what is known of it since the last time.
    pub(crate) async fn load_shared<A>(
        &self,
        stream: &StreamName,
    ) -> Result<Loaded<Arc<A>>, UseCaseError>
    where
        A: StoredState + Clone + Send + Sync + 'static,
        A::Event: StoredEvent + Send,
    {
        let Some((state, version)) = self.aggregates.get::<A>(stream) else {
            let loaded = self.load::<A>(stream).await?;
            return Ok(self.shared(stream, loaded));
        };
        let newer = self.ports.store.read_stream(stream, version + 1, SHORT_STREAM).await?;
        if newer.is_empty() {
            return Ok(Loaded { state: Some(state), version });
        }
        let known = Loaded { state: Some(A::clone(&state)), version };
        let loaded = self.load_on(stream, known).await?;
        Ok(self.shared(stream, loaded))
    }

    fn shared<A>(&self, stream: &StreamName, loaded: Loaded<A>) -> Loaded<Arc<A>>
    where
        A: Send + Sync + 'static,
    {
        let Loaded { state, version } = loaded;
        let state = state.map(Arc::new);
        if let Some(state) = &state {
            self.aggregates.keep(stream, state, version);
        }
        Loaded { state, version }
    }
}
