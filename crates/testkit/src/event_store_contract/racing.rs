//! Many callers at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use flexcore_eventsourcing::{Append, Epoch, EventData, StreamName};
use flexcore_ports::{AppendError, Appended, EventStore, ReadFilter};
use tokio::task::JoinSet;

use super::Fixture;
use crate::{event, payload, stream};

fn one(key: &str, expected: u64, number: u64) -> Append {
    Append::to(stream(key), expected, vec![event(number)])
}

/// Hands all of them over at once; gives each with its answer.
async fn at_once(
    fixture: &Fixture,
    appends: impl IntoIterator<Item = Append>,
) -> Vec<(Append, Result<Appended, AppendError>)> {
    let mut tasks = JoinSet::new();
    for append in appends {
        let store = Arc::clone(&fixture.store);
        tasks.spawn(async move { (append.clone(), store.append(append).await) });
    }
    tasks.join_all().await
}

/// Appends until it is accepted, at whatever version the stream has by then.
async fn insist(store: &dyn EventStore, stream: StreamName, events: Vec<EventData>) -> Appended {
    let mut version = 0;
    loop {
        match store.append(Append::to(stream.clone(), version, events.clone())).await {
            Ok(appended) => return appended,
            Err(AppendError::Conflict { actual, .. }) => version = actual,
            Err(other) => unreachable!("only conflicts are met: {other}"),
        }
    }
}

/// Callers that do not know of each other do not hinder each other.
pub async fn streams_of_their_own_never_conflict(fixture: &Fixture) {
    let mut tasks = JoinSet::new();
    for caller in 0..24_u64 {
        let store = Arc::clone(&fixture.store);
        tasks.spawn(async move {
            let mut positions = Vec::new();
            for version in 0..12 {
                let append = one(&caller.to_string(), version, caller * 100 + version);
                positions.push(store.append(append).await.expect("it is legal").last_position);
            }
            positions
        });
    }
    let mut all = BTreeSet::new();
    for positions in tasks.join_all().await {
        assert!(positions.is_sorted(), "one caller's appends are in its order");
        all.extend(positions);
    }
    assert!(all.iter().copied().eq(1..=24 * 12), "positions are dense");
}

/// Of those who want to create a stream, one does.
pub async fn a_stream_is_created_once(fixture: &Fixture) {
    let answers = at_once(fixture, (0..32).map(|number| one("new", 0, number))).await;
    let refusals = answers.iter().filter_map(|(_, answer)| answer.as_ref().err());
    let mut count = 0;
    for refusal in refusals {
        super::assert_conflict(refusal, "new", 0, 1);
        count += 1;
    }
    assert_eq!(count, 31);
    assert_eq!(fixture.versions(&stream("new")).await, [1]);
}

/// The first use of a type, an actor and many streams, by all at once.
pub async fn new_names_are_made_once(fixture: &Fixture) {
    for round in 0..4_u64 {
        let appends = (0..24).map(|caller| {
            let number = round * 100 + caller;
            let mut event = event(number);
            event.type_name = format!("Type{round}").into();
            event.context.actor = format!("actor {round}").into();
            Append::to(stream(&number.to_string()), 0, vec![event])
        });
        for (append, answer) in at_once(fixture, appends).await {
            assert!(answer.is_ok(), "{append:?}: {answer:?}");
        }
    }
    let filter = ReadFilter { types: vec!["Type2".to_owned()] };
    let found = fixture.store.read_all(0, 100, &filter).await.expect("it can be read");
    assert_eq!(found.len(), 24);
}

/// What is refused never takes what is not with it: conflicts, fences, limits and guards in one
/// burst with appends that are fine.
pub async fn refusals_fail_nobody_else(fixture: &Fixture) {
    fixture.accepted(one("owned", 0, 1).fenced(Epoch(9))).await;
    let appends = (0..240_u64).map(|number| {
        let (key, number) = (number.to_string(), number + 100);
        match number % 6 {
            0 => one(&key, 3, number),
            1 => one("owned", 1, number).fenced(Epoch(8)),
            2 => Append::to(stream(&key), 0, vec![event(number), event(number)]),
            3 => one(&key, 0, number).guarded(stream("owned"), 0, None),
            _ => one(&key, 0, number),
        }
    });
    let mut accepted = 0;
    for (append, answer) in at_once(fixture, appends).await {
        let number = append.event_count() as u64;
        match (&answer, append.writes[0].expected, append.writes.len(), number) {
            (Ok(_), 0, 1, 1) => accepted += 1,
            (Err(AppendError::Conflict { expected: 3, actual: 0, .. }), 3, 1, 1)
            | (Err(AppendError::Fenced { owner: Epoch(9), .. }), 1, 1, 1)
            | (Err(AppendError::Invalid(_)), 0, 1, 2)
            | (Err(AppendError::Conflict { expected: 0, actual: 1, .. }), 0, 2, 1) => {}
            _ => unreachable!("{append:?}: {answer:?}"),
        }
    }
    assert_eq!(accepted, 80);
    assert_eq!(fixture.head().await.position, 81);
}

