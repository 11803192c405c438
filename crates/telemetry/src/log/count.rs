//! How many lines the log wrote: a program that warns a lot wants to be looked at.

use flexcore_ports::metric;
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context};

pub(super) struct CountLayer;

impl<S: Subscriber> Layer<S> for CountLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => "error",
            tracing::Level::WARN => "warn",
            tracing::Level::INFO => "info",
            tracing::Level::DEBUG => "debug",
            tracing::Level::TRACE => "trace",
        };
        metrics::counter!(metric::LOG_LINES.name, "level" => level).increment(1);
    }
}
