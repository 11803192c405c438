//! Metrics in the text format of Prometheus.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use flexcore_ports::metric::{self, Metric, MetricKind};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::process;

/// Reads something that is only looked at when metrics are.
type Reading = Box<dyn Fn() + Send + Sync>;

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    readings: Arc<Mutex<Vec<Reading>>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Collects what this process counts from now on; `None` if somebody else does already. To be
    /// called before the parts are made that count.
    pub fn install(version: &'static str) -> Option<Self> {
        let mut builder = PrometheusBuilder::new();
        for Metric { name, kind, .. } in metric::ALL {
            if let MetricKind::Histogram(bounds) = kind {
                let matcher = Matcher::Full((*name).to_owned());
                builder = builder.set_buckets_for_metric(matcher, bounds).ok()?;
            }
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).ok()?;
        let by_hand = |metric: &&Metric| metric.name == metric::PROCESS_CPU_SECONDS.name;
        metric::ALL.iter().filter(|metric| !by_hand(metric)).for_each(describe);
        metrics::gauge!(metric::BUILD_INFO.name, "version" => version).set(1.0);
        let readings = Arc::new(Mutex::new(vec![Box::new(process::read) as Reading]));
        Some(Self { handle, readings })
    }

    /// Has something read whenever somebody looks. It must be quick.
    pub fn when_read(&self, reading: impl Fn() + Send + Sync + 'static) {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(reading));
    }

    /// All of them, as Prometheus reads them.
    pub fn render(&self) -> String {
        for reading in self.readings.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            reading();
        }
        let mut text = self.handle.render();
        if let Some(seconds) = process::cpu_seconds() {
            let Metric { name, help, kind, .. } = metric::PROCESS_CPU_SECONDS;
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {}\n{name} {seconds}",
                kind.as_str()
            );
        }
        text
    }

    /// Sums up what histograms have gathered. Called every few seconds, it bounds their memory also
    /// while nobody looks.
    pub fn tidy(&self) {
        self.handle.run_upkeep();
    }
}

/// Says what a metric means. One whose labels are known is there from the start, so that what has
/// not happened yet is 0 rather than unknown.
fn describe(metric: &Metric) {
    let Metric { name, kind, help, .. } = *metric;
    match kind {
        MetricKind::Counter => metrics::describe_counter!(name, help),
        MetricKind::Gauge => metrics::describe_gauge!(name, help),
        MetricKind::Histogram(_) => metrics::describe_histogram!(name, help),
    }
    for labels in combinations(metric.labels) {
        match kind {
            MetricKind::Counter => metrics::counter!(name, &labels).absolute(0),
            MetricKind::Gauge => metrics::gauge!(name, &labels).set(0.0),
            MetricKind::Histogram(_) => drop(metrics::histogram!(name, &labels)),
        }
    }
}

/// Every combination of values; none if those of a label are not known.
fn combinations(
    labels: &[(&'static str, &[&'static str])],
) -> Vec<Vec<(&'static str, &'static str)>> {
    labels.iter().fold(vec![vec![]], |known, (label, values)| {
        let with = |value: &&'static str| {
            let add = |one: &Vec<_>| [one.clone(), vec![(*label, *value)]].concat();
            known.iter().map(add).collect::<Vec<_>>()
        };
        values.iter().flat_map(with).collect()
    })
}
