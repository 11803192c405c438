//! The fields of a span, as they go to a collector.

use std::fmt;

use flexcore_ports::{SpanId, TraceContext, TraceId};
use opentelemetry::{KeyValue, trace::SpanKind};
use tracing::field::{Field, Visit};

/// How many attributes a span has at most.
const MAX_ATTRIBUTES: usize = 64;
/// The longest text of an attribute, in bytes.
const MAX_TEXT: usize = 4 * 1024;

/// What the fields of a span say.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) trace: Option<TraceId>,
    pub(super) span: Option<SpanId>,
    pub(super) parent: Option<SpanId>,
    pub(super) sampled: Option<bool>,
    pub(super) name: Option<String>,
    pub(super) kind: Option<SpanKind>,
    /// Why it did not do its work.
    pub(super) error: Option<String>,
    pub(super) attributes: Vec<KeyValue>,
    pub(super) dropped: u32,
}

impl Fields {
    /// Where the fields say that the span is.
    pub(super) fn place(&self) -> Option<TraceContext> {
        let is_sampled = u8::from(self.sampled.unwrap_or(false));
        TraceContext::parse(&format!("00-{}-{}-{is_sampled:02x}", self.trace?, self.span?))
    }

    fn attribute(&mut self, field: &Field, value: impl Into<opentelemetry::Value>) {
        if self.attributes.len() < MAX_ATTRIBUTES {
            self.attributes.push(KeyValue::new(field.name(), value));
        } else {
            self.dropped += 1;
        }
    }

    fn text(&mut self, field: &Field, text: &str) {
        match field.name() {
            "trace_id" => self.trace = TraceId::parse(text),
            "span_id" => self.span = SpanId::parse(text),
            "parent_id" => self.parent = SpanId::parse(text),
            "otel.name" => self.name = Some(text.to_owned()),
            "otel.kind" => self.kind = Some(kind(text)),
            name => {
                let text = cut(text);
                if name.starts_with("error") {
                    self.error = Some(text.to_owned());
                }
                self.attribute(field, text.to_owned());
            }
        }
    }
}

fn kind(word: &str) -> SpanKind {
    match word {
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

/// The beginning of a text, not in the middle of a character.
pub(super) fn cut(text: &str) -> &str {
    if text.len() <= MAX_TEXT { text } else { &text[..text.floor_char_boundary(MAX_TEXT)] }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "sampled" => self.sampled = Some(value),
            _ => self.attribute(field, value),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attribute(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.attribute(field, value),
            Err(_) => self.attribute(field, value.to_string()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.attribute(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }
}
