//! A DAG as text: stages below each other, the steps of one stage run side by side.

use super::{Align, Style, Table};
use crate::report::StepPlan;

/// The steps by stage.
pub(crate) fn graph_text(steps: &[StepPlan], style: Style) -> String {
    let mut table = Table::new([
        ("stage", Align::Right),
        ("step", Align::Left),
        ("kind", Align::Left),
        ("needs", Align::Left),
        ("runs", Align::Left),
        ("what", Align::Left),
    ]);
    let mut before = 0;
    for step in steps {
        let stage = if step.stage == before { String::new() } else { step.stage.to_string() };
        before = step.stage;
        table.row([
            stage,
            step.id.clone(),
            step.kind.clone(),
            step.needs.join(", "),
            conditions(step),
            step.summary.clone(),
        ]);
    }
    table.text(style)
}

/// What decides whether a step runs, beyond that its needs completed.
fn conditions(step: &StepPlan) -> String {
    let mut parts = Vec::new();
    if step.run_on != "completed" {
        parts.push(format!("on {}", step.run_on));
    }
    if let Some(condition) = &step.when {
        parts.push(format!("when {condition}"));
    }
    if step.attempts > 1 {
        parts.push(format!("up to {} times", step.attempts));
    }
    if step.allow_failure {
        parts.push("may fail".to_owned());
    }
    parts.join(", ")
}
