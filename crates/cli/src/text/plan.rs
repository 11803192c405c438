//! What a run would do.

use flexcore_api::BookmarkView;
use flexcore_pipeline_file::{ParameterInfo, SettingsEntry};
use flexcore_singer::State;
use serde_json::Value;

use super::{Style, builder::Text, execution::time_text, graph_text, printable};
use crate::report::{PlanReport, StepPlan, StreamReport, SyncPlan};

/// The widest column of settings; longer ones push their origin to the right.
const SETTING_COLUMN: usize = 60;

/// The whole plan: the DAG, then each step with its settings.
pub(crate) fn plan_text(report: &PlanReport, style: Style) -> String {
    let mut text = Text::default();
    text.line(format!("{}  environment {}", style.bold(&report.pipeline), report.environment));
    text.push("\n");
    text.push(graph_text(&report.steps, style));
    if !report.params.is_empty() {
        text.line(format!("\n{}", style.bold("parameters")));
        for parameter in &report.params {
            text.line(format!("  {}", parameter_text(parameter)));
        }
    }
    if let Some(timeout) = &report.timeout {
        text.line(format!("\n{}", style.bold("timeout")));
        text.push(entries_text(std::slice::from_ref(timeout), style));
    }
    for step in &report.steps {
        text.push(step_text(step, style));
    }
    text.finish()
}

fn parameter_text(parameter: &ParameterInfo) -> String {
    let kind = parameter.schema.get("type").map(compact).unwrap_or_default();
    let default = match (&parameter.default, parameter.required) {
        (Some(default), _) => format!(" = {}", compact(default)),
        (None, true) => " (required)".to_owned(),
        (None, false) => String::new(),
    };
    let secret = if parameter.secret { ", secret" } else { "" };
    printable(&format!("{}: {kind}{secret}{default}", parameter.name))
}

fn step_text(step: &StepPlan, style: Style) -> String {
    let mut text = Text::default();
    text.line(format!("\n{} {}", style.bold(&step.id), style.dim(&step.kind)));
    let timeout = below("timeout", step.timeout.as_slice());
    let variables = below("env", &step.variables);
    text.push(entries_text(&[step.settings.clone(), timeout, variables].concat(), style));
    for (name, entries) in [("capabilities", &step.capabilities), ("limits", &step.limits)] {
        if !entries.is_empty() {
            text.push(entries_text(&below(name, entries), style));
            text.line(format!(
                "  {}",
                style.yellow(format!("{name} are accepted and not yet enforced"))
            ));
        }
    }
    if let Some(sync) = &step.sync {
        text.push(sync_text(sync, style));
    }
    text.finish()
}

/// The same settings below a key.
fn below(key: &str, entries: &[SettingsEntry]) -> Vec<SettingsEntry> {
    let one = |entry: &SettingsEntry| {
        let path = [key.to_owned()].into_iter().chain(entry.path.iter().cloned()).collect();
        SettingsEntry { path, ..entry.clone() }
    };
    entries.iter().map(one).collect()
}

fn sync_text(sync: &SyncPlan, style: Style) -> String {
    let mut text = Text::default();
    let select = match sync.select.as_slice() {
        [] => "whatever the tap's catalog selects".to_owned(),
        rules => printable(&rules.join("  ")),
    };
    text.fact(style, "select", select);
    match (&sync.streams, &sync.undiscovered) {
        (Some(streams), _) => text.fact(style, "streams", streams_text(streams)),
        (None, Some(reason)) => {
            text.fact(style, "streams", format!("not known: {}", printable(reason)));
        }
        (None, None) => {}
    }
    if let Some(view) = &sync.bookmark {
        text.fact(style, "starts from", bookmark_text(view));
        if let Some(holder) = &view.holder {
            text.fact(style, "held by", holder);
        }
    }
    text.finish()
}

fn streams_text(streams: &[StreamReport]) -> String {
    let one = |stream: &StreamReport| {
        let fields = stream.fields.iter().filter(|field| field.selected).count();
        format!("{} ({fields} of {} fields)", printable(&stream.stream), stream.fields.len())
    };
    let selected: Vec<_> = streams.iter().filter(|stream| stream.selected).map(one).collect();
    match selected.as_slice() {
        [] => "none: nothing would be moved".to_owned(),
        selected => selected.join(", "),
    }
}

fn bookmark_text(view: &BookmarkView) -> String {
    let state = view.state.as_ref().and_then(|state| State::parse(state.get()).ok());
    match state.filter(|state| !state.is_empty()) {
        None => "the beginning: there is no bookmark".to_owned(),
        Some(state) => {
            let at = view.changed_at.as_deref().map(time_text).unwrap_or_default();
            format!("the bookmark of {at}: {}", printable(&state.to_string()))
        }
    }
}

/// Settings with their origins in a column.
fn entries_text(entries: &[SettingsEntry], style: Style) -> String {
    let line = |entry: &SettingsEntry| {
        let path = if entry.path.is_empty() { String::new() } else { entry.path.join(".") + ": " };
        path + &compact(&entry.value)
    };
    let lines: Vec<String> = entries.iter().map(|entry| printable(&line(entry))).collect();
    let width = |line: &String| line.chars().count();
    let column = lines.iter().map(width).max().unwrap_or(0).min(SETTING_COLUMN);
    let rows = lines.iter().zip(entries).map(|(line, entry)| {
        format!("  {line:<column$}  {}\n", style.dim(format!("# {}", entry.origin)))
    });
    rows.collect()
}

/// A value in one line; texts without quotes where they cannot be mistaken.
fn compact(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains(['"', '\n']) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