/// Appends over two streams, in both orders, by many: none waits for ever, each is whole.
pub async fn appends_over_crossing_streams_are_whole(fixture: &Fixture) {
    let mut tasks = JoinSet::new();
    for caller in 0..12_u64 {
        let store = Arc::clone(&fixture.store);
        tasks.spawn(async move {
            let (first, second) = if caller % 2 == 0 { ("a", "b") } else { ("b", "a") };
            let mut versions = BTreeMap::from([("a", 0), ("b", 0)]);
            let mut round = 0;
            while round < 8 {
                let number = caller * 1_000 + round * 2;
                let append = one(first, versions[first], number).and(one(
                    second,
                    versions[second],
                    number + 1,
                ));
                match store.append(append).await {
                    Ok(_) => {
                        for version in versions.values_mut() {
                            *version += 1;
                        }
                        round += 1;
                    }
                    Err(AppendError::Conflict { stream: name, actual, .. }) => {
                        let key = if name == stream("a") { "a" } else { "b" };
                        versions.insert(key, actual);
                    }
                    Err(other) => unreachable!("only conflicts are met: {other}"),
                }
            }
        });
    }
    tasks.join_all().await;
    let events = fixture.all().await;
    assert_eq!(events.len(), 12 * 8 * 2);
    for pair in events.chunks(2) {
        // The ids of a pair are neighbours, and so are their positions; versions go hand in hand.
        assert_eq!(pair[0].version, pair[1].version);
        assert_ne!(pair[0].stream, pair[1].stream);
    }
}

/// Nobody who was fenced off writes after the new owner, whatever comes first.
pub async fn of_racing_claims_one_wins_each_epoch(fixture: &Fixture) {
    let mut tasks = JoinSet::new();
    for caller in 0..10_u64 {
        let store = Arc::clone(&fixture.store);
        tasks.spawn(async move {
            let (mut version, mut epoch, mut won) = (0, 1, 0);
            while won < 6 {
                let append = one("owned", version, caller * 100 + won).fenced(Epoch(epoch));
                match store.append(append).await {
                    Ok(_) => (version, epoch, won) = (version + 1, epoch + 1, won + 1),
                    Err(AppendError::Conflict { actual, .. }) => version = actual,
                    Err(AppendError::Fenced { owner, .. }) => epoch = owner.0 + 1,
                    Err(other) => unreachable!("only refusals are met: {other}"),
                }
            }
        });
    }
    tasks.join_all().await;
    let batches = fixture.batches().await;
    let writes = batches.iter().flat_map(|batch| &batch.header.writes);
    let fences: Vec<_> = writes.filter_map(|write| write.fence).collect();
    assert_eq!(fences.len(), 60);
    assert!(fences.is_sorted(), "an epoch never goes down: {fences:?}");
}

/// Work that is guarded by an owner's version is not accepted once that version is gone.
pub async fn guards_hold_against_racing_writers(fixture: &Fixture) {
    let mut tasks = JoinSet::new();
    for caller in 0..16_u64 {
        let store = Arc::clone(&fixture.store);
        tasks.spawn(async move {
            let mut version = 0;
            for round in 0..10 {
                let number = 1_000 + caller * 100 + round;
                let append =
                    one(&caller.to_string(), version, number).guarded(stream("switch"), 0, None);
                match store.append(append).await {
                    Ok(_) => version += 1,
                    Err(AppendError::Conflict { stream: name, .. }) => {
                        assert_eq!(name, stream("switch"));
                        return;
                    }
                    Err(other) => unreachable!("only conflicts are met: {other}"),
                }
                if caller == 7 && round == 3 {
                    store.append(one("switch", 0, 1)).await.expect("nobody else writes it");
                }
            }
        });
    }
    tasks.join_all().await;
    let events = fixture.all().await;
    assert_eq!(events.last().map(|event| event.stream.clone()), Some(stream("switch")));
}

