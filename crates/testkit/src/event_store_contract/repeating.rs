//! Appends that are sent again.

use std::sync::Arc;

use flexcore_eventsourcing::{Append, EventContext, EventData, Timestamp};
use flexcore_ports::{AppendError, Appended};
use uuid::Uuid;

use super::{Fixture, assert_conflict};
use crate::{event, stream};

fn to(key: &str, expected: u64, numbers: impl IntoIterator<Item = u64>) -> Append {
    Append::to(stream(key), expected, numbers.into_iter().map(event).collect())
}

async fn repeated(fixture: &Fixture, append: Append, last_position: u64) {
    let answer = fixture.accepted(append).await;
    assert_eq!(answer, Appended { last_position, repeated: true });
}

/// As often as a client likes.
pub async fn an_append_may_be_repeated_many_times(fixture: &Fixture) {
    fixture.accepted(to("a", 0, 1..4)).await;
    let head = fixture.head().await;
    for _ in 0..5 {
        repeated(fixture, to("a", 0, 1..4), 3).await;
    }
    assert_eq!(fixture.head().await, head);
}

/// Its positions are those that it had then.
pub async fn a_late_repetition_gives_the_old_position(fixture: &Fixture) {
    fixture.accepted(to("a", 0, [1])).await;
    fixture.accepted(to("b", 0, [2])).await;
    fixture.accepted(to("a", 1, [3])).await;
    fixture.accepted(to("a", 2, [4, 5])).await;
    repeated(fixture, to("a", 0, [1]), 1).await;
    repeated(fixture, to("a", 1, [3]), 3).await;
    repeated(fixture, to("b", 0, [2]), 2).await;
    repeated(fixture, to("a", 2, [4, 5]), 5).await;
}

/// A part of what was appended stands where it should.
pub async fn a_part_of_an_append_is_a_repetition(fixture: &Fixture) {
    fixture.accepted(to("a", 0, 1..=5)).await;
    repeated(fixture, to("a", 0, [1, 2]), 2).await;
    repeated(fixture, to("a", 3, [4, 5]), 5).await;
    repeated(fixture, to("a", 2, [3]), 3).await;
}

/// What was appended in two steps may be asked for in one, and the other way round.
pub async fn appends_may_be_split_and_joined(fixture: &Fixture) {
    fixture.accepted(to("a", 0, [1])).await;
    fixture.accepted(to("b", 0, [2])).await;
    fixture.accepted(to("a", 1, [3]).and(to("c", 0, [4]))).await;
    repeated(fixture, to("a", 0, [1, 3]), 3).await;
    repeated(fixture, to("a", 0, [1]).and(to("b", 0, [2])), 2).await;
    repeated(fixture, to("c", 0, [4]), 4).await;
    repeated(fixture, to("a", 0, [1]).and(to("a", 1, [3])).and(to("c", 0, [4])), 4).await;
}

/// The last position is that of the last event in the append's own order.
pub async fn streams_may_be_repeated_in_another_order(fixture: &Fixture) {
    fixture.accepted(to("a", 0, [1]).and(to("b", 0, [2]))).await;
    repeated(fixture, to("b", 0, [2]).and(to("a", 0, [1])), 1).await;
}

/// Events of one stream have an order.
pub async fn events_in_another_order_conflict(fixture: &Fixture) {
    fixture.accepted(to("a", 0, [1, 2])).await;
    assert_conflict(&fixture.refused(to("a", 0, [2, 1])).await, "a", 0, 2);
}

/// One event more than was there, at either end.
pub async fn a_longer_append_conflicts(fixture: &Fixture) {
    fixture.accepted(to("a", 0, [1, 2])).await;
    assert_conflict(&fixture.refused(to("a", 0, [1, 2, 3])).await, "a", 0, 2);
    assert_conflict(&fixture.refused(to("a", 1, [2, 3])).await, "a", 1, 2);
    assert_conflict(&fixture.refused(to("a", 0, [9, 2])).await, "a", 0, 2);
    fixture.accepted(to("a", 2, [3])).await;
}

