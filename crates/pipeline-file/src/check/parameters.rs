//! Declarations of parameters.

use serde_json::Value;

use super::located;
use crate::{
    diagnostic::{Code, Diagnostic},
    expression::{
        names::{Names, Place},
        template::is_template,
    },
    file::ParsedFile,
    parameters::{compile, is_parameter_name, schema_of, secret_reference},
    tree::{Entry, Node},
};

/// Everything that is wrong with the parameters of a pipeline file. `environment` has the
/// variables that defaults may read.
pub(crate) fn check(file: &ParsedFile, environment: &Names) -> Vec<Diagnostic> {
    let declarations = file.node.get("params").map(Node::entries).unwrap_or_default();
    let mut earlier = Names { environment: environment.environment.clone(), ..Names::default() };
    let mut found = Vec::new();
    for entry in declarations {
        if !is_parameter_name(&entry.key) {
            let message = format!("`{}` cannot be the name of a parameter", entry.key);
            let hint = "a lower-case letter, then up to 62 lower-case letters, digits or `_`";
            found.push(file.at(Code::IllegalValue, entry.key_position, message).hint(hint));
        }
        found.extend(check_declaration(file, entry, &earlier));
        earlier.params.push((entry.key.clone(), is_secret(&entry.value)));
    }
    found
}

/// Whether a declaration says `secret: true`.
pub(crate) fn is_secret(declaration: &Node) -> bool {
    declaration.get("secret").is_some_and(|node| node.to_json() == Value::Bool(true))
}

fn check_declaration(file: &ParsedFile, entry: &Entry, earlier: &Names) -> Vec<Diagnostic> {
    if entry.value.entries().is_empty() {
        return Vec::new();
    }
    let schema = schema_of(&entry.value.to_json());
    let validator = match compile(&schema) {
        Ok(validator) => validator,
        Err(reason) => {
            let message = format!("parameter `{}` is no JSON Schema: {reason}", entry.key);
            return vec![file.at(Code::Parameter, entry.key_position, message)];
        }
    };
    let default = entry.value.get("default");
    if is_secret(&entry.value) {
        return check_secret(file, entry, default);
    }
    let Some(default) = default else { return Vec::new() };
    if let Some(text) = default.as_text().filter(|text| is_template(text)) {
        return check_template(file, entry, default, text, earlier);
    }
    let error = validator.validate(&default.to_json()).err().map(|error| error.to_string());
    let refused = error.map(|reason| {
        let message = format!("the default of `{}` does not fit its schema: {reason}", entry.key);
        file.at(Code::Parameter, default.position, message)
    });
    refused.into_iter().collect()
}

fn check_secret(file: &ParsedFile, entry: &Entry, default: Option<&Node>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let declared = entry.value.get("type");
    if declared.is_some_and(|declared| declared.as_text() != Some("string")) {
        let message = format!("the secret parameter `{}` is a text: `type: string`", entry.key);
        let position = declared.map_or(entry.key_position, |node| node.position);
        found.push(file.at(Code::Parameter, position, message));
    }
    let literal = default
        .filter(|default| default.as_text().is_none_or(|text| secret_reference(text).is_none()));
    if let Some(literal) = literal {
        let message =
            format!("the default of the secret parameter `{}` is no reference", entry.key);
        let hint = "write default: \"{{ secret('NAME') }}\", so that no secret stands in a file";
        let diagnostic = Diagnostic::about(Code::Parameter, &file.source.name, message);
        found.push(diagnostic.without_line(literal.position).hint(hint));
    }
    found
}

fn check_template(
    file: &ParsedFile,
    entry: &Entry,
    default: &Node,
    text: &str,
    earlier: &Names,
) -> Vec<Diagnostic> {
    let problems = earlier.check_text(text, Place::ParameterDefault);
    let mut found: Vec<_> =
        problems.into_iter().map(|problem| located(file, default, problem)).collect();
    if earlier.reads_secret(text) {
        let message = format!("the default of `{}` reads a secret", entry.key);
        let hint = "add `secret: true`, so that its value is never stored";
        found.push(file.at(Code::Parameter, default.position, message).hint(hint));
    }
    found
}
