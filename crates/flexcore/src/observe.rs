//! What operators see of this process: wiring of metrics, traces and the log.

mod page;
mod watched;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use flexcore_app::{RequestKind, RequestObserver};
use flexcore_cli::{HostError, HostErrorKind};
use flexcore_ports::{EventStore, LogControl, LogLevel, Mask, TraceSampler, metric};
use flexcore_telemetry::{
    LogFormat, Logging, Metrics, OtlpProtocol, TraceExport, TraceExportError, TraceExportOptions,
    TracedEventStore,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    clock::SystemClock,
    host,
    settings::telemetry::{self, TelemetryProtocol, TelemetrySettings},
};
pub(crate) use page::Page;
pub(crate) use watched::Watched;

/// How often histograms are summed up while nobody reads them.
const TIDY: Duration = Duration::from_secs(5);

/// The log, metrics and traces of this process.
#[derive(Debug)]
pub(crate) struct Observability {
    logging: Arc<Logging>,
    metrics: OnceLock<Metrics>,
    sampler: OnceLock<TraceSampler>,
    export: Mutex<Option<TraceExport>>,
}

impl Observability {
    /// Begins with the log alone, at a level (`warn`, `info`, …); called once.
    pub(crate) fn start(level: &str) -> Self {
        let level = level.parse().unwrap_or(LogLevel::Warn);
        Self {
            logging: Arc::new(Logging::start(level, Arc::new(SystemClock))),
            metrics: OnceLock::new(),
            sampler: OnceLock::new(),
            export: Mutex::default(),
        }
    }

    /// Collects what is counted and traced from now on, as a server's settings say. To be called
    /// before the parts are made that count.
    pub(crate) fn serve(&self, settings: &TelemetrySettings) -> Result<(), HostError> {
        self.apply(settings)?;
        if settings.metrics
            && let Some(metrics) = Metrics::install(env!("CARGO_PKG_VERSION"))
        {
            let tidied = metrics.clone();
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval(TIDY);
                loop {
                    ticks.tick().await;
                    tidied.tidy();
                }
            });
            let _ = self.metrics.set(metrics);
        }
        let Some(options) = trace_options(settings)? else { return Ok(()) };
        let export = TraceExport::start(self.logging.traces(), &options);
        let export = export.map_err(|error| refused(&error))?;
        *self.export() = Some(export);
        let _ = self.sampler.set(TraceSampler::new(settings.sample_ratio));
        Ok(())
    }

    /// Takes over what may change while the server runs.
    fn apply(&self, settings: &TelemetrySettings) -> Result<(), HostError> {
        let level = settings.log_level.as_deref().map(|word| {
            word.parse::<LogLevel>()
                .map_err(|error| wrong("telemetry.log_level", &error.to_string()))
        });
        let level = level.transpose()?;
        self.logging.set_format(match settings.log_format {
            telemetry::LogFormat::Pretty => LogFormat::Pretty,
            telemetry::LogFormat::Json => LogFormat::Json,
        });
        if let Some(level) = level {
            self.logging.set_level(level);
        }
        Ok(())
    }

    /// Reads the settings again whenever the process is told to (SIGHUP), as far as they may change
    /// while it runs.
    pub(crate) async fn follow_hangups(
        &self,
        again: impl Fn() -> Result<TelemetrySettings, HostError>,
    ) -> Infallible {
        let mut hangups = match signal(SignalKind::hangup()) {
            Ok(hangups) => hangups,
            Err(error) => {
                tracing::warn!(%error, "the settings cannot be read again while this runs");
                return std::future::pending().await;
            }
        };
        loop {
            hangups.recv().await;
            match again().and_then(|settings| self.apply(&settings)) {
                Ok(()) => tracing::info!("the settings were read again"),
                Err(error) => {
                    tracing::error!(code = error.code, error = error.message, "the settings stay");
                }
            }
        }
    }

    /// Hands over the last spans.
    pub(crate) async fn finish(&self) {
        let export = self.export().take();
        if let Some(export) = export {
            export.finish().await;
        }
    }

    /// The metrics of this process, if it collects them.
    pub(crate) fn metrics(&self) -> Option<&Metrics> {
        self.metrics.get()
    }

    /// Which traces are recorded.
    pub(crate) fn sampler(&self) -> TraceSampler {
        self.sampler.get().copied().unwrap_or_default()
    }

    /// The log.
    pub(crate) fn log(&self) -> Arc<dyn LogControl> {
        Arc::clone(&self.logging) as Arc<dyn LogControl>
    }

    /// Has every line of the log, and every span, hide what this mask hides.
    pub(crate) fn hide(&self, mask: Arc<dyn Mask>) {
        self.logging.hide(mask);
    }

    /// Has parts of this process read whenever somebody reads its metrics.
    pub(crate) fn watch(&self, watched: Watched) {
        if let Some(metrics) = self.metrics.get() {
            metrics.when_read(move || watched.read());
        }
    }

    /// The same log of events, with its appends in traces if there are any.
    pub(crate) fn traced(&self, events: Arc<dyn EventStore>) -> Arc<dyn EventStore> {
        match self.sampler.get() {
            Some(_) => Arc::new(TracedEventStore::new(events)),
            None => events,
        }
    }

    fn export(&self) -> std::sync::MutexGuard<'_, Option<TraceExport>> {
        self.export.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where traces go, if anywhere.
fn trace_options(settings: &TelemetrySettings) -> Result<Option<TraceExportOptions>, HostError> {
    if !settings.tracing.unwrap_or(settings.traces.is_some()) {
        return Ok(None);
    }
    if !(0.0..=1.0).contains(&settings.sample_ratio) {
        let reason = format!("{} is not between 0 and 1", settings.sample_ratio);
        return Err(wrong("telemetry.sample_ratio", &reason));
    }
    let (protocol, usual) = match settings.protocol {
        TelemetryProtocol::Grpc => (OtlpProtocol::Grpc, "http://localhost:4317"),
        TelemetryProtocol::Http => (OtlpProtocol::Http, "http://localhost:4318"),
    };
    Ok(Some(TraceExportOptions {
        endpoint: settings.traces.clone().unwrap_or_else(|| usual.to_owned()),
        protocol,
        service: settings.service_name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node: host::node_name(),
    }))
}

fn wrong(key: &str, reason: &str) -> HostError {
    HostError {
        kind: HostErrorKind::Refused,
        code: "FC0772",
        message: format!("the setting {key} cannot be: {reason}"),
        hint: Some("`flexcore config show` says where each setting comes from".to_owned()),
    }
}

fn refused(error: &TraceExportError) -> HostError {
    HostError {
        kind: HostErrorKind::Refused,
        code: "FC0760",
        message: error.to_string(),
        hint: Some("name a collector as http://HOST:4317, or take the setting away".to_owned()),
    }
}

/// Counts commands and queries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CountedRequests;

impl RequestObserver for CountedRequests {
    fn answered(
        &self,
        kind: RequestKind,
        name: &'static str,
        error: Option<&'static str>,
        elapsed: Duration,
    ) {
        let (count, seconds) = match kind {
            RequestKind::Command => (metric::COMMANDS, metric::COMMAND_SECONDS),
            RequestKind::Query => (metric::QUERIES, metric::QUERY_SECONDS),
        };
        let labels = [("name", name), ("outcome", error.unwrap_or("ok"))];
        metrics::counter!(count.name, &labels).increment(1);
        metrics::histogram!(seconds.name, "name" => name).record(elapsed);
    }
}
