//! The project file: names, environments, globs, templates.

mod secrets;

use std::collections::BTreeMap;

use flexcore_domain::EnvironmentName;
use globset::Glob;

use super::{
    KIND_KEYS, kinds, located,
    plugins::check_rings,
    templates::{check_plugin, check_step, check_syntax, with_environment},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    expression::names::{Names, Place},
    file::ParsedFile,
    nearest::did_you_mean,
    tree::{Entry, Node},
};

/// Keys of a step that are the same in every environment.
const STRUCTURE: &[&str] =
    &["id", "needs", "when", "run_on", "retry", "allow_failure", "description"];

/// Everything that is wrong with a project file, whatever pipeline uses it. Replaces the
/// diagnostics of its shape where there is more to say.
pub(crate) fn check(file: &ParsedFile) -> Vec<Diagnostic> {
    let mut found: Vec<_> = file.shaped.diagnostics.clone();
    explain_structure(file, &mut found);
    found.extend(check_rings(file));
    found.extend(check_names(file));
    found.extend(check_default_environment(file));
    found.extend(check_globs(file));
    found.extend(check_variables(file));
    found.extend(check_stores(file));
    found.extend(secrets::check(file));
    for key in ["plugins", "environments"] {
        if let Some(node) = file.node.get(key) {
            check_syntax(file, node, &mut found);
        }
    }
    found
}

fn entries<'n>(file: &'n ParsedFile, key: &str) -> &'n [Entry] {
    file.node.get(key).map(Node::entries).unwrap_or_default()
}

/// An unknown key in a step of an environment that is a key of steps: say why it is refused.
fn explain_structure(file: &ParsedFile, found: &mut [Diagnostic]) {
    for (_, step) in override_steps(file) {
        for entry in step.entries() {
            let structural =
                STRUCTURE.contains(&entry.key.as_str()) || KIND_KEYS.contains(&entry.key.as_str());
            let reported = found.iter_mut().find(|diagnostic| {
                diagnostic.code == Code::UnknownKey.as_str()
                    && diagnostic.position == Some(entry.key_position)
            });
            if let (true, Some(diagnostic)) = (structural, reported) {
                let message = format!("an environment cannot change `{}` of a step", entry.key);
                let hint = "it changes settings, `timeout`, `env`, `capabilities` and `limits`; \
                            what decides when a step runs is the same everywhere";
                *diagnostic = file.at(Code::Environment, entry.key_position, message).hint(hint);
            }
        }
    }
}

/// Every step that an environment changes, in whatever pipeline: its entry, and its settings.
fn override_steps(file: &ParsedFile) -> Vec<(&Entry, &Node)> {
    let pipelines = entries(file, "environments")
        .iter()
        .filter_map(|environment| environment.value.get("pipelines"))
        .flat_map(Node::entries);
    let steps =
        pipelines.filter_map(|pipeline| pipeline.value.get("steps")).flat_map(Node::entries);
    steps.map(|step| (step, &step.value)).collect()
}

fn check_names(file: &ParsedFile) -> Vec<Diagnostic> {
    let plugins = entries(file, "plugins").iter().map(|entry| (entry, "plugin"));
    let environments = entries(file, "environments").iter().map(|entry| (entry, "environment"));
    let wrong = plugins
        .chain(environments)
        .filter(|(entry, _)| entry.key.parse::<EnvironmentName>().is_err());
    wrong
        .map(|(entry, what)| {
            let message = format!("`{}` cannot be the name of a {what}", entry.key);
            let hint = "a lower-case letter, then up to 62 lower-case letters, digits, `_` or `-`";
            file.at(Code::IllegalValue, entry.key_position, message).hint(hint)
        })
        .collect()
}

fn check_default_environment(file: &ParsedFile) -> Option<Diagnostic> {
    let node = file.node.get("default_environment")?;
    let name = node.as_text()?;
    let known: Vec<&str> =
        entries(file, "environments").iter().map(|entry| entry.key.as_str()).collect();
    if known.contains(&name) || name == "default" {
        return None;
    }
    let message = format!("there is no environment `{name}`");
    let hint = did_you_mean(name, &known);
    Some(file.at(Code::Environment, node.position, message).maybe_hint(hint))
}

fn check_globs(file: &ParsedFile) -> Vec<Diagnostic> {
    let globs = file.node.get("pipelines").map(Node::items).unwrap_or_default();
    let wrong = globs.iter().filter_map(|node| Some((node, Glob::new(node.as_text()?).err()?)));
    wrong
        .map(|(node, error)| {
            let message = format!("this is no glob: {}", error.kind());
            file.at(Code::IllegalValue, node.position, message)
                .hint("write paths such as `pipelines/**/*.yaml`")
        })
        .collect()
}

fn check_variables(file: &ParsedFile) -> Vec<Diagnostic> {
    let names = file.node.get("env_allow").map(Node::items).unwrap_or_default();
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let wrong = names.iter().filter(|node| {
        node.as_text().is_some_and(|name| name.is_empty() || !name.chars().all(legal))
    });
    wrong
        .map(|node| {
            let message = "this cannot be the name of an environment variable";
            file.at(Code::IllegalValue, node.position, message)
        })
        .collect()
}

