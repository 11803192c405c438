//! Batches out of one log and into another.

use std::sync::Arc;

use flexcore_eventsourcing::{
    Append, Epoch, EventData, EventId, Hash, Timestamp, batch_hash, leaf_hash, leaves_root,
};
use flexcore_ports::{AppendError, LogBatch, LogHead, ReadFilter, TransferError};

use super::{Fixture, assert_conflict};
use crate::{event, payload, stream};

/// A log with a bit of everything: `batches` batches with fences, several streams, repeated streams
/// and payloads of all sizes.
async fn fill(fixture: &Fixture, batches: u64) {
    let mut versions = [0_u64; 4];
    for batch in 0..batches {
        fixture.set_time(batch.cast_signed() * 10).await;
        let mut append = Append::default();
        for part in 0..=batch % 3 {
            let key = usize::try_from((batch + part * part) % 4).expect("it is small");
            let count = 1 + (batch + part) % 4;
            let events = (0..count)
                .map(|offset| {
                    let number = batch * 1_000 + part * 100 + offset;
                    let length = usize::try_from(number % 300).expect("it is small");
                    EventData { payload: payload(number, length), ..event(number) }
                })
                .collect();
            append = append.and(Append::to(stream(&key.to_string()), versions[key], events));
            if batch % 2 == 0 {
                append = append.fenced(Epoch(batch / 4));
            }
            versions[key] += count;
        }
        fixture.accepted(append).await;
    }
}

async fn import(to: &Fixture, batches: Vec<LogBatch>) -> Result<LogHead, TransferError> {
    to.transfer.write_batches(batches).await
}

#[track_caller]
fn assert_refused(result: &Result<LogHead, TransferError>, number: u64) {
    match result {
        Err(TransferError::Refused { batch, reason }) => {
            assert_eq!(*batch, number, "{reason}");
            assert!(!reason.is_empty());
        }
        other => assert_eq!(format!("{other:?}"), format!("a refusal of batch {number}")),
    }
}

/// Recomputes what a batch says about itself, as a forger would.
fn resealed(mut batch: LogBatch, before: Hash) -> LogBatch {
    for event in &mut batch.events {
        event.leaf = leaf_hash(&event.stream, &event.event);
        event.committed_at = batch.header.committed_at;
    }
    let leaves: Vec<Hash> = batch.events.iter().map(|event| event.leaf).collect();
    batch.header.root = leaves_root(&leaves);
    batch.hash = batch_hash(before, &batch.header);
    batch
}

/// Nothing changes on the way, and everything that the log knew it knows again.
pub async fn a_log_is_copied_whole(one: &Fixture, other: &Fixture) {
    fill(one, 40).await;
    let head = import(other, one.batches().await).await.expect("it follows");
    assert_eq!(head, one.head().await);
    assert_eq!(other.head().await, head);
    assert_eq!(other.batches().await, one.batches().await);
    for key in ["0", "1", "2", "3"] {
        assert_eq!(other.versions(&stream(key)).await, one.versions(&stream(key)).await);
    }
    for time in [-1, 0, 55, 400] {
        let time = Timestamp::from_micros(time);
        let (here, there) =
            (one.store.position_at(time).await, other.store.position_at(time).await);
        assert_eq!(here.expect("it can be read"), there.expect("it can be read"));
    }
    let filter = ReadFilter { types: vec!["Deposited".to_owned()] };
    let found = other.store.read_all(0, 10_000, &filter).await.expect("it can be read");
    assert_eq!(found.len() as u64, head.position);
}

/// One batch at a time.
pub async fn a_log_is_copied_in_small_pieces(one: &Fixture, other: &Fixture) {
    fill(one, 15).await;
    loop {
        let after = other.head().await.batch;
        let batches = one.transfer.read_batches(after, 1).await.expect("it can be read");
        if batches.is_empty() {
            break;
        }
        assert_eq!(batches.len(), 1);
        import(other, batches).await.expect("it follows");
    }
    assert_eq!(other.head().await, one.head().await);
}

