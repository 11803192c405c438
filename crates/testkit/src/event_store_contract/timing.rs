//! When something was committed.

use flexcore_eventsourcing::{Append, EventData, Timestamp};

use super::Fixture;
use crate::{event, stream};

async fn append_at(fixture: &Fixture, time: i64, count: u64) {
    fixture.set_time(time).await;
    let version = fixture.head().await.position;
    let events = (version..version + count).map(event).collect();
    fixture.accepted(Append::to(stream("a"), version, events)).await;
}

async fn position_at(fixture: &Fixture, time: i64) -> u64 {
    let found = fixture.store.position_at(Timestamp::from_micros(time)).await;
    found.expect("it can be read")
}

async fn times(fixture: &Fixture) -> Vec<i64> {
    fixture.all().await.iter().map(|event| event.committed_at.as_micros()).collect()
}

/// Nothing was ever committed.
pub async fn an_empty_log_has_no_position_at_any_time(fixture: &Fixture) {
    for time in [i64::MIN, 0, i64::MAX] {
        assert_eq!(position_at(fixture, time).await, 0);
    }
}

/// Many events become visible at once.
pub async fn events_of_one_append_share_their_time(fixture: &Fixture) {
    append_at(fixture, 100, 5).await;
    append_at(fixture, 200, 3).await;
    assert_eq!(times(fixture).await, [100, 100, 100, 100, 100, 200, 200, 200]);
    for (time, position) in [(99, 0), (100, 5), (150, 5), (200, 8), (201, 8)] {
        assert_eq!(position_at(fixture, time).await, position, "at {time}");
    }
}

/// A clock that stands still.
pub async fn appends_may_share_their_time(fixture: &Fixture) {
    for _ in 0..7 {
        append_at(fixture, 50, 2).await;
    }
    for (time, position) in [(49, 0), (50, 14), (51, 14)] {
        assert_eq!(position_at(fixture, time).await, position, "at {time}");
    }
}

/// However far it is set back, time in the log stands still until the clock has caught up.
pub async fn a_clock_that_is_set_back_does_not_turn_the_log_around(fixture: &Fixture) {
    for time in [1_000, 10, -5_000, 999, 1_000, 1_001] {
        append_at(fixture, time, 1).await;
    }
    assert_eq!(times(fixture).await, [1_000, 1_000, 1_000, 1_000, 1_000, 1_001]);
    for (time, position) in [(999, 0), (1_000, 5), (1_001, 6)] {
        assert_eq!(position_at(fixture, time).await, position, "at {time}");
    }
}

/// A clock that jumps ahead by centuries, and is then set right.
pub async fn a_clock_that_jumps_ahead_is_believed(fixture: &Fixture) {
    let far = 60 * 60 * 24 * 365 * 300 * 1_000_000_i64;
    append_at(fixture, 1_000, 1).await;
    append_at(fixture, far, 1).await;
    append_at(fixture, 2_000, 1).await;
    assert_eq!(times(fixture).await, [1_000, far, far]);
    assert_eq!(position_at(fixture, 2_000).await, 1);
}

/// Times before 1970 are times.
pub async fn times_before_the_epoch_are_kept(fixture: &Fixture) {
    for time in [-3_000_000, -2, -1, 0, 1] {
        append_at(fixture, time, 1).await;
    }
    assert_eq!(times(fixture).await, [-3_000_000, -2, -1, 0, 1]);
    for (time, position) in [(-3_000_001, 0), (-3_000_000, 1), (-3, 1), (-2, 2), (0, 4)] {
        assert_eq!(position_at(fixture, time).await, position, "at {time}");
    }
}

/// Every one of many batches is found by its time.
pub async fn every_batch_is_found_by_its_time(fixture: &Fixture) {
    let mut end = 0;
    let mut ends = Vec::new();
    for batch in 0..60_u64 {
        let count = 1 + batch * batch % 11;
        append_at(fixture, batch.cast_signed() * 10, count).await;
        end += count;
        ends.push((batch.cast_signed() * 10, end));
    }
    for (time, position) in ends {
        assert_eq!(position_at(fixture, time).await, position, "at {time}");
        assert_eq!(position_at(fixture, time + 9).await, position, "after {time}");
    }
}

/// When an event happened and when it was committed are two things.
pub async fn the_time_of_occurrence_does_not_matter_to_the_log(fixture: &Fixture) {
    for (number, occurred_at) in (0..).zip([i64::MAX, 5, i64::MIN]) {
        fixture.set_time(number * 10).await;
        let number = number.unsigned_abs();
        let occurred_at = Timestamp::from_micros(occurred_at);
        let event = EventData { occurred_at, ..event(number) };
        fixture.accepted(Append::to(stream("a"), number, vec![event])).await;
    }
    assert_eq!(times(fixture).await, [0, 10, 20]);
    assert_eq!(position_at(fixture, 10).await, 2);
}

/// A repetition gives what was committed when it was.
pub async fn a_repetition_keeps_its_time(fixture: &Fixture) {
    append_at(fixture, 10, 2).await;
    fixture.set_time(99).await;
    let again = Append::to(stream("a"), 0, vec![event(0), event(1)]);
    assert!(fixture.accepted(again).await.repeated);
    assert_eq!(times(fixture).await, [10, 10]);
}

/// Also with a clock that was set back while nobody looked.
pub async fn time_does_not_turn_around_over_a_restart(fixture: Fixture) -> Fixture {
    append_at(&fixture, 500, 2).await;
    let fixture = fixture.reopened().await;
    append_at(&fixture, 100, 1).await;
    assert_eq!(times(&fixture).await, [500, 500, 500]);
    assert_eq!(position_at(&fixture, 499).await, 0);
    fixture
}