fn check_stores(file: &ParsedFile) -> Vec<Diagnostic> {
    let names = Names { environment: allowed(file), ..Names::default() };
    let own = file.node.get("store");
    let others = entries(file, "environments").iter().filter_map(|entry| entry.value.get("store"));
    let texts = own.into_iter().chain(others).filter_map(|node| Some((node, node.as_text()?)));
    texts
        .flat_map(|(node, text)| {
            let problems = names.check_text(text, Place::Store);
            problems.into_iter().map(move |problem| located(file, node, problem))
        })
        .collect()
}

/// The variables that the project lets through, as names that exist. The store may also read what
/// begins with `FLEXCORE_`: the operator's own settings.
fn allowed(file: &ParsedFile) -> BTreeMap<String, bool> {
    let names = file.node.get("env_allow").map(Node::items).unwrap_or_default();
    let mut allowed: BTreeMap<String, bool> =
        names.iter().filter_map(|node| Some((node.as_text()?.to_owned(), false))).collect();
    let stores = entries(file, "environments")
        .iter()
        .filter_map(|entry| entry.value.get("store"))
        .chain(file.node.get("store"));
    for text in stores.filter_map(Node::as_text) {
        let read = crate::expression::names::names_below(text, "env").unwrap_or_default();
        let operators = read.into_iter().filter(|name| name.starts_with("FLEXCORE_"));
        allowed.extend(operators.map(|name| (name, false)));
    }
    allowed
}

/// What environments put over the steps of a pipeline, by step id.
pub(crate) fn overrides<'n>(
    project: Option<&'n ParsedFile>,
    pipeline: &str,
) -> BTreeMap<String, Vec<&'n Node>> {
    let mut by_step: BTreeMap<String, Vec<&'n Node>> = BTreeMap::new();
    for entry in pipeline_overrides(project, pipeline) {
        let steps = entry.value.get("steps").map(Node::entries).unwrap_or_default();
        for step in steps {
            by_step.entry(step.key.clone()).or_default().push(&step.value);
        }
    }
    by_step
}

fn pipeline_overrides<'n>(project: Option<&'n ParsedFile>, pipeline: &str) -> Vec<&'n Entry> {
    let environments = project.map(|file| entries(file, "environments")).unwrap_or_default();
    environments.iter().filter_map(|entry| entry.value.get("pipelines")?.entry(pipeline)).collect()
}

/// Everything that is wrong with what a project says about one pipeline: the steps that its
/// environments change, and the plugins that it uses.
pub(crate) fn check_use(
    project: &ParsedFile,
    pipeline: &ParsedFile,
    names: &Names,
    plugins: &std::collections::BTreeSet<String>,
) -> Vec<Diagnostic> {
    let name = pipeline.node.get("pipeline").and_then(Node::as_text).unwrap_or_default();
    let steps = pipeline.node.get("steps").map(Node::items).unwrap_or_default();
    let defaults = pipeline.node.get("defaults");
    let mut found = Vec::new();
    for entry in pipeline_overrides(Some(project), name) {
        for over in entry.value.get("steps").map(Node::entries).unwrap_or_default() {
            let id = |step: &&Node| step.get("id").and_then(Node::as_text) == Some(&over.key);
            let Some(step) = steps.iter().find(id) else {
                found.push(unknown_step(project, over, name, steps));
                continue;
            };
            found.extend(other_kind(project, over, step));
            let names = with_environment(names, defaults, step, &[&over.value]);
            found.extend(check_step(project, &over.value, &names));
        }
    }
    let environments =
        entries(project, "environments").iter().filter_map(|entry| entry.value.get("plugins"));
    let groups = project.node.get("plugins").into_iter().chain(environments);
    for entry in groups.flat_map(Node::entries).filter(|entry| plugins.contains(&entry.key)) {
        check_plugin(project, &entry.value, names, &mut found);
    }
    found
}

fn unknown_step(project: &ParsedFile, over: &Entry, pipeline: &str, steps: &[Node]) -> Diagnostic {
    let known: Vec<&str> =
        steps.iter().filter_map(|step| step.get("id").and_then(Node::as_text)).collect();
    let message = format!("pipeline `{pipeline}` has no step `{}`", over.key);
    project
        .at(Code::Environment, over.key_position, message)
        .maybe_hint(did_you_mean(&over.key, &known))
}

fn other_kind(project: &ParsedFile, over: &Entry, step: &Node) -> Option<Diagnostic> {
    let own = kinds(step);
    let other = over.value.entries().iter().find(|entry| {
        KIND_KEYS.contains(&entry.key.as_str()) && !own.contains(&entry.key.as_str())
    })?;
    let message = format!(
        "step `{}` is a `{}`; an environment cannot make it a `{}`",
        over.key,
        own.first().unwrap_or(&"step of another kind"),
        other.key
    );
    Some(project.at(Code::Environment, other.key_position, message))
}