/// An import that was broken off is simply begun again.
pub async fn an_import_may_be_repeated(one: &Fixture, other: &Fixture) {
    fill(one, 20).await;
    let all = one.batches().await;
    import(other, all[..7].to_vec()).await.expect("it follows");
    import(other, all[..7].to_vec()).await.expect("it is there");
    import(other, all[3..12].to_vec()).await.expect("it overlaps and follows");
    let head = import(other, all.clone()).await.expect("it overlaps and follows");
    assert_eq!(head, one.head().await);
    assert_eq!(import(other, all[5..6].to_vec()).await.expect("it is there"), head);
    assert_eq!(other.batches().await, all);
}

/// No batches are no mistake.
pub async fn an_empty_import_gives_the_end(one: &Fixture, other: &Fixture) {
    let empty = import(other, Vec::new()).await.expect("it is legal");
    assert_eq!((empty.position, empty.batch, empty.hash), (0, 0, Hash::ZERO));
    fill(one, 3).await;
    assert_eq!(import(one, Vec::new()).await.expect("it is legal"), one.head().await);
}

/// Limits, places in between, and the end.
pub async fn batches_are_read_in_pages(fixture: &Fixture) {
    let read = async |after, limit| {
        let batches = fixture.transfer.read_batches(after, limit).await.expect("it can be read");
        batches.iter().map(|batch| batch.number).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 10).await, [0_u64; 0]);
    fill(fixture, 12).await;
    assert_eq!(read(0, 5).await, [1, 2, 3, 4, 5]);
    assert_eq!(read(5, 5).await, [6, 7, 8, 9, 10]);
    assert_eq!(read(10, 5).await, [11, 12]);
    assert_eq!(read(0, 0).await, [0_u64; 0]);
    assert_eq!(read(0, usize::MAX).await.len(), 12);
    for after in [12, 13, i64::MAX.unsigned_abs(), u64::MAX] {
        assert_eq!(read(after, 5).await, [0_u64; 0], "after {after}");
    }
}

/// A copy is a log like any other: it goes on, and knows its versions, owners and repetitions.
pub async fn a_copy_goes_on_where_the_log_was(one: &Fixture, other: &Fixture) {
    one.accepted(Append::to(stream("a"), 0, vec![event(1), event(2)]).fenced(Epoch(7))).await;
    one.accepted(Append::to(stream("b"), 0, vec![event(3)])).await;
    import(other, one.batches().await).await.expect("it follows");
    let again = Append::to(stream("a"), 0, vec![event(1), event(2)]);
    let answer = other.accepted(again).await;
    assert_eq!((answer.last_position, answer.repeated), (2, true));
    let error = other.refused(Append::to(stream("b"), 0, vec![event(4)])).await;
    assert_conflict(&error, "b", 0, 1);
    let late = Append::to(stream("a"), 2, vec![event(4)]).fenced(Epoch(6));
    let error = other.refused(late).await;
    assert!(matches!(error, AppendError::Fenced { owner: Epoch(7), .. }), "{error:?}");
    for fixture in [one, other] {
        fixture.set_time(99).await;
        let next = Append::to(stream("a"), 2, vec![event(4)]).fenced(Epoch(7));
        assert_eq!(fixture.accepted(next).await.last_position, 4);
    }
    assert_eq!(one.head().await, other.head().await);
}

