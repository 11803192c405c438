//! What a schema cannot say: kinds of steps, templates, parameters, plugins, environments.
//!
//! Every check works on the positioned tree, so that all mistakes of a file are found in one go,
//! even beside mistakes of shape.

pub(crate) mod parameters;
pub(crate) mod plugins;
pub(crate) mod project;
mod requests;
pub(crate) mod steps;
pub(crate) mod templates;

use crate::{
    diagnostic::Diagnostic,
    expression::Problem,
    file::ParsedFile,
    tree::{Node, NodeKind},
};

/// The keys that say what kind a step is.
pub(crate) const KIND_KEYS: &[&str] = &[
    "sync", "command", "plugin", "http", "dbt", "pipeline", "approval", "sleep", "wait_for",
    "check",
];

/// A problem of a text as a diagnostic that points at the part that is meant.
pub(crate) fn located(file: &ParsedFile, node: &Node, problem: Problem) -> Diagnostic {
    let position = file.source.locate(node.position, &problem.part);
    file.at(problem.code, position, problem.message).maybe_hint(problem.hint)
}

/// Calls `visit` with every text below a node.
pub(crate) fn each_text<'n>(node: &'n Node, visit: &mut impl FnMut(&'n Node, &'n str)) {
    match &node.kind {
        NodeKind::Text(text) => visit(node, text),
        NodeKind::List(items) => items.iter().for_each(|item| each_text(item, visit)),
        NodeKind::Map(entries) => entries.iter().for_each(|entry| each_text(&entry.value, visit)),
        NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(..) => {}
    }
}

/// The kind keys that a step has.
pub(crate) fn kinds(step: &Node) -> Vec<&'static str> {
    let present = |key: &&&str| step.get(key).is_some_and(|value| !value.is_null());
    KIND_KEYS.iter().filter(present).copied().collect()
}
