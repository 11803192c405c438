//! What every store of snapshots does.

use flexcore_eventsourcing::Append;
use flexcore_ports::{EventStore, Snapshot, Snapshots};

use crate::{event, payload, stream};

/// The newest snapshot comes back; an older one never takes its place; one of events that are not
/// there is refused.
pub async fn the_newest_snapshot_of_the_history_comes_back(
    events: &dyn EventStore,
    snapshots: &dyn Snapshots,
) {
    let load = async |key| snapshots.load(&stream(key)).await.expect("it can be read");
    let snapshot = |version| Snapshot {
        stream: stream("a"),
        version,
        schema_version: 3,
        payload: payload(version, 50_000),
    };
    let append = Append::to(stream("a"), 0, (1..=5).map(event).collect());
    events.append(append).await.expect("it is legal");
    assert_eq!(load("a").await, None);
    snapshots.save(snapshot(3)).await.expect("it can be written");
    assert_eq!(load("a").await, Some(snapshot(3)));
    snapshots.save(snapshot(5)).await.expect("it can be written");
    snapshots.save(snapshot(4)).await.expect("it can be written");
    assert_eq!(load("a").await, Some(snapshot(5)));
    assert_eq!(load("b").await, None);
    assert!(snapshots.save(snapshot(6)).await.is_err(), "there is no event 6");
}