/// Whatever is changed in a batch: it is refused and named, those before it are taken.
pub async fn a_changed_batch_is_refused(one: &Fixture, other: &Fixture) {
    fill(one, 12).await;
    let batches = one.batches().await;
    let changes: [&dyn Fn(&mut LogBatch); 17] = [
        &|batch| batch.events[0].event.payload.push(0),
        &|batch| batch.events[0].event.type_name = "Withdrawn".into(),
        &|batch| batch.events[0].event.context.actor = "nobody".into(),
        &|batch| batch.events[0].event.id = EventId(uuid::Uuid::from_u128(7)),
        &|batch| batch.events[0].event.occurred_at = Timestamp::from_micros(0),
        &|batch| batch.events[0].leaf = Hash([1; 32]),
        &|batch| batch.events[0].position += 1,
        &|batch| batch.events[0].version += 1,
        &|batch| batch.events[0].committed_at = Timestamp::from_micros(1),
        &|batch| batch.header.committed_at = Timestamp::from_micros(1_000_000),
        &|batch| batch.header.writes[0].fence = Some(Epoch(99)),
        &|batch| batch.header.writes[0].count += 1,
        &|batch| batch.header.last_position += 1,
        &|batch| batch.header.root = Hash([2; 32]),
        &|batch| batch.hash = Hash([3; 32]),
        &|batch| drop(batch.events.pop()),
        &|batch| batch.events.swap(0, 1),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        // Each at another place; a batch with at least two events is needed.
        let place = (5 + index / 4..12).find(|place| batches[*place].events.len() > 1);
        let place = place.expect("there are such batches");
        let mut forged = batches.clone();
        change(&mut forged[place]);
        assert_refused(&import(other, forged).await, place as u64 + 1);
        // Further ones of an earlier round may be there already.
        assert!(other.head().await.batch >= place as u64, "change {index}");
    }
    import(other, batches).await.expect("as it was, it follows");
    assert_eq!(other.head().await, one.head().await);
}

/// The same in what the log has already: an import that was changed is not passed over in silence.
pub async fn a_changed_batch_that_is_there_already_is_refused(one: &Fixture, other: &Fixture) {
    fill(one, 6).await;
    let batches = one.batches().await;
    import(other, batches.clone()).await.expect("it follows");
    let mut changed = batches.clone();
    changed[3].events[0].event.payload.push(0);
    assert_refused(&import(other, changed).await, 4);
    let mut changed = batches.clone();
    changed[2].hash = Hash([3; 32]);
    assert_refused(&import(other, changed).await, 3);
    assert_eq!(other.batches().await, batches);
}

/// Neither a gap nor a beginning in the middle.
pub async fn a_batch_that_does_not_follow_is_refused(one: &Fixture, other: &Fixture) {
    fill(one, 8).await;
    let batches = one.batches().await;
    assert_refused(&import(other, batches[2..].to_vec()).await, 3);
    assert_eq!(other.head().await.batch, 0);
    let gap = [&batches[..3], &batches[4..]].concat();
    assert_refused(&import(other, gap).await, 5);
    assert_eq!(other.head().await.batch, 3);
    let mut turned = batches[3..5].to_vec();
    turned.reverse();
    assert_refused(&import(other, turned).await, 5);
    let mut zero = batches[3].clone();
    zero.number = 0;
    assert_refused(&import(other, vec![zero]).await, 0);
    import(other, batches).await.expect("as it was, it follows");
}

/// Two logs that went different ways do not become one.
pub async fn another_history_is_refused(one: &Fixture, other: &Fixture) {
    fill(one, 5).await;
    import(other, one.batches().await).await.expect("it follows");
    one.accepted(Append::to(stream("x"), 0, vec![event(50_000)])).await;
    other.accepted(Append::to(stream("x"), 0, vec![event(60_000)])).await;
    other.accepted(Append::to(stream("x"), 1, vec![event(60_001)])).await;
    assert_refused(&import(other, one.batches().await).await, 6);
    assert_refused(&import(one, other.batches().await).await, 6);
    assert_eq!(one.head().await.batch, 6);
    assert_eq!(other.head().await.batch, 7);
}

