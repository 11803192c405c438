//! Expected versions, and what an append leaves when it is refused.

use flexcore_eventsourcing::{Append, EventData};
use flexcore_ports::{AppendError, ReadFilter};

use super::{Fixture, assert_conflict};
use crate::{event, stream};

fn one(key: &str, expected: u64, number: u64) -> Append {
    Append::to(stream(key), expected, vec![event(number)])
}

/// Version 0 is that of a stream that nobody wrote yet.
pub async fn a_new_stream_has_version_zero(fixture: &Fixture) {
    assert_conflict(&fixture.refused(one("a", 1, 1)).await, "a", 1, 0);
    assert_conflict(&fixture.refused(one("a", 99, 1)).await, "a", 99, 0);
    fixture.accepted(one("a", 0, 1)).await;
    assert_conflict(&fixture.refused(one("a", 0, 2)).await, "a", 0, 1);
}

/// Too low and too high.
pub async fn a_conflict_says_what_the_stream_has(fixture: &Fixture) {
    fixture.accepted(Append::to(stream("a"), 0, (1..=5).map(event).collect())).await;
    for expected in [0, 4, 6, 1_000_000] {
        let error = fixture.refused(one("a", expected, 9)).await;
        assert_conflict(&error, "a", expected, 5);
    }
    fixture.accepted(one("a", 5, 9)).await;
}

/// The stream that does not have its version is named, wherever in the append it is.
pub async fn a_conflict_names_the_stream(fixture: &Fixture) {
    fixture.accepted(one("c", 0, 1)).await;
    let append = one("a", 0, 2).and(one("b", 0, 3)).and(one("c", 0, 4)).and(one("d", 0, 5));
    assert_conflict(&fixture.refused(append).await, "c", 0, 1);
}

/// Of several, the first in the append is.
pub async fn the_first_of_several_conflicts_is_named(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1).and(one("b", 0, 2))).await;
    let error = fixture.refused(one("b", 0, 3).and(one("a", 0, 4))).await;
    assert_conflict(&error, "b", 0, 1);
    let error = fixture.refused(one("a", 7, 3).and(one("b", 0, 4))).await;
    assert_conflict(&error, "a", 7, 1);
}

/// A later write of the same append is held against what an earlier one did.
pub async fn an_append_can_conflict_with_itself(fixture: &Fixture) {
    let error = fixture.refused(one("a", 0, 1).and(one("a", 0, 2))).await;
    assert_conflict(&error, "a", 0, 1);
    let error = fixture.refused(one("a", 0, 1).and(one("b", 0, 2)).and(one("a", 2, 3))).await;
    assert_conflict(&error, "a", 2, 1);
    assert_eq!(fixture.head().await.position, 0);
}

/// New and old ones, in one append, in any order.
pub async fn new_and_old_streams_mix(fixture: &Fixture) {
    fixture.accepted(one("old", 0, 1)).await;
    fixture.accepted(one("new1", 0, 2).and(one("old", 1, 3)).and(one("new2", 0, 4))).await;
    fixture.accepted(one("new2", 1, 5).and(one("new3", 0, 6)).and(one("new1", 1, 7))).await;
    for (key, versions) in [("old", 2), ("new1", 2), ("new2", 2), ("new3", 1)] {
        assert_eq!(fixture.versions(&stream(key)).await.len(), versions, "{key}");
    }
}

/// Positions follow the order of the writes, whatever the streams are called.
pub async fn positions_follow_the_order_of_the_writes(fixture: &Fixture) {
    let keys = ["z", "a", "m", "b", "y"];
    let append = (0..).zip(keys).fold(Append::default(), |append, (number, key)| {
        append.and(Append::to(stream(key), 0, vec![event(number * 2), event(number * 2 + 1)]))
    });
    assert_eq!(fixture.accepted(append).await.last_position, 10);
    let found: Vec<_> = fixture.all().await.into_iter().map(|event| event.stream).collect();
    let wanted: Vec<_> = keys.iter().flat_map(|key| [stream(key), stream(key)]).collect();
    assert_eq!(found, wanted);
}

