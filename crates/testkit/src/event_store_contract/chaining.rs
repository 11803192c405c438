//! Batches, hashes, and who is told that the log has grown.

use flexcore_eventsourcing::{
    Append, BatchHeader, BatchWrite, Epoch, EventData, Hash, Timestamp, batch_hash, leaf_hash,
    leaves_root,
};
use flexcore_ports::LogHead;

use super::Fixture;
use crate::{event, stream};

fn one(key: &str, expected: u64, number: u64) -> Append {
    Append::to(stream(key), expected, vec![event(number)])
}

async fn hash_at(fixture: &Fixture, position: u64) -> Option<Hash> {
    fixture.store.batch_hash_at(position).await.expect("it can be read")
}

/// The hashes of a lone append are those that anybody can compute from what is known of it.
pub async fn hashes_are_those_of_the_specification(fixture: &Fixture) {
    fixture.set_time(1_234_567).await;
    fixture.accepted(one("z", 0, 1)).await;
    let before = fixture.head().await;
    let events = [event(2), event(3), event(4)];
    let append = Append::to(stream("ä"), 0, events[..2].to_vec())
        .fenced(Epoch(6))
        .guarded(stream("guarded"), 0, Some(Epoch(9)))
        .and(Append::to(stream("z"), 1, events[2..].to_vec()));
    fixture.set_time(1_234_568).await;
    fixture.accepted(append).await;
    let streams = [stream("ä"), stream("ä"), stream("z")];
    let leaves: Vec<Hash> =
        streams.iter().zip(&events).map(|(stream, event)| leaf_hash(stream, event)).collect();
    let write = |key, first_version, count, fence| BatchWrite {
        stream: stream(key),
        first_version,
        count,
        fence,
    };
    let header = BatchHeader {
        first_position: 2,
        last_position: 4,
        committed_at: Timestamp::from_micros(1_234_568),
        writes: vec![write("ä", 1, 2, Some(Epoch(6))), write("z", 2, 1, None)],
        root: leaves_root(&leaves),
    };
    let hash = batch_hash(before.hash, &header);
    assert_eq!(fixture.head().await, LogHead { position: 4, batch: 2, hash });
    let batches = fixture.batches().await;
    assert_eq!(batches[1].header, header);
    assert_eq!(before.hash, batches[0].hash);
}

/// Where no batch ends there is no hash.
pub async fn only_ends_of_batches_have_a_hash(fixture: &Fixture) {
    assert_eq!(hash_at(fixture, 0).await, None);
    assert_eq!(hash_at(fixture, 1).await, None);
    let mut ends = vec![];
    for count in [1, 4, 2, 1, 7] {
        let version = ends.last().copied().unwrap_or(0);
        let events = (version..version + count).map(event).collect();
        fixture.accepted(Append::to(stream("a"), version, events)).await;
        ends.push(version + count);
    }
    for position in 0..=20 {
        let hash = hash_at(fixture, position).await;
        assert_eq!(hash.is_some(), ends.contains(&position), "position {position}");
    }
    for position in [i64::MAX.unsigned_abs(), u64::MAX] {
        assert_eq!(hash_at(fixture, position).await, None);
    }
}

/// Each batch has a hash of its own, also where the events look the same.
pub async fn no_two_batches_have_the_same_hash(fixture: &Fixture) {
    let mut hashes = std::collections::HashSet::from([Hash::ZERO]);
    for version in 0..30 {
        fixture.accepted(one("a", version, version)).await;
        assert!(hashes.insert(fixture.head().await.hash), "batch {version}");
    }
}

/// The verifier holds the log against what others remember of it.
pub async fn witnessed_heads_are_compared(fixture: &Fixture) {
    let mut heads = Vec::new();
    for version in 0..5 {
        fixture.accepted(one("a", version, version)).await;
        heads.push(fixture.head().await);
    }
    let fault = async |witnessed: &[LogHead]| {
        fixture.verifier.verify(witnessed).await.expect("it can be read").fault
    };
    assert_eq!(fault(&heads).await, None);
    let forged = LogHead { hash: Hash([9; 32]), ..heads[2] };
    let found = fault(&[heads[4], forged]).await.expect("the log is another one");
    assert_eq!((found.batch, found.last_good_position), (Some(3), 2), "{found:?}");
    let moved = LogHead { position: 9, ..heads[1] };
    assert_eq!(fault(&[moved]).await.and_then(|fault| fault.batch), Some(2));
    let beyond = LogHead { position: 7, batch: 7, hash: Hash([1; 32]) };
    let found = fault(&[heads[0], beyond]).await.expect("the log is shorter");
    assert_eq!((found.batch, found.last_good_position), (Some(6), 5), "{found:?}");
    assert!(found.reason.contains("cut off"), "{}", found.reason);
}

