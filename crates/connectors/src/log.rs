//! Log lines on standard error, in the words that Singer runners look for.

use std::{
    error::Error,
    fmt::Display,
    io::{self, Write as _},
};

use flexcore_singer::{Json, Object};

/// Writes one line for people. A closed standard error is no reason to stop.
pub(crate) fn info(message: impl Display) {
    write_line("INFO", &message);
}

/// Writes one line about something that people should look at.
pub(crate) fn warn(message: impl Display) {
    write_line("WARNING", &message);
}

/// Writes why the connector ends: the error and all of its causes on one line.
pub(crate) fn critical(connector: &str, error: &dyn Error) {
    write_line("CRITICAL", &format_args!("{connector}: {}", chain(error)));
}

/// Writes Singer's metric of how many records of a stream went through.
pub(crate) fn record_count(stream: &str, count: u64) {
    let tags: Object = [("stream", Json::from(stream))].into_iter().collect();
    let metric: Object = [
        ("type", Json::from("counter")),
        ("metric", Json::from("record_count")),
        ("value", Json::from(count)),
        ("tags", Json::from(tags)),
    ]
    .into_iter()
    .collect();
    write_line("INFO", &format_args!("METRIC: {}", Json::from(metric)));
}

/// An error and its causes, joined by colons.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn write_line(level: &str, message: &dyn Display) {
    // One write per line, so that lines of two processes on one terminal do not mix.
    let line = format!("{level} {message}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}
