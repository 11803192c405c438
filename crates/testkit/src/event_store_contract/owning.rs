//! Fences: who may still write.

use flexcore_eventsourcing::{Append, Epoch};
use flexcore_ports::AppendError;

use super::{Fixture, assert_conflict};
use crate::{event, stream};

fn one(key: &str, expected: u64, number: u64, epoch: u64) -> Append {
    Append::to(stream(key), expected, vec![event(number)]).fenced(Epoch(epoch))
}

fn unfenced(key: &str, expected: u64, number: u64) -> Append {
    Append::to(stream(key), expected, vec![event(number)])
}

#[track_caller]
fn assert_fenced(error: &AppendError, key: &str, fence: u64, owner: u64) {
    let wanted = (stream(key), Epoch(fence), Epoch(owner));
    match error {
        AppendError::Fenced { stream, fence, owner } => {
            assert_eq!((stream.clone(), *fence, *owner), wanted);
        }
        other => assert_eq!(format!("{other:?}"), format!("too late: {wanted:?}")),
    }
}

/// The first fence of a stream makes an owner.
pub async fn a_new_stream_is_owned_by_its_first_fence(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1, 7)).await;
    assert_fenced(&fixture.refused(one("a", 1, 2, 6)).await, "a", 6, 7);
    fixture.accepted(one("a", 1, 2, 7)).await;
}

/// A stream that was written without a fence belongs to nobody.
pub async fn a_stream_without_an_owner_takes_any_fence(fixture: &Fixture) {
    fixture.accepted(unfenced("a", 0, 1)).await;
    fixture.accepted(one("a", 1, 2, 0)).await;
    fixture.accepted(one("a", 2, 3, 1)).await;
    assert_fenced(&fixture.refused(one("a", 3, 4, 0)).await, "a", 0, 1);
}

/// Epochs may skip numbers.
pub async fn a_fence_may_jump(fixture: &Fixture) {
    for (version, epoch) in (0..).zip([0, 1, 2, 1_000, 1 << 40, i64::MAX.unsigned_abs()]) {
        fixture.accepted(one("a", version, version, epoch)).await;
        if epoch > 0 {
            let late = fixture.refused(one("a", version + 1, 99, epoch - 1)).await;
            assert_fenced(&late, "a", epoch - 1, epoch);
        }
    }
}

/// Each stream has its own owner, also in one append.
pub async fn streams_of_one_append_have_their_own_fences(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1, 3).and(one("b", 0, 2, 9)).and(unfenced("c", 0, 3))).await;
    assert_fenced(&fixture.refused(one("a", 1, 4, 2)).await, "a", 2, 3);
    assert_fenced(&fixture.refused(one("b", 1, 4, 8)).await, "b", 8, 9);
    fixture.accepted(one("c", 1, 4, 0)).await;
    fixture.accepted(one("a", 1, 5, 3).and(one("b", 1, 6, 9))).await;
}

/// One stream that was lost refuses the whole append.
pub async fn one_lost_stream_refuses_the_append(fixture: &Fixture) {
    fixture.accepted(one("b", 0, 1, 5)).await;
    let late = fixture.refused(one("a", 0, 2, 9).and(one("b", 1, 3, 4))).await;
    assert_fenced(&late, "b", 4, 5);
    assert_eq!(fixture.head().await.position, 1);
    fixture.accepted(one("a", 0, 2, 0)).await;
}

/// What an earlier write of the append raised, a later one must reach.
pub async fn an_append_can_fence_itself(fixture: &Fixture) {
    let late = fixture.refused(one("a", 0, 1, 5).and(one("a", 1, 2, 4))).await;
    assert_fenced(&late, "a", 4, 5);
    fixture.accepted(one("a", 0, 1, 4).and(one("a", 1, 2, 5)).and(unfenced("a", 2, 3))).await;
    assert_fenced(&fixture.refused(one("a", 3, 4, 4)).await, "a", 4, 5);
}

/// A refused append is no claim.
pub async fn a_refused_append_raises_nothing(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1, 1)).await;
    assert_conflict(&fixture.refused(one("a", 0, 2, 50)).await, "a", 0, 1);
    let beside = one("a", 1, 2, 60).and(unfenced("b", 9, 3));
    assert_conflict(&fixture.refused(beside).await, "b", 9, 0);
    fixture.accepted(one("a", 1, 2, 1)).await;
}

/// Nor is one that stood there already.
pub async fn a_repeated_append_raises_nothing(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1, 1)).await;
    assert!(fixture.accepted(one("a", 0, 1, 50)).await.repeated);
    fixture.accepted(one("a", 1, 2, 1)).await;
}

/// A former owner that only asks again for what it had written is told that it is there.
pub async fn a_repeated_append_of_a_former_owner_succeeds(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1, 1)).await;
    fixture.accepted(one("a", 1, 2, 2)).await;
    let again = fixture.accepted(one("a", 0, 1, 1)).await;
    assert_eq!((again.last_position, again.repeated), (1, true));
    assert_fenced(&fixture.refused(one("a", 2, 3, 1)).await, "a", 1, 2);
}

/// Commands from outside come in between.
pub async fn a_write_without_a_fence_keeps_the_owner(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1, 4)).await;
    fixture.accepted(unfenced("a", 1, 2)).await;
    fixture.accepted(one("a", 2, 3, 4)).await;
    assert_fenced(&fixture.refused(one("a", 3, 4, 3)).await, "a", 3, 4);
}

/// The log says with which fence each write was accepted; none is not zero.
pub async fn batches_hold_the_fence_of_each_write(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1, 0).and(unfenced("b", 0, 2)).and(one("c", 0, 3, 77))).await;
    let batches = fixture.batches().await;
    let fences: Vec<_> = batches[0].header.writes.iter().map(|write| write.fence).collect();
    assert_eq!(fences, [Some(Epoch(0)), None, Some(Epoch(77))]);
}

/// First the fence: whoever lost a stream must not be sent to read it and try again. That holds for
/// each write of the append in its turn.
pub async fn the_first_write_that_fails_is_told(fixture: &Fixture) {
    fixture.accepted(one("a", 0, 1, 5).and(one("b", 0, 2, 5))).await;
    let late = fixture.refused(one("a", 0, 3, 4).and(one("b", 9, 4, 5))).await;
    assert_fenced(&late, "a", 4, 5);
    let conflict = fixture.refused(one("a", 0, 3, 5).and(one("b", 1, 4, 4))).await;
    assert_conflict(&conflict, "a", 0, 1);
}

/// Owners are as durable as events.
pub async fn owners_are_known_after_a_restart(fixture: Fixture) -> Fixture {
    fixture.accepted(one("a", 0, 1, 5).and(one("b", 0, 2, 1))).await;
    fixture.accepted(one("b", 1, 3, 8)).await;
    let fixture = fixture.reopened().await;
    assert_fenced(&fixture.refused(one("a", 1, 4, 4)).await, "a", 4, 5);
    assert_fenced(&fixture.refused(one("b", 2, 4, 7)).await, "b", 7, 8);
    fixture.accepted(one("a", 1, 4, 5).and(one("b", 2, 5, 8))).await;
    fixture
}
