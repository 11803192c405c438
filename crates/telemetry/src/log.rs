//! The program's own log: to standard error, as text for people or as JSON for machines, without
//! secrets, and as verbose as the operator wants it at the moment.

mod count;
mod json;
mod level;
mod masked;

use std::{io::IsTerminal as _, sync::Arc};

use flexcore_ports::{Clock, LogControl, LogLevel, Mask};
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::Traces;
use count::CountLayer;
use json::JsonLayer;
use level::{Level, LevelFilter};
use masked::{MaskedStderr, Masks};

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// An object for each line, with everything that is known of its place: request, execution,
    /// step, trace.
    Json,
}

/// The log of this process, and what else hears of its spans.
#[derive(Debug, Clone)]
pub struct Logging {
    level: Arc<Level>,
    masks: Arc<Masks>,
    traces: Traces,
}

impl Logging {
    /// Starts the log, for people. In a process that logs already it changes nothing but what is said here.
    pub fn start(level: LogLevel, clock: Arc<dyn Clock>) -> Self {
        let (level, masks) = (Arc::new(Level::new(level)), Arc::new(Masks::default()));
        let traces = Traces::new(Arc::clone(&clock), Arc::clone(&masks) as Arc<dyn Mask>);
        let output = MaskedStderr(Arc::clone(&masks));
        let filter = |format| LevelFilter::new(Arc::clone(&level), format);
        let pretty = tracing_subscriber::fmt::layer()
            .with_writer(output.clone())
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_filter(filter(Some(LogFormat::Pretty)));
        let json = JsonLayer::new(output, clock).with_filter(filter(Some(LogFormat::Json)));
        let counts = CountLayer.with_filter(filter(None));
        let registry = tracing_subscriber::registry().with(pretty).with(json).with(counts);
        // A second call is a second program in one process, which only tests could do.
        let _ = registry.with(traces.layer()).try_init();
        Self { level, masks, traces }
    }

    /// Has every later line look like this.
    pub fn set_format(&self, format: LogFormat) {
        self.level.set_format(format);
    }

    /// Has every later line hide what this mask hides.
    pub fn hide(&self, mask: Arc<dyn Mask>) {
        self.masks.add(mask);
    }

    /// The traces of this process.
    pub fn traces(&self) -> &Traces {
        &self.traces
    }
}

impl LogControl for Logging {
    fn level(&self) -> LogLevel {
        self.level.get()
    }

    fn set_level(&self, level: LogLevel) {
        self.level.set(level);
    }
}
