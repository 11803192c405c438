//! Progress as bars, for people at a terminal.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use flexcore_domain::StepId;
use flexcore_ports::attempt::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Happened, describe::Turn};
use crate::text::{Style, bytes_text, count_text, printable};

/// How many streams of one step have a line of their own.
const MAX_STREAMS: usize = 8;

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// A bar per running step, and one per stream below it.
pub(super) struct Live {
    bars: MultiProgress,
    steps: Mutex<BTreeMap<StepId, StepBars>>,
    width: usize,
    style: Style,
}

struct StepBars {
    bar: ProgressBar,
    /// In the order in which they are shown.
    streams: Vec<(String, ProgressBar)>,
}

impl Live {
    pub(super) fn new(width: usize, style: Style) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { bars, steps: Mutex::default(), width, style }
    }

    pub(super) fn say(&self, text: &str) {
        // A terminal that went away shows nothing any more; the run goes on.
        let _ = self.bars.println(text);
    }

    pub(super) fn happened(&self, happened: &Happened<'_>) {
        let Some(step) = happened.step else { return self.say(&happened.text) };
        if happened.turn == Turn::Began {
            let prefix = self.name(step);
            let bar = self.bars.add(spinner("{spinner} {prefix}  {msg} {elapsed:.dim}"));
            bar.set_prefix(prefix);
            bar.set_message(happened.text.clone());
            bar.enable_steady_tick(TICK);
            self.steps().insert(step.clone(), StepBars { bar, streams: Vec::new() });
            return;
        }
        if let Some(bars) = self.steps().remove(step) {
            bars.clear();
        }
        let mark = happened.turn.mark(self.style);
        self.say(&format!("{mark} {}  {}", self.name(step), happened.text));
    }

    pub(super) fn progress(&self, step: &StepId, progress: &Progress) {
        let mut steps = self.steps();
        let Some(bars) = steps.get_mut(step) else { return };
        let counts = |records: u64, bytes: u64| {
            format!("{} records, {}", count_text(records), bytes_text(bytes))
        };
        bars.bar.set_message(counts(progress.records, progress.bytes));
        // A single stream says nothing that its step does not.
        if progress.streams.len() < 2 {
            return;
        }
        for (stream, records, bytes) in &progress.streams {
            let known = bars.streams.iter().position(|(name, _)| name == stream);
            let at = known.or_else(|| bars.add_stream(&self.bars, stream));
            if let Some((_, bar)) = at.and_then(|at| bars.streams.get(at)) {
                bar.set_message(self.style.dim(counts(*records, *bytes)));
            }
        }
    }

    pub(super) fn finish(&self) {
        for bars in std::mem::take(&mut *self.steps()).values() {
            bars.clear();
        }
        let _ = self.bars.clear();
    }

    fn name(&self, step: &StepId) -> String {
        format!("{:<width$}", step.as_str(), width = self.width)
    }

    fn steps(&self) -> MutexGuard<'_, BTreeMap<StepId, StepBars>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StepBars {
    /// A line for one more stream, below those that are there; none if there are many.
    fn add_stream(&mut self, bars: &MultiProgress, stream: &str) -> Option<usize> {
        if self.streams.len() >= MAX_STREAMS {
            return None;
        }
        let last = self.streams.last().map_or(&self.bar, |(_, bar)| bar);
        let bar = bars.insert_after(last, spinner("    {prefix}  {msg}"));
        bar.set_prefix(printable(stream));
        self.streams.push((stream.to_owned(), bar));
        Some(self.streams.len() - 1)
    }

    fn clear(&self) {
        for (_, bar) in &self.streams {
            bar.finish_and_clear();
        }
        self.bar.finish_and_clear();
    }
}

fn spinner(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    let style = style.expect("the templates of this file are well formed");
    ProgressBar::no_length().with_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "))
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    fn live(term: &InMemoryTerm) -> Live {
        let live = Live::new(4, Style::PLAIN);
        live.bars.set_draw_target(ProgressDrawTarget::term_like(Box::new(term.clone())));
        live
    }

    fn happened<'a>(step: &'a StepId, turn: Turn, text: &str) -> Happened<'a> {
        Happened { step: Some(step), turn, text: text.to_owned() }
    }

    #[test]
    fn a_step_that_ended_leaves_one_line() {
        let term = InMemoryTerm::new(24, 80);
        let live = live(&term);
        let step: StepId = "load".parse().unwrap();
        live.happened(&happened(&step, Turn::Began, "started"));
        let streams = (0..12).map(|n| (format!("s{n}"), n, n)).collect();
        live.progress(&step, &Progress { records: 66, bytes: 66, streams });
        live.happened(&happened(&step, Turn::Completed, "completed in 1.0 s"));
        live.finish();
        assert_eq!(term.contents(), "✓ load  completed in 1.0 s");
    }

    #[test]
    fn progress_of_an_unknown_step_is_ignored() {
        let term = InMemoryTerm::new(24, 80);
        let live = live(&term);
        live.progress(&"load".parse().unwrap(), &Progress::default());
        live.finish();
        assert_eq!(term.contents(), "");
    }
}
