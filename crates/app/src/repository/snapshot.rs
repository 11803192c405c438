//! States that were stored, so that a long stream need not be folded from its beginning.
//!
//! A snapshot is a convenience: one that is missing, damaged, of another version, or not to be
//! folded on from leads to a fold from the beginning and never to an error.

use flexcore_event_codec::StoredState;
use flexcore_eventsourcing::StreamName;
use flexcore_ports::Snapshot;

use super::Loaded;
use crate::Services;

/// How often states of aggregates are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// A state is stored when this many events were folded beyond the snapshot before it; `None`:
    /// never.
    pub every: Option<u64>,
}

impl SnapshotPolicy {
    /// Nothing is stored: this process may only read.
    pub const NEVER: Self = Self { every: None };
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self { every: Some(100) }
    }
}

impl Services {
    /// The state that a snapshot holds, and that of an empty stream if there is none of use.
    pub(super) async fn snapshot_of<A: StoredState>(&self, stream: &StreamName) -> Loaded<A> {
        let nothing = Loaded { state: None, version: 0 };
        let snapshot = match self.ports.snapshots.load(stream).await {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => return nothing,
            Err(error) => {
                tracing::debug!(%stream, %error, "the snapshot cannot be read");
                return nothing;
            }
        };
        match A::decode_state(snapshot.schema_version, &snapshot.payload) {
            Ok(state) => Loaded { state: Some(state), version: snapshot.version },
            Err(error) => {
                tracing::debug!(%stream, %error, "the snapshot is left aside");
                nothing
            }
        }
    }

    /// Stores a state that came of `folded` events beyond the last snapshot, if that is enough.
    /// The caller does not wait for it.
    pub(super) fn keep_snapshot<A: StoredState>(
        &self,
        stream: &StreamName,
        loaded: &Loaded<A>,
        folded: u64,
    ) {
        let due = self.snapshot_policy.every.is_some_and(|every| folded >= every.max(1));
        let Some(state) = loaded.state.as_ref().filter(|_| due) else { return };
        let snapshot = Snapshot {
            stream: stream.clone(),
            version: loaded.version,
            schema_version: A::STATE_VERSION,
            payload: state.encode_state(),
        };
        let snapshots = std::sync::Arc::clone(&self.ports.snapshots);
        tokio::spawn(async move {
            let stream = snapshot.stream.clone();
            if let Err(error) = snapshots.save(snapshot).await {
                tracing::debug!(%stream, %error, "the snapshot was not kept");
            }
        });
    }
}
