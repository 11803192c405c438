//! What every event store does. Run it with [`event_store_contract!`](crate::event_store_contract!).

mod appending;
mod fencing;
mod reading;

use std::sync::Arc;

use flexcore_eventsourcing::{Append, RecordedEvent};
use flexcore_ports::{AppendError, Appended, EventStore, ReadFilter};

use crate::ManualClock;

pub use appending::*;
pub use fencing::*;
pub use reading::*;

/// A store to test: empty, on a clock that cases set.
pub struct Fixture {
    /// The store.
    pub store: Arc<dyn EventStore>,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// What must live as long as the store does, for example its folder.
    pub keep: Box<dyn std::any::Any + Send + Sync>,
}

impl std::fmt::Debug for Fixture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Fixture").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Fixture {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store.append(append).await
    }

    async fn accepted(&self, append: Append) -> Appended {
        self.append(append).await.expect("the append is legal")
    }

    async fn all(&self) -> Vec<RecordedEvent> {
        let all = self.store.read_all(0, 10_000, &ReadFilter::default()).await;
        all.expect("the log can be read")
    }
}

/// Makes a test of each case. `$fixture` is the path of an `async fn() -> Fixture`.
#[macro_export]
macro_rules! event_store_contract {
    ($fixture:path) => {
        $crate::event_store_contract! { @cases $fixture:
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
            a_guard_checks_and_leaves_no_trace,
            a_fence_below_the_owner_is_refused,
            a_write_without_a_fence_neither_checks_nor_raises_it,
            a_guard_does_not_raise_the_epoch,
            the_fence_is_told_before_the_version,
            streams_are_read_in_pages,
            the_log_is_read_by_type,
            time_never_runs_backwards,
            the_head_is_the_last_batch,
            growth_is_announced,
        }
    };
    (@cases $fixture:path: $($case:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::event_store_contract::$case(&$fixture().await).await;
            }
        )+
    };
}