/// Counts are those of the events that are there.
pub async fn statistics_count_what_is_there(fixture: &Fixture) {
    let counts = fixture.verifier.statistics().await.expect("it can be read");
    assert_eq!((counts.streams, counts.types.len()), (0, 0));
    assert_eq!((counts.first_committed_at, counts.last_committed_at), (None, None));
    for version in 0..6_u64 {
        fixture.set_time(version.cast_signed() * 7).await;
        let name = if version % 3 == 0 { "Opened" } else { "Deposited" };
        let event = EventData { type_name: name.into(), ..event(version) };
        let key = (version % 2).to_string();
        fixture.accepted(Append::to(stream(&key), version / 2, vec![event])).await;
    }
    let mut counts = fixture.verifier.statistics().await.expect("it can be read");
    counts.types.sort();
    assert_eq!(counts.types, [("Deposited".to_owned(), 4), ("Opened".to_owned(), 2)]);
    assert_eq!((counts.streams, counts.head.position), (2, 6));
    assert_eq!(counts.first_committed_at, Some(Timestamp::from_micros(0)));
    assert_eq!(counts.last_committed_at, Some(Timestamp::from_micros(35)));
}

/// All who wait are told, and those who come later know what was.
pub async fn growth_is_announced_to_everybody(fixture: &Fixture) {
    let mut early = [fixture.store.appended(), fixture.store.appended()];
    for version in 0..3 {
        fixture.accepted(one("a", version, version)).await;
    }
    for receiver in &mut early {
        let end = receiver.wait_for(|position| *position == 3).await;
        assert_eq!(*end.expect("the store lives"), 3);
    }
    let mut late = fixture.store.appended();
    assert_eq!(*late.borrow_and_update(), 3);
    fixture.accepted(one("b", 0, 10)).await;
    late.changed().await.expect("the store lives");
    assert_eq!(*late.borrow(), 4);
}

/// Nothing has grown where nothing was written.
pub async fn what_leaves_no_trace_is_not_announced(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1)).await;
    let mut appended = fixture.store.appended();
    let end = appended.wait_for(|position| *position == 1).await;
    drop(end.expect("the store lives"));
    fixture.refused(one("a", 0, 2)).await;
    fixture.accepted(one("a", 0, 1)).await;
    fixture.accepted(Append::default().guarded(stream("a"), 1, None)).await;
    assert!(!appended.has_changed().expect("the store lives"));
}

/// The chain goes on where it was.
pub async fn the_chain_goes_on_after_a_restart(fixture: Fixture) -> Fixture {
    for version in 0..3 {
        fixture.accepted(one("a", version, version)).await;
    }
    let head = fixture.head().await;
    let fixture = fixture.reopened().await;
    fixture.accepted(one("a", 3, 3)).await;
    assert_eq!(hash_at(&fixture, 3).await, Some(head.hash));
    let batches = fixture.batches().await;
    assert_eq!(batches.len(), 4);
    assert_eq!(batches[3].check_after(head), Ok(()));
    fixture
}

/// What was appended is the same for every store: so are the hashes.
pub async fn two_logs_of_the_same_appends_have_the_same_hashes(one: &Fixture, other: &Fixture) {
    for fixture in [one, other] {
        for version in 0..10_u64 {
            fixture.set_time(version.cast_signed() * 3).await;
            let append = Append::to(
                stream("a"),
                version * 2,
                vec![event(version * 3), event(version * 3 + 1)],
            )
            .and(Append::to(stream("b"), version, vec![event(version * 3 + 2)]))
            .fenced(Epoch(version / 2));
            fixture.accepted(append).await;
        }
    }
    assert_eq!(one.head().await, other.head().await);
    assert_eq!(one.batches().await, other.batches().await);
}
