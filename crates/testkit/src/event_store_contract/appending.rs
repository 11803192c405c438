//! Versions, atomicity, repetition and limits.

use std::sync::Arc;

use flexcore_eventsourcing::{Append, EventContext, EventData, Timestamp, leaf_hash};
use flexcore_ports::AppendError;
use uuid::Uuid;

use super::Fixture;
use crate::{event, event_id, payload, stream};

/// Every field of the envelope is kept, also unusual ones.
pub async fn an_event_comes_back_as_it_was(fixture: &Fixture) {
    fixture.set_time(77).await;
    let full = EventData {
        id: event_id(1),
        type_name: "Überwiesen".into(),
        schema_version: u16::MAX,
        occurred_at: Timestamp::from_micros(-1),
        context: EventContext {
            tenant: "mandant".into(),
            actor: "user:zoë".into(),
            correlation: Some(Uuid::from_u128(1)),
            causation: Some(Uuid::from_u128(2)),
            content_type: "application/octet-stream".into(),
            sealing_key: Some(Uuid::from_u128(3)),
        },
        payload: payload(1, 20_000),
    };
    let empty = EventData { payload: Vec::new(), ..event(2) };
    let appended =
        fixture.accepted(Append::to(stream("ä/b"), 0, vec![full.clone(), empty.clone()])).await;
    assert_eq!((appended.last_position, appended.repeated), (2, false));
    let events = fixture.all().await;
    for (found, (given, number)) in events.iter().zip([(full, 1), (empty, 2)]) {
        assert_eq!(found.event, given);
        assert_eq!(found.stream, stream("ä/b"));
        assert_eq!((found.position, found.version), (number, number));
        assert_eq!(found.committed_at, Timestamp::from_micros(77));
        assert_eq!(found.leaf, leaf_hash(&stream("ä/b"), &given));
    }
    assert_eq!(events.len(), 2);
}

/// Positions count events of all streams, without gaps, in the order of the appends.
pub async fn positions_are_dense_over_all_streams(fixture: &Fixture) {
    for number in 0..20_u64 {
        let key = (number % 3).to_string();
        let append = Append::to(stream(&key), number / 3, vec![event(number)]);
        assert_eq!(fixture.accepted(append).await.last_position, number + 1);
    }
    let positions: Vec<u64> = fixture.all().await.iter().map(|event| event.position).collect();
    assert_eq!(positions, (1..=20).collect::<Vec<_>>());
}

/// Too low and too high are both conflicts, and tell the version.
pub async fn a_wrong_version_conflicts_and_nothing_is_written(fixture: &Fixture) {
    fixture.accepted(Append::to(stream("a"), 0, vec![event(1)])).await;
    for wrong in [0, 2, 1_000] {
        let refused = fixture.append(Append::to(stream("a"), wrong, vec![event(9)])).await;
        assert!(
            matches!(refused, Err(AppendError::Conflict { expected, actual: 1, .. }) if expected == wrong),
            "{refused:?}"
        );
    }
    assert_eq!(fixture.all().await.len(), 1);
}

/// The second stream's conflict keeps the first stream's events out.
pub async fn several_streams_are_written_as_a_whole_or_not_at_all(fixture: &Fixture) {
    fixture.accepted(Append::to(stream("b"), 0, vec![event(1)])).await;
    let refused = fixture
        .append(Append::to(stream("a"), 0, vec![event(2)]).and(Append::to(
            stream("b"),
            0,
            vec![event(3)],
        )))
        .await;
    assert!(matches!(refused, Err(AppendError::Conflict { .. })), "{refused:?}");
    assert_eq!(fixture.all().await.len(), 1);
    let both =
        Append::to(stream("a"), 0, vec![event(2)]).and(Append::to(stream("b"), 1, vec![event(3)]));
    assert_eq!(fixture.accepted(both).await.last_position, 3);
    let names: Vec<_> = fixture.all().await.into_iter().map(|event| event.stream).collect();
    assert_eq!(names, [stream("b"), stream("a"), stream("b")]);
}

/// A later write of the same append sees what an earlier one did.
pub async fn an_append_may_write_a_stream_twice(fixture: &Fixture) {
    let append = Append::to(stream("a"), 0, vec![event(1)])
        .and(Append::to(stream("b"), 0, vec![event(2)]))
        .and(Append::to(stream("a"), 1, vec![event(3)]))
        .guarded(stream("a"), 2, None);
    assert_eq!(fixture.accepted(append.clone()).await.last_position, 3);
    let versions: Vec<u64> = fixture.all().await.iter().map(|event| event.version).collect();
    assert_eq!(versions, [1, 1, 2]);
    assert!(fixture.accepted(append).await.repeated);
}

