//! The program's own log: to standard error, quiet unless asked for.

use std::io::IsTerminal as _;

use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// What the names of our crates begin with.
const OURS: &str = "flexcore";

/// Starts the log at a level (`warn`, `info`, …); called once.
pub(crate) fn start(level: &str) {
    let level: LevelFilter = level.parse().unwrap_or(LevelFilter::WARN);
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let log = log.with_ansi(std::io::stderr().is_terminal());
    // Of libraries only what went wrong: they log what passes through them, payloads included.
    let shown = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target(OURS, level);
    // A second call is a second program in one process, which only tests could do.
    let _ = tracing_subscriber::registry().with(log.with_filter(shown)).try_init();
}
