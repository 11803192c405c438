//! Stream writes without events.

use flexcore_eventsourcing::{Append, Epoch};
use flexcore_ports::AppendError;

use super::{Fixture, assert_conflict};
use crate::{event, stream};

fn guard(key: &str, expected: u64) -> Append {
    Append::default().guarded(stream(key), expected, None)
}

fn one(key: &str, expected: u64, number: u64) -> Append {
    Append::to(stream(key), expected, vec![event(number)])
}

/// A stream that does not exist has version 0.
pub async fn a_guard_of_an_absent_stream_expects_zero(fixture: &Fixture) {
    assert_eq!(fixture.accepted(guard("a", 0)).await.last_position, 0);
    assert_conflict(&fixture.refused(guard("a", 1)).await, "a", 1, 0);
    let fenced = Append::default().guarded(stream("a"), 0, Some(Epoch(3)));
    fixture.accepted(fenced).await;
}

/// Neither a batch nor a stream nor an event.
pub async fn guards_alone_leave_the_log_as_it_was(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1)).await;
    let before = fixture.head().await;
    let appended = fixture.accepted(guard("a", 1).and(guard("b", 0))).await;
    assert_eq!((appended.last_position, appended.repeated), (0, false));
    assert_eq!(fixture.head().await, before);
    let counts = fixture.verifier.statistics().await.expect("it can be read");
    assert_eq!(counts.streams, 1);
}

/// They can be sent again as often as anybody likes, as long as they hold.
pub async fn guards_alone_hold_until_they_do_not(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1)).await;
    for _ in 0..3 {
        let appended = fixture.accepted(guard("a", 1)).await;
        assert_eq!((appended.last_position, appended.repeated), (0, false));
    }
    fixture.accepted(one("a", 1, 2)).await;
    assert_conflict(&fixture.refused(guard("a", 1)).await, "a", 1, 2);
}

/// Below the owner's epoch is too late; the same and later ones pass.
pub async fn a_guards_fence_is_checked(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1).fenced(Epoch(5))).await;
    let fenced = |epoch| Append::default().guarded(stream("a"), 1, Some(Epoch(epoch)));
    let late = fixture.refused(fenced(4)).await;
    assert!(
        matches!(late, AppendError::Fenced { fence: Epoch(4), owner: Epoch(5), .. }),
        "{late:?}"
    );
    fixture.accepted(fenced(5)).await;
    fixture.accepted(fenced(6)).await;
    fixture.accepted(guard("a", 1)).await;
}

/// Before a write of its stream it sees the stream as it was, after it as it is then.
pub async fn a_guard_sees_what_the_append_did_before_it(fixture: &Fixture) {
    fixture.accepted(guard("a", 0).and(one("a", 0, 1)).and(guard("a", 1))).await;
    let error = fixture.refused(guard("a", 1).and(one("a", 1, 2)).and(guard("a", 1))).await;
    assert_conflict(&error, "a", 1, 2);
    let error = fixture.refused(guard("a", 2).and(one("a", 1, 2))).await;
    assert_conflict(&error, "a", 2, 1);
    assert_eq!(fixture.head().await.position, 1);
}

/// As often as anybody likes.
pub async fn a_stream_may_be_guarded_twice(fixture: &Fixture) {
    fixture.accepted(guard("a", 0).and(guard("a", 0)).and(one("b", 0, 1))).await;
    let error = fixture.refused(guard("b", 1).and(guard("b", 0))).await;
    assert_conflict(&error, "b", 0, 1);
}

/// A guard that does not hold takes the writes beside it with it.
pub async fn a_guard_that_fails_refuses_the_whole_append(fixture: &Fixture) {
    fixture.accepted(one("owner", 0, 1)).await;
    let append = one("a", 0, 2).and(one("b", 0, 3)).and(guard("owner", 0));
    assert_conflict(&fixture.refused(append).await, "owner", 0, 1);
    assert_eq!(fixture.head().await.position, 1);
    assert_eq!(fixture.versions(&stream("a")).await, [0_u64; 0]);
}

/// What is stored of an append are its writes.
pub async fn a_batch_does_not_mention_guards(fixture: &Fixture) {
    let append = guard("x", 0)
        .and(one("a", 0, 1))
        .guarded(stream("y"), 0, Some(Epoch(7)))
        .and(one("b", 0, 2).fenced(Epoch(1)));
    fixture.accepted(append).await;
    let batches = fixture.batches().await;
    let writes = &batches[0].header.writes;
    let names: Vec<_> = writes.iter().map(|write| write.stream.clone()).collect();
    assert_eq!(names, [stream("a"), stream("b")]);
    let fences: Vec<_> = writes.iter().map(|write| write.fence).collect();
    assert_eq!(fences, [None, Some(Epoch(1))]);
}

/// The last position is that of the last event, also where a guard comes after it.
pub async fn the_last_position_is_that_of_an_event(fixture: &Fixture) {
    let append = one("a", 0, 1).and(one("b", 0, 2)).and(guard("c", 0));
    assert_eq!(fixture.accepted(append).await.last_position, 2);
}

/// A guard reads the stream that it guards, not one whose name begins the same.
pub async fn a_guard_is_of_one_stream(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1).and(one("ab", 0, 2))).await;
    fixture.accepted(one("ab", 1, 3)).await;
    fixture.accepted(guard("a", 1).and(guard("ab", 2)).and(guard("abc", 0))).await;
}
