//! From spans of `tracing` to spans of a trace.

use std::{
    borrow::Cow,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use flexcore_ports::{Clock, Mask, SpanId, TraceContext, metric};
use metrics::Counter;
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{Event as SpanEvent, SpanContext, SpanKind, Status, TraceFlags, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents};
use tokio::sync::mpsc;
use tracing::{
    Event, Metadata, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use super::fields::{Fields, cut};

/// How many events are kept of one span.
const MAX_EVENTS: usize = 32;

/// What the names of our crates begin with.
const OURS: &str = "flexcore";

/// The traces of this process. Until a collector is connected nothing is kept.
#[derive(Clone)]
pub struct Traces {
    shared: Arc<Shared>,
}

struct Shared {
    connected: OnceLock<Connected>,
    clock: Arc<dyn Clock>,
    mask: Arc<dyn Mask>,
    scope: InstrumentationScope,
    /// Tells spans with the same name under the same span apart.
    number: AtomicU64,
}

struct Connected {
    queue: mpsc::Sender<SpanData>,
    dropped: Counter,
}

/// A span that has not ended.
struct Open {
    place: TraceContext,
    /// Its content; `None` if its trace is not sampled.
    content: Option<Content>,
}

struct Content {
    parent: Option<SpanId>,
    began: Instant,
    start: SystemTime,
    name: Cow<'static, str>,
    fields: Fields,
    events: Vec<SpanEvent>,
    events_dropped: u32,
}

impl std::fmt::Debug for Traces {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_connected = self.shared.connected.get().is_some();
        formatter.debug_struct("Traces").field("connected", &is_connected).finish_non_exhaustive()
    }
}

impl Traces {
    /// Traces that go nowhere yet. `mask` hides secrets in what leaves this process.
    pub fn new(clock: Arc<dyn Clock>, mask: Arc<dyn Mask>) -> Self {
        // Processes that share a trace must not give the same ids.
        let seed = u64::try_from(clock.now().as_micros()).unwrap_or_default();
        let shared = Shared {
            connected: OnceLock::new(),
            clock,
            mask,
            scope: InstrumentationScope::builder("flexcore").build(),
            number: AtomicU64::new(seed),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Hands every span that ends from now on to a queue. The first call counts.
    pub(super) fn connect(&self, queue: mpsc::Sender<SpanData>) {
        let dropped = metrics::counter!(metric::TRACE_SPANS.name, "outcome" => "dropped");
        let _ = self.shared.connected.set(Connected { queue, dropped });
        // What nobody was interested in before is wanted now.
        tracing::callsite::rebuild_interest_cache();
    }

    /// What takes spans from `tracing`.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        TraceLayer { shared: Arc::clone(&self.shared) }
            .with_filter(Wanted(Arc::clone(&self.shared)))
    }
}

/// Lets through spans of ours, and what went wrong in them; nothing before there is a queue, so that
/// spans cost nothing then.
struct Wanted(Arc<Shared>);

impl Wanted {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let most = if metadata.is_span() { LevelFilter::INFO } else { LevelFilter::WARN };
        let is_connected = self.0.connected.get().is_some();
        is_connected && metadata.target().starts_with(OURS) && *metadata.level() <= most
    }
}

impl<S> Filter<S> for Wanted {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.0.connected.get() {
            Some(_) => LevelFilter::INFO,
            None => LevelFilter::OFF,
        })
    }
}

struct TraceLayer {
    shared: Arc<Shared>,
}

impl TraceLayer {
    fn now(&self) -> SystemTime {
        let micros = u64::try_from(self.shared.clock.now().as_micros()).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
    }

