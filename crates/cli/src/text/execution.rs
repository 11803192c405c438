//! Executions: lists, one with its history, the summary after a run.

use flexcore_api::{AttemptErrorView, ExecutionPage, ExecutionView, StepView};

use super::{
    Align, Style, Table, builder::Text, bytes_text, count_text, duration_text, printable,
    sandboxes_text, shortened,
};

/// How much of an error stands in a table.
const ERROR_COLUMN: usize = 72;

/// The newest executions.
pub(crate) fn execution_page_text(page: &ExecutionPage, style: Style) -> String {
    if page.items.is_empty() {
        return "no executions\n".to_owned();
    }
    let mut table = Table::new([
        ("execution", Align::Left),
        ("pipeline", Align::Left),
        ("version", Align::Right),
        ("environment", Align::Left),
        ("status", Align::Left),
        ("created", Align::Left),
        ("duration", Align::Right),
        ("error", Align::Left),
    ]);
    for item in &page.items {
        table.row([
            item.id.clone(),
            item.pipeline.clone(),
            item.version.to_string(),
            item.environment.clone(),
            item.status.clone(),
            time_text(&item.created_at),
            item.duration_ms.map(duration_text).unwrap_or_default(),
            item.error.as_deref().map(first_line).unwrap_or_default(),
        ]);
    }
    table.text(style) + &more(page.next.as_deref(), style)
}

/// One execution with its steps and everything that happened.
pub(crate) fn execution_text(view: &ExecutionView, style: Style) -> String {
    let mut text = Text::default();
    text.line(format!("{}  {}", style.bold(&view.id), style.status(&view.status)));
    text.fact(style, "pipeline", format!("{} version {}", view.pipeline, view.version));
    text.fact(style, "environment", &view.environment);
    if view.params.as_object().is_some_and(|params| !params.is_empty()) {
        text.fact(style, "parameters", printable(&view.params.to_string()));
    }
    if let Some(key) = &view.run_key {
        text.fact(style, "run id", printable(key));
    }
    text.fact(style, "created", time_text(&view.created_at));
    if let (Some(started), Some(duration)) = (&view.started_at, view.duration_ms) {
        let started = format!("{}, {}", time_text(started), duration_text(duration));
        text.fact(style, "started", started);
    }
    if view.cancel_requested {
        text.fact(style, "cancel", "requested");
    }
    text.push("\n");
    text.push(steps_table(&view.steps, style));
    let held = sandboxes_text(&view.steps, style);
    if !held.is_empty() {
        text.push("\n");
        text.push(held);
    }
    if let Some(error) = first_error_text(view, style) {
        text.line(format!("\n{error}"));
    }
    text.push("\n");
    text.push(timeline(view, style));
    text.finish()
}

/// What a run came to: a row per step, and the end of the whole.
pub(crate) fn summary_text(view: &ExecutionView, style: Style) -> String {
    let duration = view.duration_ms.map(|millis| format!(" in {}", duration_text(millis)));
    let status = match view.status.as_str() {
        "queued" | "running" => "interrupted",
        status => status,
    };
    format!(
        "{}\n{} {}{}  {}\n",
        steps_table(&view.steps, style),
        style.bold(&view.pipeline),
        style.status(status),
        duration.unwrap_or_default(),
        style.dim(&view.id)
    )
}

/// The first step that failed: what happened and the last lines that its program wrote.
pub(crate) fn first_error_text(view: &ExecutionView, style: Style) -> Option<String> {
    let (step, error) = first_error(view)?;
    let head = style.red(format!("step `{}` failed ({})", step.id, error.reason));
    let mut lines = vec![format!("{head}: {}", lines_printable(&error.message))];
    let tail = error.stderr_tail.iter();
    lines.extend(tail.map(|line| format!("  {} {}", style.dim("|"), printable(line))));
    Some(lines.join("\n"))
}

/// The error that came first among the steps that failed for good.
pub(crate) fn first_error(view: &ExecutionView) -> Option<(&StepView, &AttemptErrorView)> {
    let failed = |id: &str| {
        let step = view.steps.iter().find(|step| step.id == id)?;
        Some((step, step.error.as_ref()?))
    };
    let in_time = view.timeline.iter().filter(|entry| entry.event == "StepFailed");
    let mut in_time = in_time.filter_map(|entry| failed(entry.step.as_deref()?));
    let any = || view.steps.iter().find_map(|step| Some((step, step.error.as_ref()?)));
    in_time.next().or_else(any)
}

fn steps_table(steps: &[StepView], style: Style) -> String {
    let mut table = Table::new([
        ("step", Align::Left),
        ("status", Align::Left),
        ("attempts", Align::Right),
        ("duration", Align::Right),
        ("records", Align::Right),
        ("bytes", Align::Right),
        ("error", Align::Left),
    ]);
    for step in steps {
        let status = match &step.skip_cause {
            Some(cause) => format!("{} ({cause})", step.status),
            None => step.status.clone(),
        };
        table.row([
            step.id.clone(),
            status,
            if step.attempts > 0 { step.attempts.to_string() } else { String::new() },
            step.duration_ms.map(duration_text).unwrap_or_default(),
            step.records.map(count_text).unwrap_or_default(),
            step.bytes.map(bytes_text).unwrap_or_default(),
            step.error.as_ref().map(|error| first_line(&error.message)).unwrap_or_default(),
        ]);
    }
    table.text(style)
}

fn timeline(view: &ExecutionView, style: Style) -> String {
    let mut table = Table::new([
        ("time", Align::Left),
        ("position", Align::Right),
        ("event", Align::Left),
        ("step", Align::Left),
        ("detail", Align::Left),
    ]);
    for entry in &view.timeline {
        table.row([
            time_text(&entry.at),
            entry.position.to_string(),
            entry.event.clone(),
            entry.step.clone().unwrap_or_default(),
            entry.detail.as_deref().map(first_line).unwrap_or_default(),
        ]);
    }
    table.text(style)
}

/// The line that says how to see what follows a page.
pub(super) fn more(next: Option<&str>, style: Style) -> String {
    next.map(|cursor| style.dim(format!("more: --after {cursor}\n"))).unwrap_or_default()
}

/// A time of a reply with milliseconds, as people read it: `2026-01-01 00:00:00.000Z`.
pub(super) fn time_text(time: &str) -> String {
    let Some((date, clock)) = time.split_once('T') else { return time.to_owned() };
    match clock.trim_end_matches('Z').split_once('.') {
        Some((seconds, fraction)) => {
            format!("{date} {seconds}.{}Z", fraction.get(..3).unwrap_or(fraction))
        }
        None => format!("{date} {clock}"),
    }
}

/// The first line, cut where it is long.
fn first_line(text: &str) -> String {
    shortened(text.lines().next().unwrap_or_default(), ERROR_COLUMN)
}

fn lines_printable(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
pub(crate) mod tests;
