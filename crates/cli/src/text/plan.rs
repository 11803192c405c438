//! What a run would do.

use flexcore_api::BookmarkView;
use flexcore_pipeline_file::{ParameterInfo, SettingsEntry};
use flexcore_singer::State;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::{Style, builder::Text, execution::time_text, graph_text, printable, shortened};
use crate::report::{PlanReport, RightsPlan, StepPlan, StreamReport, SyncPlan};

/// The widest setting that has its origin beside it.
const SETTING: usize = 60;

/// How much of a stream's bookmark is shown; `bookmark show` has all of it.
const BOOKMARK: usize = 120;

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
        }
    }
    if let Some(rights) = &step.rights {
        text.push(rights_text(rights, style));
    }
    if let Some(sync) = &step.sync {
        text.push(sync_text(sync, style));
    }
    text.finish()
}

/// What a step gets of what it asks for; nothing where it asks for nothing.
fn rights_text(rights: &RightsPlan, style: Style) -> String {
    let mut text = Text::default();
    let listed =
        |texts: &[String]| texts.iter().map(|one| printable(one)).collect::<Vec<_>>().join(", ");
    if !rights.granted.is_empty() {
        text.line(format!("  granted: {}", listed(&rights.granted)));
    }
    if !rights.lowered.is_empty() {
        text.line(format!("  lowered by the operator: {}", listed(&rights.lowered)));
    }
    if !rights.missing.is_empty() {
        text.line(format!("  {}: {}", style.yellow("not granted"), listed(&rights.missing)));
        text.line("  `run --grant` grants it, or these lines in the operator's grants.toml:");
        for line in rights.lines.iter().flat_map(|lines| lines.lines()) {
            text.line(format!("    {line}"));
        }
    }
    if let Some(reason) = &rights.unknown {
        text.line(format!("  decided when the step starts: {}", printable(reason)));
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
        for (index, line) in bookmark_lines(view).iter().enumerate() {
            text.fact(style, if index == 0 { "starts from" } else { "" }, line);
        }
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

/// When the bookmark was made, then what it says about each stream.
fn bookmark_lines(view: &BookmarkView) -> Vec<String> {
    let state = view.state.as_ref().and_then(|state| State::parse(state.get()).ok());
    let Some(state) = state.filter(|state| !state.is_empty()) else {
        return vec!["the beginning: there is no bookmark".to_owned()];
    };
    let at = view.changed_at.as_deref().map(time_text).unwrap_or_default();
    let mut lines = vec![format!("the bookmark of {at}")];
    let of_stream = |stream| {
        let bookmark = state.stream(stream).map(ToString::to_string).unwrap_or_default();
        shortened(&format!("{stream}: {bookmark}"), BOOKMARK)
    };
    lines.extend(state.streams().map(of_stream));
    lines
}

/// Settings with their origins in a column; behind a long one its origin has a line of its own.
fn entries_text(entries: &[SettingsEntry], style: Style) -> String {
    let line = |entry: &SettingsEntry| {
        let path = if entry.path.is_empty() { String::new() } else { entry.path.join(".") + ": " };
        printable(&(path + &compact(&entry.value)))
    };
    let lines: Vec<String> = entries.iter().map(line).collect();
    let widths: Vec<usize> = lines.iter().map(|line| line.width()).collect();
    let column = widths.iter().copied().filter(|width| *width <= SETTING).max().unwrap_or(0);
    let mut text = Text::default();
    for ((line, width), entry) in lines.iter().zip(widths).zip(entries) {
        let origin = style.dim(format!("# {}", entry.origin));
        if width <= SETTING {
            text.line(format!("  {line}{}  {origin}", " ".repeat(column - width)));
        } else {
            text.line(format!("  {line}\n      {origin}"));
        }
    }
    text.finish()
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
