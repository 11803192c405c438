//! Guards and fences.

use flexcore_eventsourcing::{Append, Epoch};
use flexcore_ports::AppendError;

use super::Fixture;
use crate::{event, stream};

/// Versions and fences of a guard count, and the stream stays as it was.
pub async fn a_guard_checks_and_leaves_no_trace(fixture: &Fixture) {
    fixture.accepted(Append::to(stream("owner"), 0, vec![event(1)]).fenced(Epoch(4))).await;
    let alone = Append::default().guarded(stream("owner"), 1, Some(Epoch(4)));
    assert_eq!(fixture.accepted(alone).await.last_position, 0);
    let absent = Append::default().guarded(stream("absent"), 0, None);
    assert_eq!(fixture.accepted(absent).await.last_position, 0);
    let with = |expected, epoch| {
        Append::to(stream("a"), 0, vec![event(2)]).guarded(stream("owner"), expected, epoch)
    };
    let stale = fixture.append(with(0, None)).await;
    assert!(matches!(stale, Err(AppendError::Conflict { actual: 1, .. })), "{stale:?}");
    let late = fixture.append(with(1, Some(Epoch(3)))).await;
    assert!(matches!(late, Err(AppendError::Fenced { owner: Epoch(4), .. })), "{late:?}");
    fixture.accepted(with(1, Some(Epoch(4)))).await;
    assert_eq!(fixture.all().await.len(), 2);
}

/// A claim raises the epoch; the former owner is refused, the same and later ones are not.
pub async fn a_fence_below_the_owner_is_refused(fixture: &Fixture) {
    let write = |expected, number, epoch| {
        Append::to(stream("a"), expected, vec![event(number)]).fenced(Epoch(epoch))
    };
    fixture.accepted(write(0, 1, 1)).await;
    fixture.accepted(write(1, 2, 2)).await;
    let late = fixture.append(write(2, 3, 1)).await;
    assert!(
        matches!(late, Err(AppendError::Fenced { fence: Epoch(1), owner: Epoch(2), .. })),
        "{late:?}"
    );
    fixture.accepted(write(2, 3, 2)).await;
    fixture.accepted(write(3, 4, 9)).await;
    let late = fixture.append(write(4, 5, 8)).await;
    assert!(matches!(late, Err(AppendError::Fenced { owner: Epoch(9), .. })), "{late:?}");
}

/// Commands from outside the owner.
pub async fn a_write_without_a_fence_neither_checks_nor_raises_it(fixture: &Fixture) {
    fixture.accepted(Append::to(stream("a"), 0, vec![event(1)]).fenced(Epoch(5))).await;
    fixture.accepted(Append::to(stream("a"), 1, vec![event(2)])).await;
    fixture.accepted(Append::to(stream("a"), 2, vec![event(3)]).fenced(Epoch(5))).await;
    let late = fixture.append(Append::to(stream("a"), 3, vec![event(4)]).fenced(Epoch(4))).await;
    assert!(matches!(late, Err(AppendError::Fenced { owner: Epoch(5), .. })), "{late:?}");
}

/// A guard with a higher epoch than the owner's passes and claims nothing.
pub async fn a_guard_does_not_raise_the_epoch(fixture: &Fixture) {
    fixture.accepted(Append::to(stream("a"), 0, vec![event(1)]).fenced(Epoch(1))).await;
    fixture.accepted(Append::default().guarded(stream("a"), 1, Some(Epoch(7)))).await;
    fixture.accepted(Append::to(stream("a"), 1, vec![event(2)]).fenced(Epoch(1))).await;
}

/// Who lost a stream must learn that, and not be sent to read it and try again.
pub async fn the_fence_is_told_before_the_version(fixture: &Fixture) {
    fixture.accepted(Append::to(stream("a"), 0, vec![event(1)]).fenced(Epoch(2))).await;
    let late = fixture.append(Append::to(stream("a"), 0, vec![event(2)]).fenced(Epoch(1))).await;
    assert!(matches!(late, Err(AppendError::Fenced { .. })), "{late:?}");
}
