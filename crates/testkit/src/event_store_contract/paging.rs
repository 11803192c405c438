//! Reads that end where they should.

use flexcore_eventsourcing::{Append, EventData};
use flexcore_ports::ReadFilter;

use super::Fixture;
use crate::{event, payload, stream};

async fn positions(fixture: &Fixture, after: u64, limit: usize, types: &[&str]) -> Vec<u64> {
    let filter = ReadFilter { types: types.iter().map(ToString::to_string).collect() };
    let events = fixture.store.read_all(after, limit, &filter).await.expect("it can be read");
    events.iter().map(|event| event.position).collect()
}

async fn versions(fixture: &Fixture, key: &str, from: u64, limit: usize) -> Vec<u64> {
    let events = fixture.store.read_stream(&stream(key), from, limit).await;
    events.expect("it can be read").iter().map(|event| event.version).collect()
}

/// `count` events in appends of uneven sizes over three streams; of type `Rare` where `rare` says.
async fn fill(fixture: &Fixture, count: u64, rare: impl Fn(u64) -> bool) {
    let mut versions = [0; 3];
    let mut number = 0;
    while number < count {
        let size = (1 + number % 7 * 30).min(count - number);
        let events: Vec<EventData> = (number..number + size)
            .map(|number| {
                let type_name = if rare(number) { "Rare" } else { "Deposited" };
                EventData { type_name: type_name.into(), ..event(number) }
            })
            .collect();
        let key = usize::try_from(number % 3).expect("it is small");
        fixture.accepted(Append::to(stream(&key.to_string()), versions[key], events)).await;
        versions[key] += size;
        number += size;
    }
}

/// Nothing, in every way.
pub async fn an_empty_log_is_read(fixture: &Fixture) {
    for after in [0, 1, u64::MAX] {
        assert_eq!(positions(fixture, after, 10, &[]).await, [0_u64; 0]);
        assert_eq!(positions(fixture, after, 10, &["Deposited"]).await, [0_u64; 0]);
        assert_eq!(versions(fixture, "a", after, 10).await, [0_u64; 0]);
    }
}

/// Pages of any size add up to the whole.
pub async fn pages_of_any_size_meet(fixture: &Fixture) {
    fill(fixture, 400, |_| false).await;
    for limit in [1, 7, 64, 399, 400, 401] {
        let (mut after, mut all) = (0, Vec::new());
        loop {
            let page = positions(fixture, after, limit, &[]).await;
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = *last;
            all.extend(page);
        }
        assert!(all.iter().copied().eq(1..=400), "pages of {limit}");
    }
}

/// No events are asked for, and none are given.
pub async fn a_limit_of_zero_gives_nothing(fixture: &Fixture) {
    fill(fixture, 5, |_| true).await;
    assert_eq!(positions(fixture, 0, 0, &[]).await, [0_u64; 0]);
    assert_eq!(positions(fixture, 0, 0, &["Rare"]).await, [0_u64; 0]);
    assert_eq!(versions(fixture, "0", 1, 0).await, [0_u64; 0]);
}

/// A store may give fewer than that at once, but not fewer than it promises.
pub async fn a_huge_limit_is_no_mistake(fixture: &Fixture) {
    fixture.accepted(Append::to(stream("a"), 0, (0..10_000).map(event).collect())).await;
    fixture.accepted(Append::to(stream("a"), 10_000, (10_000..10_500).map(event).collect())).await;
    let page = positions(fixture, 0, usize::MAX, &[]).await;
    assert!(page.len() >= 10_000);
    assert!(page.iter().copied().eq(1..=page.len() as u64));
    let page = versions(fixture, "a", 1, usize::MAX).await;
    assert!(page.len() >= 10_000);
    let rest = positions(fixture, 10_000, usize::MAX, &["Deposited"]).await;
    assert!(rest.iter().copied().eq(10_001..=10_500));
}

/// From the end, from beyond it, from the far end of numbers.
pub async fn a_read_from_beyond_the_end_gives_nothing(fixture: &Fixture) {
    fill(fixture, 30, |_| false).await;
    for after in [30, 31, 1 << 40, i64::MAX.unsigned_abs(), u64::MAX] {
        assert_eq!(positions(fixture, after, 10, &[]).await, [0_u64; 0], "after {after}");
        assert_eq!(positions(fixture, after, 10, &["Deposited"]).await, [0_u64; 0]);
    }
    assert_eq!(positions(fixture, 29, 10, &[]).await, [30]);
    for from in [1_000, i64::MAX.unsigned_abs(), u64::MAX] {
        assert_eq!(versions(fixture, "0", from, 10).await, [0_u64; 0], "from {from}");
    }
}

/// Few events of a type among many others.
pub async fn a_rare_type_is_found(fixture: &Fixture) {
    fill(fixture, 3_000, |number| number == 4 || number == 2_990).await;
    assert_eq!(positions(fixture, 0, 10, &["Rare"]).await, [5, 2_991]);
    assert_eq!(positions(fixture, 0, 1, &["Rare"]).await, [5]);
    assert_eq!(positions(fixture, 5, 10, &["Rare"]).await, [2_991]);
    assert_eq!(positions(fixture, 2_991, 10, &["Rare"]).await, [0_u64; 0]);
}

