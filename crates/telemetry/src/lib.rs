//! What operators see of a running program: metrics in the format of Prometheus, traces over OTLP,
//! and its own log.
//!
//! Everything else counts through the facade `metrics` and opens spans through the facade `tracing`;
//! without this crate both cost next to nothing and go nowhere. The names of metrics are in
//! [`flexcore_ports::metric`].
//!
//! # What this crate must not know
//!
//! What is counted and why: it collects, hands over, and never makes anybody wait. A collector that
//! does not answer costs spans, which are counted as lost, and nothing else.
//!
//! # How to add a metric
//!
//! Name it in `ports`, count where it happens, and run the tests: they say which line
//! docs/observability.md lacks.

mod log;
mod metrics;
mod process;
mod trace;

pub use log::{LogFormat, Logging};
pub use metrics::Metrics;
pub use trace::{
    OtlpProtocol, TraceExport, TraceExportError, TraceExportOptions, TracedEventStore, Traces,
};