/// Readers beside writers see the beginning of the log, without holes, and never less than before.
pub async fn readers_see_a_log_without_holes(fixture: &Fixture) {
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (store, done) = (Arc::clone(&fixture.store), Arc::clone(&done));
        tokio::spawn(async move {
            let mut next = 1;
            loop {
                let last_round = done.load(Ordering::SeqCst);
                let page = store.read_all(next - 1, 50, &ReadFilter::default()).await;
                let page = page.expect("it can be read");
                for event in &page {
                    assert_eq!(event.position, next, "positions are dense");
                    next += 1;
                }
                if last_round && page.is_empty() {
                    return next - 1;
                }
            }
        })
    };
    let mut tasks = JoinSet::new();
    for caller in 0..8_u64 {
        let store = Arc::clone(&fixture.store);
        tasks.spawn(async move {
            for round in 0..25 {
                let first = caller * 1_000 + round * 4;
                let events = (first..first + 1 + round % 4).map(event).collect();
                insist(&*store, stream(&(caller % 3).to_string()), events).await;
            }
        });
    }
    tasks.join_all().await;
    done.store(true, Ordering::SeqCst);
    assert_eq!(reader.await.expect("it does not panic"), fixture.head().await.position);
}

/// The same for one stream, and a head is never ahead of what can be read.
pub async fn a_head_is_never_ahead_of_its_events(fixture: &Fixture) {
    let writer = {
        let store = Arc::clone(&fixture.store);
        tokio::spawn(async move {
            for version in 0..120 {
                store.append(one("a", version, version)).await.expect("nobody else writes it");
            }
        })
    };
    let mut seen = 0;
    while seen < 120 {
        let head = fixture.head().await;
        assert!(head.position >= seen, "the head went back");
        seen = head.position;
        if seen > 0 {
            let found = fixture.store.read_stream(&stream("a"), seen, 1).await;
            assert_eq!(found.expect("it can be read").len(), 1, "event {seen}");
            let hash = fixture.store.batch_hash_at(seen).await.expect("it can be read");
            assert_eq!(hash, Some(head.hash));
        }
    }
    writer.await.expect("it does not panic");
}

/// More appends at once than fit into one group commit.
pub async fn a_burst_is_taken_whole(fixture: &Fixture) {
    let appends = (0..3_000).map(|number: u64| one(&number.to_string(), 0, number));
    for (append, answer) in at_once(fixture, appends).await {
        assert!(answer.is_ok(), "{append:?}: {answer:?}");
    }
    assert_eq!(fixture.head().await.position, 3_000);
}

/// Large appends between small ones.
pub async fn sizes_mix(fixture: &Fixture) {
    let appends = (0..60_u64).map(|number| {
        let length = if number % 9 == 0 { 700_000 } else { 10 };
        let count = if number % 13 == 0 { 500 } else { 1 };
        let events = (0..count)
            .map(|offset| {
                let number = number * 1_000 + offset;
                let length = if offset == 0 { length } else { 20 };
                EventData { payload: payload(number, length), ..event(number) }
            })
            .collect();
        Append::to(stream(&number.to_string()), 0, events)
    });
    for (_, answer) in at_once(fixture, appends).await {
        answer.expect("it is legal");
    }
}

/// A caller that stops waiting leaves its append whole or not there at all.
pub async fn an_append_that_nobody_waits_for_is_whole(fixture: &Fixture) {
    let mut tasks = JoinSet::new();
    for caller in 0..40_u64 {
        let store = Arc::clone(&fixture.store);
        tasks.spawn(async move {
            let events = (caller * 10..caller * 10 + 3).map(event).collect();
            let append = Append::to(stream(&caller.to_string()), 0, events).and(one(
                &format!("second-{caller}"),
                0,
                10_000 + caller,
            ));
            let append = store.append(append);
            if caller % 2 == 0 {
                // Dropped at the first moment at which it waits, at the latest.
                tokio::select! { biased; _ = append => {}, () = tokio::task::yield_now() => {} }
            } else {
                append.await.expect("it is legal");
            }
        });
    }
    tasks.join_all().await;
    // Whatever was on its way comes before this.
    fixture.accepted(one("last", 0, 99_999)).await;
    for caller in 0..40_u64 {
        let first = fixture.versions(&stream(&caller.to_string())).await.len();
        let second = fixture.versions(&stream(&format!("second-{caller}"))).await.len();
        assert!((first, second) == (3, 1) || caller % 2 == 0 && (first, second) == (0, 0));
    }
}

/// One caller with many appends on their way to one stream: they are taken in some order, and every
/// one that is taken fits.
pub async fn a_hot_stream_stays_in_order(fixture: &Fixture) {
    let mut tasks = JoinSet::new();
    for caller in 0..40_u64 {
        let store = Arc::clone(&fixture.store);
        tasks.spawn(async move {
            for round in 0..5 {
                insist(&*store, stream("hot"), vec![event(caller * 10 + round)]).await;
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(fixture.versions(&stream("hot")).await, (1..=200).collect::<Vec<u64>>());
}
