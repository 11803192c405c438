//! What a run shows while it goes on, on standard error: bars on a terminal, lines elsewhere.

mod describe;
mod lines;
mod live;

use std::sync::Arc;

use flexcore_api::ExecutionView;
use flexcore_app::RunObserver;
use flexcore_domain::{StepId, execution::ExecutionEvent};
use flexcore_ports::{Clock, attempt::Progress};

use crate::output::Output;
use describe::{Happened, describe};
use lines::Lines;
use live::Live;

/// Shows a run while it goes on.
pub(crate) struct Display {
    output: Arc<Output>,
    clock: Arc<dyn Clock>,
    form: Form,
}

enum Form {
    Silent,
    Lines(Lines),
    Live(Live),
}

impl Display {
    /// Begins with the heading of the execution.
    pub(crate) fn begin(output: Arc<Output>, view: &ExecutionView, clock: Arc<dyn Clock>) -> Self {
        let width = view.steps.iter().map(|step| step.id.len()).max().unwrap_or_default();
        let style = output.message_style();
        let form = match (output.is_quiet(), output.is_interactive()) {
            (true, _) => Form::Silent,
            (false, true) => Form::Live(Live::new(width, style)),
            (false, false) => Form::Lines(Lines::new(Arc::clone(&output), width)),
        };
        let environment = match view.environment.as_str() {
            "default" => String::new(),
            name => format!(", environment {name}"),
        };
        let display = Self { output, clock, form };
        display.say(&format!(
            "{} version {}{environment}: {}",
            style.bold(&view.pipeline),
            view.version,
            view.id
        ));
        display
    }

    /// Says something in between.
    pub(crate) fn say(&self, text: &str) {
        match &self.form {
            Form::Silent => {}
            Form::Lines(_) => self.output.note(text),
            Form::Live(live) => live.say(text),
        }
    }

    /// Takes the bars away.
    pub(crate) fn finish(&self) {
        if let Form::Live(live) = &self.form {
            live.finish();
        }
    }
}

impl RunObserver for Display {
    fn recorded(&self, event: &ExecutionEvent) {
        let Some(happened) = describe(event, self.clock.now()) else { return };
        match &self.form {
            Form::Silent => {}
            Form::Lines(lines) => lines.happened(&happened),
            Form::Live(live) => live.happened(&happened),
        }
    }

    fn progress(&self, step: &StepId, progress: &Progress) {
        match &self.form {
            Form::Silent => {}
            Form::Lines(lines) => lines.progress(step, progress, self.clock.now()),
            Form::Live(live) => live.progress(step, progress),
        }
    }
}

impl std::fmt::Debug for Display {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Display").finish_non_exhaustive()
    }
}