/// One stream in several pieces of an append, with others in between.
pub async fn a_stream_is_written_in_pieces(fixture: &Fixture) {
    let append = Append::to(stream("a"), 0, vec![event(1), event(2)])
        .and(one("b", 0, 3))
        .and(one("a", 2, 4))
        .and(one("b", 1, 5))
        .and(Append::to(stream("a"), 3, vec![event(6), event(7)]));
    assert_eq!(fixture.accepted(append).await.last_position, 7);
    assert_eq!(fixture.versions(&stream("a")).await, [1, 2, 3, 4, 5]);
    let versions: Vec<u64> = fixture.all().await.iter().map(|event| event.version).collect();
    assert_eq!(versions, [1, 2, 1, 3, 2, 4, 5]);
    fixture.accepted(one("a", 5, 8)).await;
}

/// No gap is left where something was refused.
pub async fn a_refused_append_takes_no_position(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1)).await;
    let before = fixture.head().await;
    fixture.refused(one("b", 0, 2).and(one("a", 0, 3))).await;
    fixture.refused(Append::to(stream("a"), 0, (10..500).map(event).collect())).await;
    assert_eq!(fixture.head().await, before);
    assert_eq!(fixture.accepted(one("b", 0, 2)).await.last_position, 2);
}

/// Streams that only a refused append named do not exist.
pub async fn a_refused_append_leaves_no_stream(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1)).await;
    fixture.refused(one("new", 0, 2).and(one("a", 0, 3))).await;
    assert_eq!(fixture.versions(&stream("new")).await, [0_u64; 0]);
    let counts = fixture.verifier.statistics().await.expect("it can be read");
    assert_eq!(counts.streams, 1);
    fixture.accepted(one("new", 0, 2)).await;
}

/// Types that only a refused append named are in nobody's way.
pub async fn a_refused_append_leaves_no_type(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1)).await;
    let other = || EventData { type_name: "Closed".into(), ..event(2) };
    fixture.refused(Append::to(stream("a"), 0, vec![other()])).await;
    let filter = ReadFilter { types: vec!["Closed".to_owned()] };
    assert_eq!(fixture.store.read_all(0, 9, &filter).await.expect("it can be read"), []);
    fixture.accepted(Append::to(stream("a"), 1, vec![other()])).await;
    assert_eq!(fixture.store.read_all(0, 9, &filter).await.expect("it can be read").len(), 1);
}

/// The same events, at the version that the refusal named.
pub async fn a_refused_append_can_be_sent_at_another_version(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1)).await;
    let error = fixture.refused(one("a", 0, 2)).await;
    let AppendError::Conflict { actual, .. } = error else { unreachable!("{error}") };
    let appended = fixture.accepted(one("a", actual, 2)).await;
    assert_eq!((appended.last_position, appended.repeated), (2, false));
}

/// A long row of small appends to one stream.
pub async fn a_stream_grows_one_by_one(fixture: &Fixture) {
    for version in 0..200 {
        let appended = fixture.accepted(one("a", version, version)).await;
        assert_eq!(appended.last_position, version + 1);
    }
    assert_eq!(fixture.versions(&stream("a")).await, (1..=200).collect::<Vec<u64>>());
}

/// Each stream counts for itself.
pub async fn versions_of_streams_are_independent(fixture: &Fixture) {
    for round in 0..6 {
        for key in 0..=round {
            let number = round * 10 + key;
            fixture.accepted(one(&key.to_string(), round - key, number)).await;
        }
    }
    for key in 0..6_u64 {
        let versions: Vec<u64> = (1..=6 - key).collect();
        assert_eq!(fixture.versions(&stream(&key.to_string())).await, versions);
    }
}

/// What was acknowledged can be read at once, by every way.
pub async fn an_acknowledged_append_is_visible_at_once(fixture: &Fixture) {
    for version in 0..50 {
        let appended = fixture.accepted(one("a", version, version)).await;
        let position = appended.last_position;
        assert!(fixture.head().await.position >= position);
        let found = fixture.store.read_all(position - 1, 1, &ReadFilter::default()).await;
        assert_eq!(found.expect("it can be read").len(), 1);
        let found = fixture.store.read_stream(&stream("a"), version + 1, 1).await;
        assert_eq!(found.expect("it can be read")[0].position, position);
        let hash = fixture.store.batch_hash_at(position).await.expect("it can be read");
        assert!(hash.is_some());
    }
}
