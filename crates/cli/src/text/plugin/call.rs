//! What asking and calling plugins came to.

use flexcore_api::{
    CapabilityUseView, PluginCallList, PluginCallView, PluginConfigValidated, PluginExecuted,
    PluginInitialized, PluginSchemaView,
};
use serde_json::Value;

use crate::{
    report::PluginLogReport,
    text::{Align, Style, Table, builder::Text, count_text, execution::time_text, printable},
};

/// What starting a plugin came to.
pub(crate) fn plugin_initialized_text(initialized: &PluginInitialized, style: Style) -> String {
    let PluginInitialized { name, version, problem, .. } = initialized;
    match problem {
        None => format!("{} {version} is started and well\n", style.bold(name)),
        Some(problem) => {
            let problem = style.red(printable(problem));
            format!("{} {version} is started and not well: {problem}\n", style.bold(name))
        }
    }
}

/// What a call came to: what it answered, then the records of each data stream as JSON Lines.
pub(crate) fn plugin_executed_text(executed: &PluginExecuted, style: Style) -> String {
    let mut text = Text::default();
    let place = executed.isolation.as_ref().map_or("nowhere", |isolation| &isolation.place);
    let duration = executed.duration_ms;
    text.line(style.dim(format!("{} took {duration} ms, {place}", executed.call)));
    for one in &executed.uses {
        text.line(style.dim(use_text(one)));
    }
    if let Some(result) = executed.result.as_ref().filter(|result| !result.is_null()) {
        text.line(pretty(result));
    }
    for (name, records) in &executed.records {
        let count = count_text(records.len() as u64);
        text.line(style.bold(format!("── {name}, {count} records")));
        for record in records {
            text.line(record.to_string());
        }
    }
    text.finish()
}

/// What is wrong with settings.
pub(crate) fn plugin_validated_text(validated: &PluginConfigValidated, style: Style) -> String {
    let mut text = Text::default();
    for problem in &validated.problems {
        let place = if problem.pointer.is_empty() { "config" } else { &problem.pointer };
        let line = format!("{place}: {}", printable(&problem.message));
        text.line(if problem.warning { style.yellow(line) } else { style.red(line) });
    }
    text.line(if validated.valid {
        "the settings can be used"
    } else {
        "the settings cannot be used"
    });
    text.finish()
}

/// The schemas of a plugin.
pub(crate) fn plugin_schema_text(schema: &PluginSchemaView, style: Style) -> String {
    let mut text = Text::default();
    match &schema.config {
        Some(config) => text.line(pretty(config)),
        None => text.line("the plugin has no schema of its settings"),
    }
    for (name, schema) in &schema.data_streams {
        text.line(style.bold(format!("── {name}")));
        text.line(pretty(schema));
    }
    text.finish()
}

/// Calls by hand.
pub(crate) fn plugin_calls_text(calls: &PluginCallList, style: Style) -> String {
    if calls.items.is_empty() {
        return "no calls by hand\n".to_owned();
    }
    let mut table = Table::new([
        ("call", Align::Left),
        ("started", Align::Left),
        ("status", Align::Left),
        ("ms", Align::Right),
        ("records", Align::Right),
        ("refused", Align::Right),
        ("error", Align::Left),
    ]);
    for call in &calls.items {
        let refused: u64 = call.uses.iter().filter(|one| !one.allowed).map(|one| one.times).sum();
        let error = call.error.as_deref().and_then(|error| error.lines().next());
        table.row([
            call.call.clone(),
            time_text(&call.started_at),
            call.status.clone(),
            call.duration_ms.map(count_text).unwrap_or_default(),
            call.records.map(count_text).unwrap_or_default(),
            if refused == 0 { String::new() } else { count_text(refused) },
            error.unwrap_or_default().to_owned(),
        ]);
    }
    table.text(style)
}

/// What a call by hand wrote.
pub(crate) fn plugin_log_text(report: &PluginLogReport, style: Style) -> String {
    let mut text = Text::default();
    let PluginCallView { call, status, error, .. } = &report.call;
    text.line(style.bold(format!("── {call}, {status}")));
    if let Some(error) = error {
        text.line(style.red(printable(error)));
    }
    for line in &report.lines {
        let clock = line.time.split_once('T').map_or(line.time.as_str(), |(_, clock)| clock);
        let clock = clock.get(..12).unwrap_or(clock);
        text.line(format!("{} {:<6} {}", style.dim(clock), line.source, line.line));
    }
    if report.lines.is_empty() {
        text.line("nothing was logged");
    }
    text.finish()
}

fn use_text(one: &CapabilityUseView) -> String {
    let refused = if one.allowed { "" } else { ", refused" };
    format!("{}: {} times, {} bytes{refused}", one.capability, one.times, one.bytes)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}
