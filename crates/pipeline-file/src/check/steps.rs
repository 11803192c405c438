//! Steps: exactly one kind, and settings that fit together.

use super::{KIND_KEYS, kinds, requests};
use crate::{
    diagnostic::{Code, Diagnostic},
    expression::template::is_template,
    file::ParsedFile,
    nearest::{list_of, nearest},
    settings::MAX_MAX_LINE,
    tree::Node,
    units::parse_size,
};

/// Everything that is wrong with the steps of a pipeline file.
pub(crate) fn check(file: &ParsedFile) -> Vec<Diagnostic> {
    let steps = file.node.get("steps").map(Node::items).unwrap_or_default();
    let mut found = Vec::new();
    for step in steps.iter().filter(|step| !step.entries().is_empty()) {
        found.extend(check_kind(file, step));
        found.extend(check_command(file, step));
        found.extend(check_max_line(file, step));
        found.extend(requests::check(file, step));
    }
    found
}

fn name(step: &Node) -> String {
    step.get("id")
        .and_then(Node::as_text)
        .map_or_else(|| "this step".to_owned(), |id| format!("step `{id}`"))
}

fn check_kind(file: &ParsedFile, step: &Node) -> Option<Diagnostic> {
    let kinds = kinds(step);
    match kinds.as_slice() {
        [_] => None,
        [] => {
            // A kind key that is misspelt was already reported, with the right spelling.
            let near = |key: &str| !KIND_KEYS.contains(&key) && nearest(key, KIND_KEYS).is_some();
            if step.entries().iter().any(|entry| near(&entry.key)) {
                return None;
            }
            let message = format!("{} does not say what it does", name(step));
            let hint = format!("add exactly one of {}", list_of(KIND_KEYS, "or"));
            let position = step.entry("id").map_or(step.position, |entry| entry.key_position);
            Some(file.at(Code::StepKind, position, message).hint(hint))
        }
        [first, second, ..] => {
            let message =
                format!("{} is both `{first}` and `{second}`; a step is one of them", name(step));
            let position = step.entry(second).map_or(step.position, |entry| entry.key_position);
            let hint = "make two steps, the second with `needs` if it has to wait";
            Some(file.at(Code::StepKind, position, message).hint(hint))
        }
    }
}

fn check_command(file: &ParsedFile, step: &Node) -> Option<Diagnostic> {
    let command = step.get("command")?;
    let shell = command.entry("shell")?;
    command.get("argv")?;
    let message = "`shell` belongs to `run`; no shell sees `argv`";
    Some(file.at(Code::IllegalValue, shell.key_position, message))
}

fn check_max_line(file: &ParsedFile, step: &Node) -> Option<Diagnostic> {
    let node = step.get("sync")?.get("max_line")?;
    let text = node.as_text().filter(|text| !is_template(text))?;
    let size = parse_size(text)?;
    (!(1..=MAX_MAX_LINE).contains(&size)).then(|| {
        file.at(Code::IllegalValue, node.position, "`max_line` is at least `1B` and at most `1GiB`")
    })
}