    /// Where a span is that does not say so.
    fn under(&self, parent: TraceContext, name: &str) -> TraceContext {
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed);
        parent.child(&format!("{name}/{number}"))
    }

    fn ended(&self, place: TraceContext, content: Content) -> SpanData {
        let Content { parent, began, start, name, fields, events, events_dropped } = content;
        let hide = |text: &str| self.shared.mask.apply(text).into_owned();
        let attributes = fields.attributes.into_iter().map(|attribute| match attribute.value {
            opentelemetry::Value::String(text) => KeyValue::new(attribute.key, hide(text.as_str())),
            value => KeyValue::new(attribute.key, value),
        });
        let mut kept = SpanEvents::default();
        kept.events = events;
        kept.dropped_count = events_dropped;
        let status = fields.error.map(|error| Status::error(hide(&error)));
        SpanData {
            span_context: SpanContext::new(
                opentelemetry::TraceId::from_bytes(place.trace().to_bytes()),
                opentelemetry::SpanId::from_bytes(place.span().to_bytes()),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: parent.map_or(opentelemetry::SpanId::INVALID, |parent| {
                opentelemetry::SpanId::from_bytes(parent.to_bytes())
            }),
            parent_span_is_remote: false,
            span_kind: fields.kind.unwrap_or(SpanKind::Internal),
            name: fields.name.map_or(name, Cow::Owned),
            start_time: start,
            // The wall clock may be set while a span is open.
            end_time: start + began.elapsed(),
            attributes: attributes.collect(),
            dropped_attributes_count: fields.dropped,
            events: kept,
            links: opentelemetry_sdk::trace::SpanLinks::default(),
            status: status.unwrap_or_default(),
            instrumentation_scope: self.shared.scope.clone(),
        }
    }
}

impl<S> Layer<S> for TraceLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, registry: Context<'_, S>) {
        let Some(span) = registry.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let around = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            extensions.get::<Open>().map(|open| open.place)
        });
        let name = span.name();
        let (place, parent) = match (fields.place(), around) {
            (Some(place), _) => (place, fields.parent),
            (None, Some(around)) => (self.under(around, name), Some(around.span())),
            (None, None) => return,
        };
        let content = place.is_sampled().then(|| Content {
            parent,
            began: Instant::now(),
            start: self.now(),
            name: Cow::Borrowed(name),
            fields,
            events: vec![],
            events_dropped: 0,
        });
        span.extensions_mut().insert(Open { place, content });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, registry: Context<'_, S>) {
        let Some(span) = registry.span(id) else { return };
        let mut extensions = span.extensions_mut();
        let open = extensions.get_mut::<Open>();
        if let Some(content) = open.and_then(|open| open.content.as_mut()) {
            values.record(&mut content.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, registry: Context<'_, S>) {
        let Some(span) = registry.event_span(event) else { return };
        let mut extensions = span.extensions_mut();
        let open = extensions.get_mut::<Open>();
        let Some(content) = open.and_then(|open| open.content.as_mut()) else { return };
        if content.events.len() >= MAX_EVENTS {
            content.events_dropped += 1;
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let is_message = |attribute: &KeyValue| attribute.key.as_str() == "message";
        let (message, mut attributes): (Vec<_>, Vec<_>) =
            fields.attributes.into_iter().partition(is_message);
        let hide = |text: &str| self.shared.mask.apply(cut(text)).into_owned();
        let name =
            message.first().map_or_else(|| "event".to_owned(), |one| hide(&one.value.as_str()));
        for attribute in &mut attributes {
            if let opentelemetry::Value::String(text) = &attribute.value {
                attribute.value = hide(text.as_str()).into();
            }
        }
        attributes.push(KeyValue::new("level", event.metadata().level().as_str()));
        content.events.push(SpanEvent::new(name, self.now(), attributes, fields.dropped));
    }

    fn on_close(&self, id: Id, registry: Context<'_, S>) {
        let Some(span) = registry.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        let (Some(content), Some(connected)) = (open.content, self.shared.connected.get()) else {
            return;
        };
        if connected.queue.try_send(self.ended(open.place, content)).is_err() {
            connected.dropped.increment(1);
        }
    }
}