/// Batches that are sealed well and say what cannot be.
pub async fn a_forged_batch_is_refused(one: &Fixture, other: &Fixture) {
    fill(one, 7).await;
    let batches = one.batches().await;
    import(other, batches[..5].to_vec()).await.expect("it follows");
    let head = other.head().await;
    let forge = |change: &dyn Fn(&mut LogBatch)| {
        let mut forged = batches[5].clone();
        change(&mut forged);
        resealed(forged, head.hash)
    };
    assert_eq!(forge(&|_| {}), batches[5], "a forger who changes nothing gives the batch");
    let skipped = forge(&|batch| {
        for write in &mut batch.header.writes {
            write.first_version += 3;
        }
        for event in &mut batch.events {
            event.version += 3;
        }
    });
    let earlier = forge(&|batch| batch.header.committed_at = Timestamp::from_micros(3));
    let late = forge(&|batch| {
        for write in &mut batch.header.writes {
            write.fence = Some(Epoch(0));
        }
    });
    let nameless = forge(&|batch| batch.events[0].event.id = EventId(uuid::Uuid::nil()));
    let untyped = forge(&|batch| batch.events[0].event.type_name = "".into());
    let mut forgeries = vec![skipped, earlier, nameless, untyped];
    // Only where the batch writes a stream that has an owner by now.
    if batches[..5].iter().flat_map(|batch| &batch.header.writes).any(|write| {
        write.fence > Some(Epoch(0))
            && batches[5].header.writes.iter().any(|other| other.stream == write.stream)
    }) {
        forgeries.push(late);
    }
    assert_eq!(forgeries.len(), 5);
    for forged in forgeries {
        assert_refused(&import(other, vec![forged]).await, 6);
        assert_eq!(other.head().await, head);
    }
    import(other, batches[5..].to_vec()).await.expect("as it was, it follows");
}

/// Whoever waits for the log to grow is told of imports, too.
pub async fn an_import_is_announced(one: &Fixture, other: &Fixture) {
    fill(one, 4).await;
    let mut appended = other.store.appended();
    let head = import(other, one.batches().await).await.expect("it follows");
    let end = appended.wait_for(|position| *position == head.position).await;
    assert_eq!(*end.expect("the store lives"), head.position);
}

/// Ten thousand events in one batch, and the largest payloads.
pub async fn large_batches_are_copied(one: &Fixture, other: &Fixture) {
    one.accepted(Append::to(stream("a"), 0, (0..10_000).map(event).collect())).await;
    let large = |number| EventData { payload: payload(number, 1 << 20), ..event(number) };
    one.accepted(Append::to(stream("b"), 0, (10_000..10_020).map(large).collect())).await;
    one.accepted(Append::to(stream("c"), 0, vec![event(20_000)])).await;
    import(other, one.batches().await).await.expect("it follows");
    assert_eq!(other.head().await, one.head().await);
}

/// Appends that come while batches are taken over: either the import is refused, or it was first.
pub async fn an_import_beside_appends_leaves_one_history(one: &Fixture, other: &Fixture) {
    fill(one, 30).await;
    let batches = one.batches().await;
    let appender = {
        let store = Arc::clone(&other.store);
        tokio::spawn(async move {
            for version in 0..5 {
                let append = Append::to(stream("own"), version, vec![event(900_000 + version)]);
                store.append(append).await.expect("nobody else writes it");
            }
        })
    };
    for batch in batches {
        if let Err(error) = import(other, vec![batch]).await {
            assert!(matches!(error, TransferError::Refused { .. }), "{error}");
        }
    }
    appender.await.expect("it does not panic");
    assert_eq!(other.versions(&stream("own")).await, [1, 2, 3, 4, 5]);
}

/// What was taken over is as durable as what was appended.
pub async fn a_copy_survives_a_restart(fixture: Fixture) -> Fixture {
    // Its own batches, sealed as a first batch each, are as good as those of another log.
    fixture.accepted(Append::to(stream("a"), 0, vec![event(1)]).fenced(Epoch(3))).await;
    let first = fixture.batches().await.remove(0);
    let mut second = first.clone();
    second.number = 2;
    second.header.first_position = 2;
    second.header.last_position = 2;
    second.header.writes[0].first_version = 2;
    second.events[0].position = 2;
    second.events[0].version = 2;
    second.events[0].event = event(2);
    let second = resealed(second, first.hash);
    let head = import(&fixture, vec![first, second]).await.expect("it follows");
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.head().await, head);
    let late = Append::to(stream("a"), 2, vec![event(3)]).fenced(Epoch(2));
    let error = fixture.refused(late).await;
    assert!(matches!(error, AppendError::Fenced { owner: Epoch(3), .. }), "{error:?}");
    fixture.accepted(Append::to(stream("a"), 2, vec![event(3)]).fenced(Epoch(3))).await;
    fixture
}