/// A retry after an answer was lost.
pub async fn a_repeated_append_succeeds_and_is_written_once(fixture: &Fixture) {
    let append = Append::to(stream("a"), 0, vec![event(1), event(2)]);
    fixture.accepted(append.clone()).await;
    fixture.accepted(Append::to(stream("a"), 2, vec![event(3)])).await;
    let again = fixture.accepted(append).await;
    assert_eq!((again.last_position, again.repeated), (2, true));
    assert_eq!(fixture.all().await.len(), 3);
}

/// Also where guards no longer hold.
pub async fn a_repeated_append_over_streams_is_recognised(fixture: &Fixture) {
    fixture.accepted(Append::to(stream("owner"), 0, vec![event(1)])).await;
    let append = Append::to(stream("a"), 0, vec![event(2)])
        .and(Append::to(stream("b"), 0, vec![event(3)]))
        .guarded(stream("owner"), 1, None);
    fixture.accepted(append.clone()).await;
    fixture.accepted(Append::to(stream("owner"), 1, vec![event(4)])).await;
    let again = fixture.accepted(append).await;
    assert_eq!((again.last_position, again.repeated), (3, true));
}

/// Only a part of the events stands there: that is another append.
pub async fn half_a_repetition_is_a_conflict(fixture: &Fixture) {
    fixture.accepted(Append::to(stream("a"), 0, vec![event(1)])).await;
    let longer = Append::to(stream("a"), 0, vec![event(1), event(2)]);
    let wider =
        Append::to(stream("a"), 0, vec![event(1)]).and(Append::to(stream("b"), 0, vec![event(3)]));
    for append in [longer, wider] {
        let refused = fixture.append(append).await;
        assert!(matches!(refused, Err(AppendError::Conflict { .. })), "{refused:?}");
    }
    assert_eq!(fixture.all().await.len(), 1);
}

/// The same id with other content is a mistake that must not pass for a repetition.
pub async fn an_id_belongs_to_one_event(fixture: &Fixture) {
    fixture.accepted(Append::to(stream("a"), 0, vec![event(1)])).await;
    let other = EventData { payload: b"other".to_vec(), ..event(1) };
    let refused = fixture.append(Append::to(stream("a"), 0, vec![other])).await;
    assert!(matches!(refused, Err(AppendError::Invalid(_))), "{refused:?}");
    let twice = fixture.append(Append::to(stream("b"), 0, vec![event(2), event(2)])).await;
    assert!(matches!(twice, Err(AppendError::Invalid(_))), "{twice:?}");
    assert_eq!(fixture.all().await.len(), 1);
}

/// A person learns which event breaks which limit.
pub async fn what_breaks_a_limit_is_named(fixture: &Fixture) {
    let large = EventData { payload: vec![0; EventData::MAX_PAYLOAD + 1], ..event(1) };
    let unnamed = EventData { type_name: "".into(), ..event(2) };
    let many = (0..10_001).map(event).collect();
    let cases = [
        (Append::default(), "no stream writes".to_owned()),
        (Append::to(stream("a"), 0, vec![large]), format!("{} (Deposited)", event_id(1))),
        (Append::to(stream("a"), 0, vec![unnamed]), "type name".to_owned()),
        (Append::to(stream("a"), 0, many), "10001 events".to_owned()),
        (Append::to(stream("a"), u64::MAX, vec![event(3)]), "too large".to_owned()),
    ];
    for (append, words) in cases {
        match fixture.append(append).await {
            Err(AppendError::Invalid(reason)) => assert!(reason.contains(&words), "{reason}"),
            other => assert_eq!(format!("{other:?}"), format!("a refusal that says `{words}`")),
        }
    }
    assert_eq!(fixture.all().await.len(), 0);
}

/// Exactly the limit is allowed.
pub async fn the_largest_payload_is_taken(fixture: &Fixture) {
    let large = EventData { payload: payload(7, EventData::MAX_PAYLOAD), ..event(1) };
    fixture.accepted(Append::to(stream("a"), 0, vec![large.clone()])).await;
    assert_eq!(fixture.all().await[0].event, large);
}

/// Many callers race for the versions of one stream.
pub async fn of_concurrent_writers_one_wins_each_version(fixture: &Fixture) {
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..16_u64 {
        let store = Arc::clone(&fixture.store);
        tasks.spawn(async move {
            let (mut version, mut won) = (0, 0);
            while won < 10 {
                let number = caller * 1_000 + won;
                match store.append(Append::to(stream("hot"), version, vec![event(number)])).await {
                    Ok(_) => (version, won) = (version + 1, won + 1),
                    Err(AppendError::Conflict { actual, .. }) => version = actual,
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
    }
    while let Some(finished) = tasks.join_next().await {
        finished.expect("no caller panics").expect("only conflicts are met");
    }
    let events = fixture.all().await;
    assert_eq!(events.len(), 160);
    for (event, number) in events.iter().zip(1..) {
        assert_eq!((event.position, event.version), (number, number));
    }
}
