//! What every store of snapshots does.

use flexcore_eventsourcing::Append;
use flexcore_ports::{EventStore, Snapshot, Snapshots};

use crate::{event, payload, stream};

/// Calls a macro with every case of this suite, each a function of a log and its snapshots.
#[macro_export]
macro_rules! for_each_snapshot_case {
    ($callback:ident) => {
        $callback! {
            the_newest_snapshot_of_the_history_comes_back,
            a_snapshot_comes_back_as_it_was,
            snapshots_of_streams_do_not_mix,
            of_snapshots_saved_at_once_the_newest_stays,
            a_snapshot_holds_while_the_log_grows,
        }
    };
}

fn snapshot(key: &str, version: u64, schema_version: u16, payload: Vec<u8>) -> Snapshot {
    Snapshot { stream: stream(key), version, schema_version, payload }
}

/// Events `first` to `last` of a stream.
async fn append(events: &dyn EventStore, key: &str, first: u64, last: u64, ids: u64) {
    let data = (first..=last).map(|version| event(ids + version)).collect();
    events.append(Append::to(stream(key), first - 1, data)).await.expect("it is legal");
}

async fn load(snapshots: &dyn Snapshots, key: &str) -> Option<Snapshot> {
    snapshots.load(&stream(key)).await.expect("it can be read")
}

/// The newest snapshot comes back; an older one never takes its place; one of events that are not
/// there is refused.
pub async fn the_newest_snapshot_of_the_history_comes_back(
    events: &dyn EventStore,
    snapshots: &dyn Snapshots,
) {
    let at = |version| snapshot("a", version, 3, payload(version, 50_000));
    append(events, "a", 1, 5, 0).await;
    assert_eq!(load(snapshots, "a").await, None);
    snapshots.save(at(3)).await.expect("it can be written");
    assert_eq!(load(snapshots, "a").await, Some(at(3)));
    snapshots.save(at(5)).await.expect("it can be written");
    snapshots.save(at(4)).await.expect("it can be written");
    assert_eq!(load(snapshots, "a").await, Some(at(5)));
    assert_eq!(load(snapshots, "b").await, None);
    assert!(snapshots.save(at(6)).await.is_err(), "there is no event 6");
    let other = snapshot("b", 1, 3, vec![]);
    assert!(snapshots.save(other).await.is_err(), "there is no such stream");
}

/// Any bytes, none at all, many of them; another form of the same version takes its place.
pub async fn a_snapshot_comes_back_as_it_was(events: &dyn EventStore, snapshots: &dyn Snapshots) {
    append(events, "a", 1, 2, 0).await;
    let forms = [
        snapshot("a", 1, 1, vec![]),
        snapshot("a", 1, u16::MAX, vec![0, 255, 0]),
        snapshot("a", 2, 0, payload(7, 3 << 20)),
        snapshot("a", 2, 9, b"\\x00'\"".to_vec()),
    ];
    for form in forms {
        snapshots.save(form.clone()).await.expect("it can be written");
        assert_eq!(load(snapshots, "a").await, Some(form));
    }
}

/// Each stream has its own.
pub async fn snapshots_of_streams_do_not_mix(events: &dyn EventStore, snapshots: &dyn Snapshots) {
    for (number, key) in (1_u64..).zip(["a", "b", "a/b", "ä 'x'"]) {
        append(events, key, 1, number, number * 100).await;
        let own = snapshot(key, number, 1, vec![u8::try_from(number).expect("it is small")]);
        snapshots.save(own).await.expect("it can be written");
    }
    for (number, key) in (1_u64..).zip(["a", "b", "a/b", "ä 'x'"]) {
        let found = load(snapshots, key).await.expect("it was saved");
        assert_eq!((found.version, found.payload.len()), (number, 1), "{key}");
    }
}

/// Whatever the order in which they are written.
pub async fn of_snapshots_saved_at_once_the_newest_stays(
    events: &dyn EventStore,
    snapshots: &dyn Snapshots,
) {
    append(events, "a", 1, 40, 0).await;
    for round in 0..10_u64 {
        let save = async |version: u64| {
            let saved = snapshots.save(snapshot("a", version, 1, payload(version, 100))).await;
            saved.expect("it can be written");
        };
        let first = round * 4;
        tokio::join!(save(first + 2), save(first + 4), save(first + 1), save(first + 3));
        let found = load(snapshots, "a").await.map(|found| (found.version, found.payload));
        assert_eq!(found, Some((first + 4, payload(first + 4, 100))));
    }
}

/// What comes after it does not touch it.
pub async fn a_snapshot_holds_while_the_log_grows(
    events: &dyn EventStore,
    snapshots: &dyn Snapshots,
) {
    append(events, "a", 1, 3, 0).await;
    append(events, "b", 1, 3, 100).await;
    let kept = snapshot("a", 2, 1, vec![1]);
    snapshots.save(kept.clone()).await.expect("it can be written");
    append(events, "a", 4, 60, 0).await;
    append(events, "b", 4, 60, 100).await;
    assert_eq!(load(snapshots, "a").await, Some(kept));
}
