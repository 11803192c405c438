//! A pipeline file, checked as a whole and made into a definition.

use flexcore_domain::{
    PipelineDefinition,
    specification::{Violation, violations},
};

use crate::{
    check,
    diagnostic::{Code, Diagnostic, Diagnostics, Severity},
    document::document,
    file::ParsedFile,
    language::PipelineFile,
    project::Project,
    schema::PIPELINE,
    source::{Position, SourceFile},
    tree::Node,
};

/// A pipeline file that can be run.
#[derive(Debug)]
pub struct LoadedPipeline {
    /// What it defines.
    pub definition: PipelineDefinition,
    /// What is accepted and has no effect in this version.
    pub warnings: Vec<Diagnostic>,
    /// Where its steps and keys stand.
    pub positions: Positions,
}

/// Where the steps of a pipeline file and their keys stand.
#[derive(Debug)]
pub struct Positions {
    source: SourceFile,
    steps: Node,
}

impl Positions {
    /// The place of a key of a step; of its id if it does not have the key.
    pub fn step(&self, id: &str, key: &str) -> Option<Position> {
        let step = self.find(id).next()?;
        let entry = step.entry(key).or_else(|| step.entry("id"))?;
        Some(entry.value.position)
    }

    /// An error at a key of a step, for rules that are checked elsewhere.
    pub fn diagnose(
        &self,
        step: &str,
        key: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Diagnostic {
        let position = self.step(step, key).unwrap_or(Position::START);
        Diagnostic::at(Code::StepGraph, &self.source, position, message).maybe_hint(hint)
    }

    fn find<'p>(&'p self, id: &str) -> impl Iterator<Item = &'p Node> {
        let id = id.to_owned();
        let is_it = move |step: &&Node| step.get("id").and_then(Node::as_text) == Some(id.as_str());
        self.steps.items().iter().filter(is_it)
    }

    /// The place where a rule about the graph is broken.
    fn of_violation(&self, violation: &Violation) -> Position {
        let Some(step) = violation.step().map(flexcore_domain::StepId::as_str) else {
            return self.steps.position;
        };
        let at = |key: &str| self.step(step, key).unwrap_or(self.steps.position);
        match violation {
            Violation::DuplicateId { .. } => {
                let last = self.find(step).last().and_then(|step| step.get("id"));
                last.map_or_else(|| at("id"), |id| id.position)
            }
            Violation::UnknownNeed { need, .. } => self.need(step, need.as_str()),
            Violation::Cycle { steps } => {
                let next = steps.get(1).or(steps.first());
                next.map_or_else(|| at("needs"), |need| self.need(step, need.as_str()))
            }
            Violation::UnknownStepInCondition { named, .. } => {
                self.source.locate(at("when"), &format!("steps.{named}"))
            }
            Violation::UnknownOutputInCondition { named, field, .. } => {
                self.source.locate(at("when"), &format!("steps.{named}.output.{field}"))
            }
            _ => at("when"),
        }
    }

    fn need(&self, step: &str, need: &str) -> Position {
        let needs = self.find(step).next().and_then(|step| step.get("needs"));
        let item =
            needs.and_then(|needs| needs.items().iter().find(|item| item.as_text() == Some(need)));
        item.or(needs).map_or(self.steps.position, |node| node.position)
    }
}

/// Checks the text of a pipeline file against its project and makes its definition. `connectors`
/// are the names of the native taps and targets, which need no entry in the project file. Pure:
/// [`load_pipeline`](crate::load_pipeline) reads the file.
///
/// # Errors
/// Everything that is wrong with it, in the pipeline file and in what it uses of the project file.
pub fn parse_pipeline(
    source: SourceFile,
    project: &Project,
    connectors: &[&str],
) -> Result<LoadedPipeline, Diagnostics> {
    let file = ParsedFile::read(source, &PIPELINE, "a pipeline file")?;
    let (used, mut found) = check_all(&file, project, connectors);
    let positions = Positions {
        source: file.source.clone(),
        steps: file.node.get("steps").unwrap_or(&file.node).clone(),
    };
    if found.iter().all(|diagnostic| diagnostic.severity != Severity::Error) {
        let document = document(&file, project.file.as_ref(), &used.plugins, &used.connectors);
        match definition(&file, document) {
            Ok(definition) => {
                let broken = violations(&definition.steps);
                found.extend(broken.iter().map(|violation| violated(&positions, violation)));
                let found = Diagnostics::new(found);
                if !found.has_errors() {
                    let warnings = found.into_iter().collect();
                    return Ok(LoadedPipeline { definition, warnings, positions });
                }
                return Err(found);
            }
            Err(diagnostic) => found.push(*diagnostic),
        }
    }
    Err(Diagnostics::new(found))
}

fn check_all(
    file: &ParsedFile,
    project: &Project,
    connectors: &[&str],
) -> (check::plugins::Used, Vec<Diagnostic>) {
    let name = file.node.get("pipeline").and_then(Node::as_text).unwrap_or_default();
    let names = check::templates::names(file, &project.env_allow);
    let overrides = check::project::overrides(project.file.as_ref(), name);
    let all_overrides: Vec<&Node> = overrides.values().flatten().copied().collect();
    let plugins = check::plugins::Plugins { project: project.file.as_ref(), connectors };
    let (used, of_plugins) = plugins.check(file, &all_overrides);
    let mut found = file.shaped.diagnostics.clone();
    found.extend(check::steps::check(file));
    found.extend(check::parameters::check(file, &names));
    found.extend(check::templates::check(file, &names, &overrides));
    found.extend(of_plugins);
    if let Some(project) = &project.file {
        found.extend(check::project::check_use(project, file, &names, &used.plugins));
    }
    (used, found)
}

fn definition(
    file: &ParsedFile,
    document: serde_json::Value,
) -> Result<PipelineDefinition, Box<Diagnostic>> {
    let typed: PipelineFile = serde_json::from_value(file.shaped.value.clone())
        .map_err(|error| file.at(Code::WrongType, Position::START, error.to_string()))?;
    crate::definition::definition(&typed, document).ok_or_else(|| {
        let message = "a step of this file cannot be run by this version";
        file.at(Code::NotSupported, Position::START, message).into()
    })
}

fn violated(positions: &Positions, violation: &Violation) -> Diagnostic {
    let position = positions.of_violation(violation);
    let diagnostic =
        Diagnostic::at(Code::StepGraph, &positions.source, position, violation.to_string());
    match violation {
        Violation::UnknownNeed { need, .. } => {
            let ids = positions.steps.items().iter();
            let known: Vec<&str> =
                ids.filter_map(|step| step.get("id").and_then(Node::as_text)).collect();
            diagnostic.maybe_hint(crate::nearest::did_you_mean(need.as_str(), &known))
        }
        Violation::Cycle { .. } => diagnostic.hint("remove one of these `needs`"),
        Violation::ConstantlyFalse { .. } => {
            diagnostic.hint("remove the step, or let the condition read a parameter")
        }
        _ => diagnostic,
    }
}
