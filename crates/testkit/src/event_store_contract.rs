//! What every event store does. Run it with [`event_store_contract!`](crate::event_store_contract!).
//!
//! After each case the whole log is proven: by the store's own verifier, and batch by batch by
//! [`LogBatch::check_after`](flexcore_ports::LogBatch::check_after).

mod appending;
mod fencing;
mod reading;
mod whole;

use std::{pin::Pin, sync::Arc};

use flexcore_eventsourcing::{Append, RecordedEvent, StreamName};
use flexcore_ports::{
    AppendError, Appended, EventStore, LogHead, LogTransfer, LogVerifier, ReadFilter,
};

use crate::SetTime;

pub use appending::*;
pub use fencing::*;
pub use reading::*;

/// Closes a store and opens it again.
pub type Reopen = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Fixture>>>>;

/// A store to test: empty, on a clock that cases set, and that stands at 0 at first.
pub struct Fixture {
    /// The store.
    pub store: Arc<dyn EventStore>,
    /// Whole batches of its log.
    pub transfer: Arc<dyn LogTransfer>,
    /// Proves its log.
    pub verifier: Arc<dyn LogVerifier>,
    /// Its clock.
    pub clock: Arc<dyn SetTime>,
    /// Opens it again. It also owns what must live as long as the store does, for example its
    /// folder.
    pub reopen: Reopen,
}

impl std::fmt::Debug for Fixture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Fixture").finish_non_exhaustive()
    }
}

impl Fixture {
    /// The same store, closed and opened again.
    pub async fn reopened(self) -> Self {
        let Self { reopen, .. } = self;
        reopen().await
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store.append(append).await
    }

    async fn accepted(&self, append: Append) -> Appended {
        self.append(append).await.expect("the append is legal")
    }

    async fn refused(&self, append: Append) -> AppendError {
        self.append(append).await.expect_err("the append is not legal")
    }

    async fn set_time(&self, micros: i64) {
        self.clock.set_time(micros).await;
    }

    async fn head(&self) -> LogHead {
        self.store.head().await.expect("the log can be read")
    }

    async fn all(&self) -> Vec<RecordedEvent> {
        let all = self.store.read_all(0, 10_000, &ReadFilter::default()).await;
        all.expect("the log can be read")
    }

    async fn versions(&self, stream: &StreamName) -> Vec<u64> {
        let events = self.store.read_stream(stream, 1, 10_000).await;
        events.expect("the stream can be read").iter().map(|event| event.version).collect()
    }
}

/// Holds an error against the conflict that it must be.
#[track_caller]
fn assert_conflict(error: &AppendError, key: &str, expected: u64, actual: u64) {
    let wanted = (crate::stream(key), expected, actual);
    match error {
        AppendError::Conflict { stream, expected, actual } => {
            assert_eq!((stream.clone(), *expected, *actual), wanted);
        }
        other => assert_eq!(format!("{other:?}"), format!("a conflict: {wanted:?}")),
    }
}

/// Makes a test of each case. `$fixture` is the path of an `async fn() -> Fixture`.
#[macro_export]
macro_rules! event_store_contract {
    ($fixture:path) => {
        $crate::event_store_contract! { @cases $fixture:
            // appending
            an_event_comes_back_as_it_was,
            positions_are_dense_over_all_streams,
            a_wrong_version_conflicts_and_nothing_is_written,
            several_streams_are_written_as_a_whole_or_not_at_all,
            an_append_may_write_a_stream_twice,
            a_repeated_append_succeeds_and_is_written_once,
            a_repeated_append_over_streams_is_recognised,
            half_a_repetition_is_a_conflict,
            an_id_belongs_to_one_event,
            what_breaks_a_limit_is_named,
            the_largest_payload_is_taken,
            of_concurrent_writers_one_wins_each_version,
            // fencing
            a_guard_checks_and_leaves_no_trace,
            a_fence_below_the_owner_is_refused,
            a_write_without_a_fence_neither_checks_nor_raises_it,
            a_guard_does_not_raise_the_epoch,
            the_fence_is_told_before_the_version,
            // reading
            streams_are_read_in_pages,
            the_log_is_read_by_type,
            time_never_runs_backwards,
            the_head_is_the_last_batch,
            growth_is_announced,
        }
        $crate::event_store_contract! { @reopening $fixture:
        }
        $crate::event_store_contract! { @pairs $fixture:
        }
    };
    (@cases $fixture:path: $($case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let fixture = $fixture().await;
                $crate::event_store_contract::$case(&fixture).await;
                fixture.assert_whole().await;
            }
        )*
    };
    // Cases that close the store on their way.
    (@reopening $fixture:path: $($case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let fixture = $crate::event_store_contract::$case($fixture().await).await;
                fixture.assert_whole().await;
            }
        )*
    };
    // Cases with two stores.
    (@pairs $fixture:path: $($case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (one, other) = ($fixture().await, $fixture().await);
                $crate::event_store_contract::$case(&one, &other).await;
                one.assert_whole().await;
                other.assert_whole().await;
            }
        )*
    };
}
