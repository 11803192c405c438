//! Lines as JSON objects: time, level, message, the fields of the event, and those of every span
//! around it, from the inside out. So a line says by itself which request, execution, step and
//! trace it belongs to.

use std::{fmt, io::Write as _, sync::Arc};

use flexcore_eventsourcing::Timestamp;
use flexcore_ports::Clock;
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, fmt::MakeWriter as _, layer::Context, registry::LookupSpan};

use super::masked::MaskedStderr;

/// Fields that are said in other words, or to collectors only.
const LEFT_OUT: [&str; 4] = ["otel.name", "otel.kind", "sampled", "parent_id"];

pub(super) struct JsonLayer {
    output: MaskedStderr,
    clock: Arc<dyn Clock>,
}

impl JsonLayer {
    pub(super) fn new(output: MaskedStderr, clock: Arc<dyn Clock>) -> Self {
        Self { output, clock }
    }
}

/// The fields of a span.
#[derive(Default)]
struct Said(Map<String, Value>);

impl<S> Layer<S> for JsonLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut said = Said::default();
        attributes.record(&mut said);
        span.extensions_mut().insert(said);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(said) = span.extensions_mut().get_mut::<Said>() {
            values.record(said);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = Said::default();
        line.put("time", time(self.clock.now()).into());
        line.put("level", metadata.level().as_str().to_ascii_lowercase().into());
        line.put("target", metadata.target().into());
        event.record(&mut line);
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            let Some(said) = extensions.get::<Said>() else { continue };
            for (name, value) in &said.0 {
                // What is further in says it more exactly.
                if !line.0.contains_key(name) {
                    line.put(name, value.clone());
                }
            }
        }
        let mut text = Value::Object(line.0).to_string();
        text.push('\n');
        // Nobody is left to be told of a log that cannot be written.
        let _ = self.output.make_writer().write_all(text.as_bytes());
    }
}

/// RFC 3339 in UTC.
fn time(now: Timestamp) -> String {
    match jiff::Timestamp::from_microsecond(now.as_micros()) {
        Ok(time) => format!("{time:.6}"),
        Err(_) => format!("{}us", now.as_micros()),
    }
}

impl Said {
    fn put(&mut self, name: &str, value: Value) {
        if !LEFT_OUT.contains(&name) {
            self.0.insert(name.to_owned(), value);
        }
    }
}

impl Visit for Said {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}").into());
    }
}