/// The same events somewhere else in their stream are no repetition.
pub async fn the_same_events_at_another_version_conflict(fixture: &Fixture) {
    fixture.accepted(to("a", 0, [1, 2, 3])).await;
    assert_conflict(&fixture.refused(to("a", 1, [1])).await, "a", 1, 3);
    assert_conflict(&fixture.refused(to("a", 0, [2])).await, "a", 0, 3);
    assert_conflict(&fixture.refused(to("a", 2, [2, 3])).await, "a", 2, 3);
}

/// Only one of two streams was written.
pub async fn half_of_two_streams_is_a_conflict(fixture: &Fixture) {
    fixture.accepted(to("b", 0, [2])).await;
    let both = to("a", 0, [1]).and(to("b", 0, [2]));
    assert_conflict(&fixture.refused(both).await, "b", 0, 1);
    assert_eq!(fixture.versions(&stream("a")).await, [0_u64; 0]);
}

/// Guards were checked when it mattered.
pub async fn guards_do_not_hinder_a_repetition(fixture: &Fixture) {
    fixture.accepted(to("owner", 0, [1])).await;
    fixture.accepted(to("a", 0, [2])).await;
    repeated(fixture, to("a", 0, [2]).guarded(stream("owner"), 0, None), 2).await;
    repeated(fixture, to("a", 0, [2]).guarded(stream("absent"), 7, None), 2).await;
}

/// Whatever of the event differs: its id is taken.
pub async fn the_same_id_with_other_content_is_refused(fixture: &Fixture) {
    fixture.accepted(to("a", 0, [1])).await;
    let context = |change: fn(&mut EventContext)| {
        let mut other = event(1);
        change(&mut other.context);
        other
    };
    let others = [
        EventData { payload: b"{}".to_vec(), ..event(1) },
        EventData { type_name: "Withdrawn".into(), ..event(1) },
        EventData { schema_version: 2, ..event(1) },
        EventData { occurred_at: Timestamp::from_micros(0), ..event(1) },
        context(|context| context.tenant = "other".into()),
        context(|context| context.actor = "other".into()),
        context(|context| context.content_type = "text/plain".into()),
        context(|context| context.correlation = Some(Uuid::nil())),
        context(|context| context.causation = Some(Uuid::nil())),
        context(|context| context.sealing_key = Some(Uuid::nil())),
    ];
    for other in others {
        let refused = fixture.refused(Append::to(stream("a"), 0, vec![other.clone()])).await;
        let AppendError::Invalid(reason) = &refused else { unreachable!("{refused:?}") };
        assert!(reason.contains(&other.id.to_string()), "{reason}");
    }
    repeated(fixture, to("a", 0, [1]), 1).await;
}

/// Many callers with one append: it is written once, and all learn where.
pub async fn an_append_that_many_send_at_once_is_written_once(fixture: &Fixture) {
    let append = to("a", 0, [1, 2]).and(to("b", 0, [3]));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (store, append) = (Arc::clone(&fixture.store), append.clone());
        tasks.spawn(async move { store.append(append).await });
    }
    let mut written = 0;
    while let Some(answer) = tasks.join_next().await {
        let answer = answer.expect("no caller panics").expect("it is legal");
        assert_eq!(answer.last_position, 3);
        written += u32::from(!answer.repeated);
    }
    assert_eq!(written, 1);
    assert_eq!(fixture.head().await.position, 3);
}

/// A retry after the store was restarted.
pub async fn a_repetition_is_recognised_after_a_restart(fixture: Fixture) -> Fixture {
    let append = to("a", 0, [1, 2]).and(to("b", 0, [3]));
    fixture.accepted(append.clone()).await;
    fixture.accepted(to("a", 2, [4])).await;
    let fixture = fixture.reopened().await;
    repeated(&fixture, append, 3).await;
    repeated(&fixture, to("a", 2, [4]), 4).await;
    fixture
}
