//! Templates and conditions: every one parses and names only what exists.

use std::collections::BTreeMap;

use flexcore_domain::StepKind;

use super::{each_text, kinds, located, parameters::is_secret};
use crate::{
    diagnostic::{Code, Diagnostic},
    expression::{
        Problem,
        names::{Names, Place},
        template::bare_expression,
    },
    file::ParsedFile,
    tree::{Entry, Node, NodeKind},
};

/// The names that every step of a pipeline file can read. `allowed` are the variables that the
/// project lets through.
pub(crate) fn names(file: &ParsedFile, allowed: &[String]) -> Names {
    let params = file.node.get("params").map(Node::entries).unwrap_or_default();
    let steps = file.node.get("steps").map(Node::items).unwrap_or_default();
    let kind = |step: &Node| match kinds(step).as_slice() {
        ["sync"] => Some(StepKind::Sync),
        ["command"] => Some(StepKind::Command),
        ["plugin"] => Some(StepKind::Plugin),
        _ => None,
    };
    let allowed: BTreeMap<String, bool> =
        allowed.iter().map(|name| (name.clone(), false)).collect();
    Names {
        params: params.iter().map(|entry| (entry.key.clone(), is_secret(&entry.value))).collect(),
        steps: steps
            .iter()
            .filter_map(|step| Some((step.get("id")?.as_text()?.to_owned(), kind(step))))
            .collect(),
        environment: allowed.clone(),
        allowed,
        item: false,
    }
}

/// Everything that is wrong with the templates of a pipeline file, but for parameters.
/// `overrides` are the parts of the project file that environments put over steps, by step id.
pub(crate) fn check(
    file: &ParsedFile,
    names: &Names,
    overrides: &BTreeMap<String, Vec<&Node>>,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Some(timeout) = file.node.get("timeout") {
        texts(file, timeout, names, Place::ParameterDefault, &mut found);
    }
    let defaults = file.node.get("defaults");
    for key in ["timeout", "env"] {
        if let Some(node) = defaults.and_then(|defaults| defaults.get(key)) {
            texts(file, node, names, Place::Settings, &mut found);
        }
    }
    let steps = file.node.get("steps").map(Node::items).unwrap_or_default();
    for step in steps {
        let id = step.get("id").and_then(Node::as_text).unwrap_or_default();
        let over = overrides.get(id).map(Vec::as_slice).unwrap_or_default();
        let names = with_environment(names, defaults, step, over);
        found.extend(check_step(file, step, &names));
    }
    found
}

/// The names of a step: those of all, with its variables.
pub(crate) fn with_environment(
    names: &Names,
    defaults: Option<&Node>,
    step: &Node,
    overrides: &[&Node],
) -> Names {
    let mut own = Names { item: step.get("for_each").is_some(), ..names.clone() };
    let parts = std::iter::once(step).chain(overrides.iter().copied());
    let maps = defaults.and_then(|defaults| defaults.get("env")).into_iter().chain(parts.flat_map(
        |part| {
            [part.get("env"), part.get("command").and_then(|command| command.get("env"))]
                .into_iter()
                .flatten()
        },
    ));
    for map in maps {
        for (name, secret) in variables(map, names) {
            let known = own.environment.entry(name).or_default();
            *known |= secret;
        }
    }
    own
}

/// The variables of an environment map, each with whether its value holds a secret.
fn variables(map: &Node, names: &Names) -> Vec<(String, bool)> {
    let listed = map.items().iter().filter_map(|item| Some((item.as_text()?.to_owned(), false)));
    let mapped = map.entries().iter().map(|entry| {
        let secret = entry.value.as_text().is_some_and(|text| names.reads_secret(text));
        (entry.key.clone(), secret)
    });
    listed.chain(mapped).collect()
}

/// Checks one step, or what an environment puts over one.
pub(crate) fn check_step(file: &ParsedFile, step: &Node, names: &Names) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for entry in step.entries() {
        match entry.key.as_str() {
            "when" => found.extend(check_condition(file, entry, names)),
            "timeout" | "capabilities" | "limits" => {
                texts(file, &entry.value, names, Place::Settings, &mut found);
            }
            "env" => texts(file, &entry.value, &outer(names), Place::Settings, &mut found),
            "command" => check_command(file, &entry.value, names, &mut found),
            "plugin" => texts(file, &entry.value, names, Place::Settings, &mut found),
            "sync" => check_sync(file, &entry.value, names, &mut found),
            _ => {}
        }
    }
    found
}

fn check_command(file: &ParsedFile, command: &Node, names: &Names, found: &mut Vec<Diagnostic>) {
    for entry in command.entries() {
        match entry.key.as_str() {
            "argv" | "run" | "cwd" => {
                texts(file, &entry.value, names, Place::Arguments, found);
            }
            "env" => texts(file, &entry.value, &outer(names), Place::Settings, found),
            _ => texts(file, &entry.value, names, Place::Settings, found),
        }
    }
}

fn check_sync(file: &ParsedFile, sync: &Node, names: &Names, found: &mut Vec<Diagnostic>) {
    for entry in sync.entries() {
        match entry.key.as_str() {
            "tap" | "target" => check_plugin(file, &entry.value, names, found),
            // It becomes part of what is recorded.
            "full_refresh" => texts(file, &entry.value, names, Place::Condition, found),
            _ => texts(file, &entry.value, names, Place::Settings, found),
        }
    }
}

/// Checks the settings of a plugin, wherever they stand.
pub(crate) fn check_plugin(
    file: &ParsedFile,
    plugin: &Node,
    names: &Names,
    found: &mut Vec<Diagnostic>,
) {
    for entry in plugin.entries() {
        match entry.key.as_str() {
            "command" | "path" | "from" => {
                texts(file, &entry.value, names, Place::Arguments, found);
            }
            "env" => texts(file, &entry.value, &outer(names), Place::Settings, found),
            _ => texts(file, &entry.value, names, Place::Settings, found),
        }
    }
}

/// Variables are rendered before there is a resulting environment: they read only what the
/// project lets through.
fn outer(names: &Names) -> Names {
    Names { environment: names.allowed.clone(), ..names.clone() }
}

fn check_condition(file: &ParsedFile, entry: &Entry, names: &Names) -> Vec<Diagnostic> {
    let Some(text) = entry.value.scalar_text() else { return Vec::new() };
    if matches!(entry.value.kind, NodeKind::Bool(_)) {
        return Vec::new();
    }
    let problems = match bare_expression(&text) {
        Ok(expression) => {
            let mut problems = names.check(&expression, Place::Condition);
            if problems.is_empty() {
                problems.extend(crate::definition::constant_problem(&expression));
            }
            problems
        }
        Err(problem) => vec![problem],
    };
    problems.into_iter().map(|problem| located(file, &entry.value, problem)).collect()
}

fn texts(file: &ParsedFile, node: &Node, names: &Names, place: Place, found: &mut Vec<Diagnostic>) {
    each_text(node, &mut |node, text| {
        let problems = names.check_text(text, place);
        found.extend(problems.into_iter().map(|problem: Problem| located(file, node, problem)));
    });
}

/// A text whose template has to parse, where the names are not known.
pub(crate) fn check_syntax(file: &ParsedFile, node: &Node, found: &mut Vec<Diagnostic>) {
    each_text(node, &mut |node, text| {
        let problems = Names::default().check_text(text, Place::Settings);
        let of_syntax = problems.into_iter().filter(|problem| problem.code == Code::TemplateSyntax);
        found.extend(of_syntax.map(|problem| located(file, node, problem)));
    });
}
