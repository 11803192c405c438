//! The program's own log: to standard error, quiet unless asked for.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::LevelFilter;

/// Starts the log at a level (`warn`, `info`, …); called once.
pub(crate) fn start(level: &str) {
    let level: LevelFilter = level.parse().unwrap_or(LevelFilter::WARN);
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    let log = log.with_ansi(std::io::stderr().is_terminal());
    // A second call is a second program in one process, which only tests could do.
    let _ = log.with_target(false).try_init();
}
