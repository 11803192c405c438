//! Traces: spans of this process, handed to a collector over OTLP.
//!
//! Spans come from the facade `tracing`. One that says where it is (`trace_id`, `span_id`) is there;
//! any other is under the span around it; one without either belongs to no trace. What is not
//! sampled is not kept. Spans that end go into a bounded queue; a task of its own takes them from
//! there in batches. Whoever ends a span never waits.

mod export;
mod fields;
mod layer;
mod store;

pub use export::{OtlpProtocol, TraceExport, TraceExportError, TraceExportOptions};
pub use layer::Traces;
pub use store::TracedEventStore;
