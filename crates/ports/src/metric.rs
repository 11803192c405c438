//! What is counted: every metric by name, with its unit, its labels and what it means.
//!
//! Names stand here and nowhere else; docs/observability.md has the same list. Labels are bounded:
//! words of this program (kinds, outcomes, codes, names of commands), never ids, never names that
//! callers make up.

mod appends;

pub use appends::AppendCounts;

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name, with its unit at the end.
    pub name: &'static str,
    /// What its value does.
    pub kind: MetricKind,
    /// Its labels, each with its values where they are known beforehand.
    pub labels: &'static [(&'static str, &'static [&'static str])],
    /// What it means, for a person.
    pub help: &'static str,
}

/// What the value of a metric does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts values by size; these are the upper bounds.
    Histogram(&'static [f64]),
}

impl MetricKind {
    /// Its word in the text format of Prometheus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// Seconds of what should take milliseconds.
const QUICK: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];
/// Seconds of what may take hours.
const LONG: &[f64] =
    &[0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0];
/// Events in a batch.
const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];

macro_rules! values {
    () => {
        &[]
    };
    ($values:expr) => {
        $values
    };
}

macro_rules! metrics {
    ($($constant:ident $name:literal $kind:expr, [$($label:literal $(= $values:expr)?),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: $kind,
                labels: &[$(($label, values!($($values)?))),*],
                help: $help,
            };
        )*

        /// All of them, in the order in which people look for them.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

use MetricKind::{Counter, Gauge, Histogram};

/// The kinds of steps.
const STEPS: &[&str] = &["command", "plugin", "sync"];
/// The kinds of plugins that are called.
const PLUGINS: &[&str] = &["process", "wasm-component", "wasm-extism", "http"];
/// How executions end.
const ENDS: &[&str] = &["completed", "failed", "cancelled"];

metrics! {
    BUILD_INFO "flexcore_build_info" Gauge, ["version"],
        "Always 1; its label is the version of the program.";

    HTTP_REQUESTS "flexcore_http_requests_total" Counter, ["method", "route", "status"],
        "Requests that were answered; `route` is the template of the path.";
    HTTP_REQUEST_SECONDS "flexcore_http_request_duration_seconds" Histogram(QUICK), ["method", "route"],
        "How long it took until the head of an answer was there.";
    HTTP_IN_FLIGHT "flexcore_http_requests_in_flight" Gauge, [],
        "Requests that wait for their answer.";

    COMMANDS "flexcore_commands_total" Counter, ["name", "outcome"],
        "Commands that were answered; `outcome` is `ok` or the code of the error.";
    COMMAND_SECONDS "flexcore_command_duration_seconds" Histogram(QUICK), ["name"],
        "How long commands took.";
    QUERIES "flexcore_queries_total" Counter, ["name", "outcome"],
        "Queries that were answered; `outcome` is `ok` or the code of the error.";
    QUERY_SECONDS "flexcore_query_duration_seconds" Histogram(QUICK), ["name"],
        "How long queries took.";

    APPEND_EVENTS "flexcore_append_events_total" Counter, [],
        "Events that this process appended to the log.";
    APPEND_REQUESTS "flexcore_append_requests_total" Counter, ["outcome" = &["accepted", "refused", "failed"]],
        "Appends that were asked for; `outcome` is `accepted`, `refused` (version or fence) or `failed`.";
    APPEND_BATCH_EVENTS "flexcore_append_batch_events" Histogram(SIZES), [],
        "Events in a batch: what was made durable together.";
    APPEND_BATCH_SECONDS "flexcore_append_batch_duration_seconds" Histogram(QUICK), [],
        "How long it took to make a batch durable.";
    LOG_POSITION "flexcore_log_position" Gauge, [],
        "The last position of the log.";

    PROJECTION_POSITION "flexcore_projection_position" Gauge, ["projection"],
        "The last position that is folded into a view.";
    PROJECTION_LAG "flexcore_projection_lag_events" Gauge, ["projection"],
        "Events of the log that are not folded into a view yet.";
    PROJECTION_STOPPED "flexcore_projection_stopped" Gauge, ["projection"],
        "1 if an event stopped the projection, else 0.";

    EXECUTIONS_STARTED "flexcore_executions_started_total" Counter, [],
        "Executions that this process started.";
    EXECUTIONS_ENDED "flexcore_executions_ended_total" Counter, ["status" = ENDS],
        "Executions that this process drove to their end.";
    EXECUTIONS_RUNNING "flexcore_executions_running" Gauge, [],
        "Executions that this process drives now.";
    EXECUTION_SECONDS "flexcore_execution_duration_seconds" Histogram(LONG), ["status" = ENDS],
        "How long executions took from their start to their end.";
    STEP_ATTEMPTS "flexcore_step_attempts_total" Counter, ["kind" = STEPS, "outcome" = ENDS],
        "Attempts of steps that ended; `outcome` is `completed`, `failed` or `cancelled`.";
    STEP_SECONDS "flexcore_step_duration_seconds" Histogram(LONG), ["kind" = STEPS],
        "How long attempts of steps took.";
    STEP_RETRIES "flexcore_step_retries_total" Counter, ["kind" = STEPS],
        "Failed attempts that are followed by another one.";
    STEPS_SKIPPED "flexcore_steps_skipped_total" Counter, [],
        "Steps that were skipped.";
    LEASES_LOST "flexcore_leases_lost_total" Counter, [],
        "Executions that this process gave up because somebody else drives them now.";

    PLUGIN_CALLS "flexcore_plugin_calls_total" Counter, ["kind" = PLUGINS, "outcome" = &["completed", "failed", "cancelled", "refused"]],
        "Calls of plugins; `outcome` is `completed`, `failed`, `cancelled` or `refused` (the circuit is open).";
    PLUGIN_CALL_SECONDS "flexcore_plugin_call_duration_seconds" Histogram(LONG), ["kind" = PLUGINS],
        "How long calls of plugins took.";
    PLUGIN_CALLS_RUNNING "flexcore_plugin_calls_running" Gauge, [],
        "Calls of plugins that are under way.";
    PLUGIN_CIRCUIT_OPENINGS "flexcore_plugin_circuit_openings_total" Counter, [],
        "How often a circuit opened because a plugin failed.";
    PLUGIN_QUARANTINES "flexcore_plugin_quarantines_total" Counter, [],
        "How often a plugin went into quarantine.";
    PLUGIN_PROCESSES "flexcore_plugin_processes" Gauge, ["state" = &["idle", "busy", "starting"]],
        "Processes of plugins that are kept ready; `state` is `idle`, `busy` or `starting`.";
    PLUGIN_STARTS "flexcore_plugin_process_starts_total" Counter, ["outcome" = &["ready", "failed"]],
        "Processes of plugins that were started; `outcome` is `ready` or `failed`.";

    SANDBOX_SPAWNS "flexcore_sandbox_spawns_total" Counter, ["outcome" = &["started", "failed"]],
        "Programs that were to be started; `outcome` is `started` or `failed`.";

    SYNC_RECORDS "flexcore_sync_records_total" Counter, [],
        "Records that syncs moved.";
    SYNC_BYTES "flexcore_sync_bytes_total" Counter, [],
        "Bytes that syncs moved.";
    BOOKMARKS "flexcore_bookmarks_total" Counter, [],
        "Bookmarks that were recorded.";

    STORE_CONNECTIONS "flexcore_store_connections" Gauge, ["pool", "state"],
        "Connections to the store; `state` is `idle` or `busy`.";

    TRACE_SPANS "flexcore_trace_spans_total" Counter, ["outcome" = &["exported", "dropped", "failed"]],
        "Spans that ended; `outcome` is `exported`, `dropped` (the queue was full) or `failed`.";
    LOG_LINES "flexcore_log_lines_total" Counter, ["level" = &["error", "warn", "info"]],
        "Lines that the program's own log wrote.";

    PROCESS_CPU_SECONDS "process_cpu_seconds_total" Counter, [],
        "Processor time of this process, in seconds.";
    PROCESS_RESIDENT_BYTES "process_resident_memory_bytes" Gauge, [],
        "Memory that is resident, in bytes.";
    PROCESS_VIRTUAL_BYTES "process_virtual_memory_bytes" Gauge, [],
        "Virtual memory, in bytes.";
    PROCESS_OPEN_FDS "process_open_fds" Gauge, [],
        "File descriptors that are open.";
    PROCESS_MAX_FDS "process_max_fds" Gauge, [],
        "The most file descriptors that may be open.";
    PROCESS_THREADS "process_threads" Gauge, [],
        "Threads of this process.";
    PROCESS_START_SECONDS "process_start_time_seconds" Gauge, [],
        "When this process started, in seconds since 1970.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_labels_are_what_prometheus_expects() {
        let mut seen = BTreeSet::new();
        let word = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        for metric in ALL {
            assert!(seen.insert(metric.name), "{} is there twice", metric.name);
            assert!(word(metric.name), "{}", metric.name);
            let is_total = metric.name.ends_with("_total");
            assert_eq!(is_total, metric.kind == Counter, "{}", metric.name);
            assert!(metric.labels.iter().all(|(label, _)| word(label)), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }

    #[test]
    fn the_documentation_has_the_same_table() {
        let text = include_str!("../../../docs/observability.md");
        let between =
            text.split("<!-- metrics:").nth(1).and_then(|text| text.split("<!-- /").next());
        let rows: Vec<&str> =
            between.unwrap().lines().filter(|line| line.starts_with("| `")).collect();
        let row = |metric: &Metric| {
            let labels: Vec<_> =
                metric.labels.iter().map(|(name, _)| format!("`{name}`")).collect();
            let labels = labels.join(", ");
            let space = if labels.is_empty() { "" } else { " " };
            let kind = metric.kind.as_str();
            format!("| `{}` | {kind} |{space}{labels} | {} |", metric.name, metric.help)
        };
        let expected: Vec<String> = ALL.iter().map(row).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn bounds_of_histograms_grow() {
        for metric in ALL {
            if let Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted_by(|one, next| one < next), "{}", metric.name);
            }
        }
    }
}
