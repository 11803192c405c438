//! `capabilities` and `limits`: whatever of them is no template can be read before anything runs.

use flexcore_plugin_protocol::{CapabilityKind, LimitName};

use crate::{
    diagnostic::{Code, Diagnostic},
    expression::template::is_template,
    file::ParsedFile,
    request::{RequestError, read_limit, read_target},
    tree::{Node, NodeKind},
    units::parse_size,
};

/// Everything that is wrong with what a step asks for.
pub(super) fn check(file: &ParsedFile, step: &Node) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for entry in step.get("capabilities").map(Node::entries).unwrap_or_default() {
        let Some(kind) = CapabilityKind::from_key(&entry.key) else { continue };
        for (index, item) in entry.value.items().iter().enumerate() {
            if is_literal(item)
                && let Err(error) = read_target(kind, index, &item.to_json())
            {
                found.push(wrong(file, item, error, kind == CapabilityKind::Secrets));
            }
        }
        if kind == CapabilityKind::Exec && entry.value.kind == NodeKind::Bool(false) {
            let message = "`exec: false` is accepted, but a process can always start others";
            found.push(file.at(Code::NotEnforced, entry.key_position, message).warning());
        }
    }
    for entry in step.get("limits").map(Node::entries).unwrap_or_default() {
        let Some(name) = LimitName::from_key(&entry.key) else { continue };
        // A text that is no size at all was refused with its shape.
        let is_size = entry.value.as_text().is_none_or(|text| parse_size(text).is_some());
        if is_literal(&entry.value)
            && is_size
            && let Err(error) = read_limit(name, &entry.value.to_json())
        {
            found.push(wrong(file, &entry.value, error, false));
        }
    }
    found
}

/// Whether it is a value of its own. What is of another type was refused already.
fn is_literal(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Text(text) => !is_template(text),
        NodeKind::Number(..) => true,
        _ => false,
    }
}

fn wrong(file: &ParsedFile, node: &Node, error: RequestError, is_secret: bool) -> Diagnostic {
    let RequestError { key, message, hint } = error;
    let found = file.at(Code::IllegalValue, node.position, format!("`{key}`: {message}"));
    let found = hint.into_iter().fold(found, Diagnostic::hint);
    // Somebody may have put a secret where its name belongs.
    if is_secret { found.without_line(node.position) } else { found }
}
