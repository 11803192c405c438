//! What every event store does. Run it with [`event_store_contract!`](crate::event_store_contract!).
//!
//! After each case the whole log is proven: by the store's own verifier, and batch by batch by
//! [`LogBatch::check_after`](flexcore_ports::LogBatch::check_after).

mod appending;
mod chaining;
mod fencing;
mod guarding;
mod limits;
mod owning;
mod paging;
mod racing;
mod reading;
mod repeating;
mod timing;
mod transferring;
mod versions;
mod whole;

use std::{pin::Pin, sync::Arc};

use flexcore_eventsourcing::{Append, RecordedEvent, StreamName};
use flexcore_ports::{
    AppendError, Appended, EventStore, LogHead, LogTransfer, LogVerifier, ReadFilter,
};

use crate::SetTime;

pub use appending::*;
pub use chaining::*;
pub use fencing::*;
pub use guarding::*;
pub use limits::*;
pub use owning::*;
pub use paging::*;
pub use racing::*;
pub use reading::*;
pub use repeating::*;
pub use timing::*;
pub use transferring::*;
pub use versions::*;

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
            // versions
            a_new_stream_has_version_zero,
            a_conflict_says_what_the_stream_has,
            a_conflict_names_the_stream,
            the_first_of_several_conflicts_is_named,
            an_append_can_conflict_with_itself,
            new_and_old_streams_mix,
            positions_follow_the_order_of_the_writes,
            a_stream_is_written_in_pieces,
            a_refused_append_takes_no_position,
            a_refused_append_leaves_no_stream,
            a_refused_append_leaves_no_type,
            a_refused_append_can_be_sent_at_another_version,
            a_stream_grows_one_by_one,
            versions_of_streams_are_independent,
            an_acknowledged_append_is_visible_at_once,
            // limits
            an_empty_payload_comes_back,
            a_binary_payload_comes_back,
            payloads_of_all_sizes_come_back,
            a_payload_of_one_repeated_byte_comes_back,
            a_payload_beyond_the_limit_is_refused,
            the_largest_append_is_taken,
            ten_thousand_events_are_one_append,
            the_limit_of_events_is_one_of_the_append,
            a_thousand_streams_are_one_append,
            a_thousand_guards_are_one_append,
            the_longest_texts_come_back,
            longer_texts_are_refused,
            empty_texts_are_refused,
            a_nul_in_a_text_is_refused,
            odd_texts_come_back,
            texts_that_look_alike_stay_apart,
            odd_stream_names_are_kept,
            stream_names_that_look_alike_stay_apart,
            the_longest_stream_names_are_kept,
            the_same_key_of_another_tenant_is_another_stream,
            every_time_of_occurrence_comes_back,
            every_schema_version_comes_back,
            every_optional_id_comes_back,
            optional_ids_of_one_append_stay_with_their_events,
            every_event_id_but_nil_is_taken,
            an_event_twice_in_an_append_is_refused,
            many_types_and_contexts_come_back,
            the_largest_fence_and_version_are_checked,
            // repeating
            an_append_may_be_repeated_many_times,
            a_late_repetition_gives_the_old_position,
            a_part_of_an_append_is_a_repetition,
            appends_may_be_split_and_joined,
            streams_may_be_repeated_in_another_order,
            events_in_another_order_conflict,
            a_longer_append_conflicts,
            the_same_events_at_another_version_conflict,
            half_of_two_streams_is_a_conflict,
            guards_do_not_hinder_a_repetition,
            the_same_id_with_other_content_is_refused,
            an_append_that_many_send_at_once_is_written_once,
            // guarding
            a_guard_of_an_absent_stream_expects_zero,
            guards_alone_leave_the_log_as_it_was,
            guards_alone_hold_until_they_do_not,
            a_guards_fence_is_checked,
            a_guard_sees_what_the_append_did_before_it,
            a_stream_may_be_guarded_twice,
            a_guard_that_fails_refuses_the_whole_append,
            a_batch_does_not_mention_guards,
            the_last_position_is_that_of_an_event,
            a_guard_is_of_one_stream,
            // fencing
            a_guard_checks_and_leaves_no_trace,
            a_fence_below_the_owner_is_refused,
            a_write_without_a_fence_neither_checks_nor_raises_it,
            a_guard_does_not_raise_the_epoch,
            the_fence_is_told_before_the_version,
            // owning
            a_new_stream_is_owned_by_its_first_fence,
            a_stream_without_an_owner_takes_any_fence,
            a_fence_may_jump,
            streams_of_one_append_have_their_own_fences,
            one_lost_stream_refuses_the_append,
            an_append_can_fence_itself,
            a_refused_append_raises_nothing,
            a_repeated_append_raises_nothing,
            a_repeated_append_of_a_former_owner_succeeds,
            a_write_without_a_fence_keeps_the_owner,
            batches_hold_the_fence_of_each_write,
            the_first_write_that_fails_is_told,
            // racing
            streams_of_their_own_never_conflict,
            a_stream_is_created_once,
            new_names_are_made_once,
            refusals_fail_nobody_else,
            appends_over_crossing_streams_are_whole,
            of_racing_claims_one_wins_each_epoch,
            guards_hold_against_racing_writers,
            readers_see_a_log_without_holes,
            a_head_is_never_ahead_of_its_events,
            a_burst_is_taken_whole,
            sizes_mix,
            an_append_that_nobody_waits_for_is_whole,
            a_hot_stream_stays_in_order,
            // reading
            streams_are_read_in_pages,
            the_log_is_read_by_type,
            time_never_runs_backwards,
            the_head_is_the_last_batch,
            growth_is_announced,
            // paging
            an_empty_log_is_read,
            pages_of_any_size_meet,
            a_limit_of_zero_gives_nothing,
            a_huge_limit_is_no_mistake,
            a_read_from_beyond_the_end_gives_nothing,
            a_rare_type_is_found,
            unknown_types_hide_nothing,
            a_filter_of_all_types_gives_all,
            pages_of_types_meet,
            a_page_may_end_inside_an_append,
            interleaved_streams_are_read_apart,
            a_page_of_large_payloads_is_read,
            a_page_read_again_is_the_same,
            // timing
            an_empty_log_has_no_position_at_any_time,
            events_of_one_append_share_their_time,
            appends_may_share_their_time,
            a_clock_that_is_set_back_does_not_turn_the_log_around,
            a_clock_that_jumps_ahead_is_believed,
            times_before_the_epoch_are_kept,
            every_batch_is_found_by_its_time,
            the_time_of_occurrence_does_not_matter_to_the_log,
            a_repetition_keeps_its_time,
            // chaining
            hashes_are_those_of_the_specification,
            only_ends_of_batches_have_a_hash,
            no_two_batches_have_the_same_hash,
            witnessed_heads_are_compared,
            statistics_count_what_is_there,
            growth_is_announced_to_everybody,
            what_leaves_no_trace_is_not_announced,
            // transferring
            batches_are_read_in_pages,
        }
        $crate::event_store_contract! { @reopening $fixture:
            // repeating
            a_repetition_is_recognised_after_a_restart,
            // owning
            owners_are_known_after_a_restart,
            // paging
            a_log_is_the_same_after_a_restart,
            // timing
            time_does_not_turn_around_over_a_restart,
            // chaining
            the_chain_goes_on_after_a_restart,
            // transferring
            a_copy_survives_a_restart,
        }
        $crate::event_store_contract! { @pairs $fixture:
            // chaining
            two_logs_of_the_same_appends_have_the_same_hashes,
            // transferring
            a_log_is_copied_whole,
            a_log_is_copied_in_small_pieces,
            an_import_may_be_repeated,
            an_empty_import_gives_the_end,
            a_copy_goes_on_where_the_log_was,
            a_changed_batch_is_refused,
            a_changed_batch_that_is_there_already_is_refused,
            a_batch_that_does_not_follow_is_refused,
            another_history_is_refused,
            a_forged_batch_is_refused,
            an_import_is_announced,
            large_batches_are_copied,
            an_import_beside_appends_leaves_one_history,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// A case that the macro does not name would never run.
    #[test]
    fn every_case_is_in_the_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/event_store_contract");
        let mut cases = BTreeSet::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for line in source.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
                cases.insert(line.split('(').next().unwrap().to_owned());
            }
        }
        let list = include_str!("event_store_contract.rs");
        let named = list.lines().filter_map(|line| line.trim().strip_suffix(','));
        let named: BTreeSet<String> = named.map(str::to_owned).collect();
        let missing: Vec<_> = cases.difference(&named).collect();
        assert!(cases.len() > 150 && missing.is_empty(), "of {}: {missing:?}", cases.len());
    }
}
