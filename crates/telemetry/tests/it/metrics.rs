//! The page of metrics.

use flexcore_ports::metric::{self, AppendCounts};
use flexcore_telemetry::Metrics;

#[test]
fn what_is_counted_is_on_the_page_and_what_was_not_is_zero() {
    let metrics = Metrics::install("1.2.3").expect("nobody else counts in this process");
    assert!(Metrics::install("1.2.3").is_none(), "only one may");
    let counts = AppendCounts::new();
    counts.batch(3, std::time::Duration::from_millis(2));
    counts.answered(2, 1, 0);
    metrics.when_read(|| metrics::gauge!(metric::LOG_POSITION.name).set(3.0));
    metrics.tidy();
    let text = metrics.render();
    for line in [
        "flexcore_build_info{version=\"1.2.3\"} 1",
        "flexcore_append_events_total 3",
        "flexcore_append_requests_total{outcome=\"accepted\"} 2",
        "flexcore_append_requests_total{outcome=\"failed\"} 0",
        "flexcore_append_batch_events_bucket{le=\"2\"} 0",
        "flexcore_append_batch_events_bucket{le=\"4\"} 1",
        "flexcore_append_batch_duration_seconds_bucket{le=\"0.0025\"} 1",
        "flexcore_log_position 3",
        "flexcore_executions_ended_total{status=\"failed\"} 0",
        "flexcore_plugin_calls_total{kind=\"http\",outcome=\"refused\"} 0",
        "# TYPE process_cpu_seconds_total counter",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    for metric in metric::ALL {
        let is_known = metric.labels.iter().all(|(_, values)| !values.is_empty());
        let help = format!("# HELP {} {}", metric.name, metric.help);
        assert!(!is_known || text.contains(&help), "{help}");
    }
}
