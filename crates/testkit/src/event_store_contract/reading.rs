//! Reads, times and the end of the log.

use flexcore_eventsourcing::{Append, EventData, Hash, Timestamp};
use flexcore_ports::ReadFilter;

use super::Fixture;
use crate::{event, stream};

/// By stream, from any version on, at most `limit`.
pub async fn streams_are_read_in_pages(fixture: &Fixture) {
    fixture.accepted(Append::to(stream("other"), 0, vec![event(100)])).await;
    fixture.accepted(Append::to(stream("a"), 0, (1..=10).map(event).collect())).await;
    let page = async |from, limit| {
        let page = fixture.store.read_stream(&stream("a"), from, limit).await;
        page.expect("it can be read").iter().map(|event| event.version).collect::<Vec<_>>()
    };
    assert_eq!(page(1, 4).await, [1, 2, 3, 4]);
    assert_eq!(page(0, 2).await, [1, 2]);
    assert_eq!(page(8, 100).await, [8, 9, 10]);
    assert_eq!(page(11, 100).await, [0_u64; 0]);
    assert_eq!(page(u64::MAX, 100).await, [0_u64; 0]);
    assert_eq!(page(1, 0).await, [0_u64; 0]);
    let absent = fixture.store.read_stream(&stream("absent"), 1, 10).await;
    assert_eq!(absent.expect("it can be read"), []);
}

/// One type or several, in the order of the log.
pub async fn the_log_is_read_by_type(fixture: &Fixture) {
    let names = ["Opened", "Deposited", "Closed"];
    for (number, name) in (0..30).zip(names.into_iter().cycle()) {
        let event = EventData { type_name: name.into(), ..event(number) };
        fixture.accepted(Append::to(stream("a"), number, vec![event])).await;
    }
    let read = async |after, limit, types: &[&str]| {
        let filter = ReadFilter { types: types.iter().map(ToString::to_string).collect() };
        let events = fixture.store.read_all(after, limit, &filter).await.expect("it can be read");
        events.into_iter().map(|event| event.position).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 4, &["Opened"]).await, [1, 4, 7, 10]);
    assert_eq!(read(10, 4, &["Closed", "Opened"]).await, [12, 13, 15, 16]);
    assert_eq!(read(28, 9, &["Opened", "Opened"]).await, [0_u64; 0]);
    assert_eq!(read(0, 9, &["Unknown"]).await, [0_u64; 0]);
    assert_eq!(read(27, 9, &[]).await, [28, 29, 30]);
    assert_eq!(read(u64::MAX, 9, &[]).await, [0_u64; 0]);
}

/// `committed_at` never decreases, and finds positions again.
pub async fn time_never_runs_backwards(fixture: &Fixture) {
    for (number, time) in [100, 200, 150, 300].into_iter().enumerate() {
        fixture.set_time(time).await;
        let number = number as u64;
        fixture.accepted(Append::to(stream("a"), number, vec![event(number)])).await;
    }
    let times: Vec<i64> =
        fixture.all().await.iter().map(|event| event.committed_at.as_micros()).collect();
    assert_eq!(times, [100, 200, 200, 300]);
    for (time, position) in
        [(99, 0), (100, 1), (199, 1), (200, 3), (299, 3), (300, 4), (i64::MAX, 4), (i64::MIN, 0)]
    {
        let found = fixture.store.position_at(Timestamp::from_micros(time)).await;
        assert_eq!(found.expect("it can be read"), position, "at {time}");
    }
}

/// The head names the last batch, whose hash is found by its last position and by no other.
pub async fn the_head_is_the_last_batch(fixture: &Fixture) {
    let head = async || fixture.store.head().await.expect("it can be read");
    let hash_at =
        async |position| fixture.store.batch_hash_at(position).await.expect("it can be read");
    let empty = head().await;
    assert_eq!((empty.position, empty.batch, empty.hash), (0, 0, Hash::ZERO));
    fixture.accepted(Append::to(stream("a"), 0, vec![event(1), event(2)])).await;
    let first = head().await;
    assert_eq!((first.position, first.batch), (2, 1));
    assert_eq!(hash_at(2).await, Some(first.hash));
    assert_eq!(hash_at(1).await, None);
    fixture.accepted(Append::to(stream("a"), 2, vec![event(3)])).await;
    let second = head().await;
    assert_eq!((second.position, second.batch), (3, 2));
    assert_ne!(second.hash, first.hash);
    assert_eq!(hash_at(2).await, Some(first.hash));
}

/// Whoever waits for the log to grow is told, and sees the event when told.
pub async fn growth_is_announced(fixture: &Fixture) {
    let mut appended = fixture.store.appended();
    assert_eq!(*appended.borrow_and_update(), 0);
    fixture.accepted(Append::to(stream("a"), 0, vec![event(1)])).await;
    appended.changed().await.expect("the store lives");
    assert_eq!(*appended.borrow_and_update(), 1);
    assert_eq!(fixture.all().await.len(), 1);
    fixture.accepted(Append::default().guarded(stream("a"), 1, None)).await;
    assert!(!appended.has_changed().expect("the store lives"), "a guard is no growth");
}
