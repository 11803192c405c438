//! How much the log says and how, changeable while it is written.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use flexcore_ports::LogLevel;
use tracing::{Metadata, Subscriber, level_filters, subscriber::Interest};
use tracing_subscriber::layer::{Context, Filter};

use super::LogFormat;

/// What the names of our crates begin with.
const OURS: &str = "flexcore";

/// The level of the log, and its form.
#[derive(Debug)]
pub(super) struct Level {
    level: AtomicUsize,
    is_json: AtomicBool,
}

impl Level {
    pub(super) fn new(level: LogLevel) -> Self {
        Self { level: AtomicUsize::new(place(level)), is_json: AtomicBool::new(false) }
    }

    pub(super) fn get(&self) -> LogLevel {
        LogLevel::ALL[self.level.load(Ordering::Relaxed)]
    }

    pub(super) fn set(&self, level: LogLevel) {
        self.level.store(place(level), Ordering::Relaxed);
        // What was found uninteresting before may be interesting now.
        tracing::callsite::rebuild_interest_cache();
    }

    pub(super) fn set_format(&self, format: LogFormat) {
        self.is_json.store(format == LogFormat::Json, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    fn format(&self) -> LogFormat {
        if self.is_json.load(Ordering::Relaxed) { LogFormat::Json } else { LogFormat::Pretty }
    }

    fn filter(&self) -> level_filters::LevelFilter {
        match self.get() {
            LogLevel::Error => level_filters::LevelFilter::ERROR,
            LogLevel::Warn => level_filters::LevelFilter::WARN,
            LogLevel::Info => level_filters::LevelFilter::INFO,
            LogLevel::Debug => level_filters::LevelFilter::DEBUG,
            LogLevel::Trace => level_filters::LevelFilter::TRACE,
        }
    }
}

fn place(level: LogLevel) -> usize {
    LogLevel::ALL.iter().position(|one| *one == level).unwrap_or_default()
}

/// Lets through what the level asks for, while the log has this form; `None` is any.
pub(super) struct LevelFilter {
    level: Arc<Level>,
    format: Option<LogFormat>,
}

impl LevelFilter {
    pub(super) fn new(level: Arc<Level>, format: Option<LogFormat>) -> Self {
        Self { level, format }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        if self.format.is_some_and(|format| format != self.level.format()) {
            return false;
        }
        let level = self.level.filter();
        let is_ours = metadata.target().starts_with(OURS);
        if metadata.is_span() {
            let most = match self.format {
                // Lines for machines say where they were written, however few of them there are.
                Some(LogFormat::Json) => level.max(level_filters::LevelFilter::INFO),
                // People who want few lines want no cost for each request either.
                Some(LogFormat::Pretty) => level,
                None => level_filters::LevelFilter::OFF,
            };
            return is_ours && *metadata.level() <= most;
        }
        // Of libraries only what went wrong: they log what passes through them, payloads included.
        let most = if is_ours { level } else { level.min(level_filters::LevelFilter::WARN) };
        *metadata.level() <= most
    }
}

impl<S: Subscriber> Filter<S> for LevelFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<level_filters::LevelFilter> {
        let level = self.level.filter();
        Some(match self.format {
            Some(LogFormat::Json) => level.max(level_filters::LevelFilter::INFO),
            _ => level,
        })
    }
}