/// Types that nobody ever wrote hide none that somebody did.
pub async fn unknown_types_hide_nothing(fixture: &Fixture) {
    fill(fixture, 60, |number| number % 10 == 0).await;
    let rare = [1, 11, 21, 31, 41, 51];
    assert_eq!(positions(fixture, 0, 99, &["Rare", "Unknown"]).await, rare);
    assert_eq!(positions(fixture, 0, 99, &["", "rare", "Rare", "Rare "]).await, rare);
    assert_eq!(positions(fixture, 0, 99, &["Unknown", "Nobody"]).await, [0_u64; 0]);
    let many: Vec<String> = (0..500).map(|number| format!("Unknown{number}")).collect();
    let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
    many.push("Rare");
    assert_eq!(positions(fixture, 0, 99, &many).await, rare);
}

/// A filter of all types is no filter; a type that is named twice counts once.
pub async fn a_filter_of_all_types_gives_all(fixture: &Fixture) {
    fill(fixture, 50, |number| number % 3 == 0).await;
    let all: Vec<u64> = (1..=50).collect();
    assert_eq!(positions(fixture, 0, 99, &["Rare", "Deposited"]).await, all);
    assert_eq!(positions(fixture, 0, 99, &["Deposited", "Rare", "Deposited"]).await, all);
    assert_eq!(positions(fixture, 10, 5, &["Rare", "Deposited"]).await, [11, 12, 13, 14, 15]);
}

/// Pages of some types add up as well.
pub async fn pages_of_types_meet(fixture: &Fixture) {
    fill(fixture, 500, |number| number % 7 == 0).await;
    let wanted: Vec<u64> = (0..500).filter(|number| number % 7 == 0).map(|n| n + 1).collect();
    for limit in [1, 3, 10, 71, 72, 73] {
        let (mut after, mut all) = (0, Vec::new());
        loop {
            let page = positions(fixture, after, limit, &["Rare"]).await;
            let Some(last) = page.last() else { break };
            after = *last;
            all.extend(page);
        }
        assert_eq!(all, wanted, "pages of {limit}");
    }
}

/// A page that ends in the middle of an append is continued there.
pub async fn a_page_may_end_inside_an_append(fixture: &Fixture) {
    let append = Append::to(stream("a"), 0, (0..5).map(event).collect()).and(Append::to(
        stream("b"),
        0,
        (5..10).map(event).collect(),
    ));
    fixture.accepted(append).await;
    assert_eq!(positions(fixture, 0, 3, &[]).await, [1, 2, 3]);
    assert_eq!(positions(fixture, 3, 4, &[]).await, [4, 5, 6, 7]);
    assert_eq!(versions(fixture, "b", 2, 2).await, [2, 3]);
}

/// Each stream is read by itself, however they interleave.
pub async fn interleaved_streams_are_read_apart(fixture: &Fixture) {
    for number in 0..60_u64 {
        let key = (number % 5).to_string();
        fixture.accepted(Append::to(stream(&key), number / 5, vec![event(number)])).await;
    }
    for key in 0..5_u64 {
        let found = fixture.store.read_stream(&stream(&key.to_string()), 3, 4).await;
        let found = found.expect("it can be read");
        let positions: Vec<u64> = found.iter().map(|event| event.position).collect();
        assert_eq!(positions, [2, 3, 4, 5].map(|version| version * 5 + key + 1));
        assert!(found.iter().all(|event| event.stream == stream(&key.to_string())));
    }
}

/// A page of the largest payloads.
pub async fn a_page_of_large_payloads_is_read(fixture: &Fixture) {
    let large = |number| EventData { payload: payload(number, 1 << 20), ..event(number) };
    for round in 0..3 {
        let events = (round * 8..round * 8 + 8).map(large).collect();
        fixture.accepted(Append::to(stream("a"), round * 8, events)).await;
    }
    let events = fixture.all().await;
    assert_eq!(events.len(), 24);
    assert!(events[23].event == large(23));
}

/// A read gives what a read gave before, with more at the end.
pub async fn a_page_read_again_is_the_same(fixture: &Fixture) {
    fill(fixture, 40, |_| false).await;
    let before = fixture.all().await;
    fixture.accepted(Append::to(stream("x"), 0, vec![event(1_000)])).await;
    let after = fixture.all().await;
    assert_eq!(before[..], after[..40]);
}

/// Everything that was written is there after a restart, and goes on from there.
pub async fn a_log_is_the_same_after_a_restart(fixture: Fixture) -> Fixture {
    fill(&fixture, 300, |number| number % 5 == 0).await;
    let (events, head) = (fixture.all().await, fixture.head().await);
    let fixture = fixture.reopened().await;
    assert!(fixture.all().await == events);
    assert_eq!(fixture.head().await, head);
    assert_eq!(*fixture.store.appended().borrow(), 300);
    let appended = fixture.accepted(Append::to(stream("x"), 0, vec![event(1_000)])).await;
    assert_eq!(appended.last_position, 301);
    assert_eq!(positions(&fixture, 290, 99, &["Rare"]).await, [291, 296]);
    fixture.reopened().await.reopened().await
}
