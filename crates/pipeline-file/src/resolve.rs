//! From a stored document to what its steps run with in one environment: merged, unrendered.

mod plugin;

use std::{collections::BTreeSet, sync::Arc};

use flexcore_domain::{EnvironmentName, PipelineDefinition, PipelineName, StepId, StepKind};
use serde_json::Value;

pub(crate) use plugin::Ends;

use crate::{
    document::{Document, DocumentError, environment_pipeline_pointer},
    expression::template::bare_expression,
    language::PipelineFile,
    layers::{Layer, Origin, Settings, Tree},
    parameters::Parameters,
    shape::escape,
};

/// A version of a pipeline with the settings of one environment.
#[derive(Debug, Clone)]
pub struct ResolvedPipeline {
    /// Its name.
    pub name: PipelineName,
    /// The environment.
    pub environment: EnvironmentName,
    /// How long an execution may take, if that is limited: one value without keys, unrendered.
    pub timeout: Option<Settings>,
    /// Its parameters.
    pub parameters: Parameters,
    /// Its steps, in the order of the file.
    pub steps: Vec<ResolvedStep>,
    /// The names of the host's environment variables that templates may read.
    pub env_allow: Vec<String>,
    pub(crate) shared: Arc<Shared>,
}

/// A step with the settings of one environment.
#[derive(Debug, Clone)]
pub struct ResolvedStep {
    /// Its id.
    pub id: StepId,
    /// Its kind.
    pub kind: StepKind,
    /// Its condition.
    pub when: Option<String>,
    /// What stands below its kind key, merged with the plugins' settings.
    pub settings: Settings,
    /// Its environment variables.
    pub environment: Settings,
    /// How long an attempt may take, if that is limited: one value without keys.
    pub timeout: Option<Settings>,
    /// What its processes may reach, as the file asks.
    pub capabilities: Option<Settings>,
    /// What its processes may use, as the file asks.
    pub limits: Option<Settings>,
    /// The native connectors that a sync runs.
    pub(crate) natives: Ends,
    /// Where its condition stands.
    pub(crate) when_origin: Option<Origin>,
    pub(crate) shared: Arc<Shared>,
}

/// What the steps of a pipeline share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) step_ids: Vec<String>,
    pub(crate) secret_params: BTreeSet<String>,
    pub(crate) env_allow: Vec<String>,
}

impl ResolvedPipeline {
    /// The step of an id.
    pub fn step(&self, id: &StepId) -> Option<&ResolvedStep> {
        self.steps.iter().find(|step| step.id == *id)
    }
}

impl ResolvedStep {
    /// The native connectors that a sync's tap and target are; `None` where a program is run.
    pub fn native_connectors(&self) -> [Option<&str>; 2] {
        [self.natives.tap.as_deref(), self.natives.target.as_deref()]
    }

    /// The name of the plugin that a `plugin` step calls.
    pub fn called_plugin(&self) -> Option<&str> {
        match self.settings.get("name") {
            Some(Tree::Leaf(Value::String(name), _)) if self.kind == StepKind::Plugin => Some(name),
            _ => None,
        }
    }

    /// The names of a sync's tap and target, as the project knows them.
    pub fn sync_plugins(&self) -> [Option<String>; 2] {
        ["tap", "target"].map(|end| match self.settings.get(end)?.get("plugin") {
            Some(Tree::Leaf(Value::String(name), _)) => Some(name.clone()),
            _ => None,
        })
    }

    /// The registered plugins that a sync's tap and target are, by name.
    pub fn registered_plugins(&self) -> [Option<String>; 2] {
        ["tap", "target"].map(|end| match self.settings.get(end)?.get("registered") {
            Some(Tree::Leaf(Value::String(name), _)) => Some(name.clone()),
            _ => None,
        })
    }

    /// The name of a sync's bookmark: its `state`, else the step's id.
    pub fn bookmark_name(&self) -> String {
        match self.settings.get("state") {
            Some(Tree::Leaf(Value::String(name), _)) => name.clone(),
            _ => self.id.to_string(),
        }
    }
}

/// What the steps of a stored document run with in an environment. Pure: the same document and
/// environment always give the same.
///
/// # Errors
/// [`DocumentError`] if the document is damaged or does not know the environment. The environment
/// `default` always exists.
pub fn resolve(
    document: &Value,
    environment: &EnvironmentName,
) -> Result<ResolvedPipeline, DocumentError> {
    let document = Document::read(document)?;
    let known = document.environments();
    if *environment != EnvironmentName::default() && !known.contains(&environment.as_str()) {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(DocumentError::UnknownEnvironment {
            environment: environment.to_string(),
            known,
        });
    }
    Resolver { document: &document, environment: environment.as_str() }.pipeline(environment)
}

/// The definition that a stored document describes, checked as far as it can be without its files:
/// it is whole, its steps are of known kinds, and it resolves in every environment. The rules
/// about the graph are the domain's to check.
///
/// # Errors
/// [`DocumentError::Unreadable`] with what is wrong.
pub fn definition_of(document: &Value) -> Result<PipelineDefinition, DocumentError> {
    let read = Document::read(document)?;
    let content = read.pipeline.content.clone();
    let typed: PipelineFile = serde_json::from_value(content)
        .map_err(|error| DocumentError::Unreadable { reason: error.to_string() })?;
    let default = EnvironmentName::default();
    let declared = read.environments().into_iter().filter_map(|name| name.parse().ok());
    for environment in declared.chain([default]) {
        resolve(document, &environment)?;
    }
    crate::definition::definition(&typed, document.clone())
        .ok_or_else(|| damaged("a name, step or condition of it is not legal"))
}

/// Merges one document for one environment.
pub(crate) struct Resolver<'a> {
    pub(crate) document: &'a Document<'a>,
    pub(crate) environment: &'a str,
}

impl Resolver<'_> {
    fn pipeline(&self, environment: &EnvironmentName) -> Result<ResolvedPipeline, DocumentError> {
        let content = self.document.pipeline.content;
        let text = |key: &str| content.get(key).and_then(Value::as_str).unwrap_or_default();
        let name: PipelineName = text("pipeline").parse().map_err(|_| damaged("it has no name"))?;
        let parameters = Parameters::read(&self.document.pipeline)
            .map_err(|reason| DocumentError::Unreadable { reason })?;
        let steps = content.get("steps").and_then(Value::as_array);
        let steps = steps.ok_or_else(|| damaged("it has no steps"))?;
        let env_allow: Vec<String> = self
            .document
            .project_value("/env_allow")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        let ids = steps.iter().filter_map(|step| step.get("id")?.as_str().map(str::to_owned));
        let shared = Arc::new(Shared {
            step_ids: ids.collect(),
            secret_params: parameters.secret_names(),
            env_allow: env_allow.clone(),
        });
        let resolved = steps.iter().enumerate().map(|(index, step)| {
            self.step(index, step, name.as_str(), &shared)
                .ok_or_else(|| damaged("a step is damaged"))
        });
        Ok(ResolvedPipeline {
            timeout: self.execution_timeout(name.as_str()),
            environment: environment.clone(),
            parameters,
            steps: resolved.collect::<Result<_, _>>()?,
            env_allow,
            shared,
            name,
        })
    }

    fn execution_timeout(&self, pipeline: &str) -> Option<Settings> {
        let own = self.document.pipeline.tree("/timeout", &Layer::Step);
        let pointer = environment_pipeline_pointer(self.environment, pipeline);
        let over = self.project_tree(&format!("{pointer}/timeout"), &self.pipeline_layer());
        only_value(own, [over])
    }

    fn step(
        &self,
        index: usize,
        step: &Value,
        pipeline: &str,
        shared: &Arc<Shared>,
    ) -> Option<ResolvedStep> {
        let id: StepId = step.get("id")?.as_str()?.parse().ok()?;
        let kind = [StepKind::Sync, StepKind::Command, StepKind::Plugin]
            .into_iter()
            .find(|kind| step.get(kind.as_str()).is_some_and(|settings| !settings.is_null()))?;
        let at = StepPlace {
            own: format!("/steps/{index}"),
            over: format!(
                "{}/steps/{}",
                environment_pipeline_pointer(self.environment, pipeline),
                escape(id.as_str())
            ),
        };
        let (settings, natives) = match kind {
            StepKind::Command => (self.kind_settings(&at, "command"), Ends::default()),
            StepKind::Plugin => (self.kind_settings(&at, "plugin"), Ends::default()),
            StepKind::Sync => self.sync(&at)?,
        };
        let (settings, command_env) = split_environment(settings, kind);
        let when = step.get("when").and_then(Value::as_str);
        Some(ResolvedStep {
            kind,
            when: when.map(|text| bare_expression(text).unwrap_or_else(|_| text.to_owned())),
            when_origin: when.and_then(|_| self.when_origin(&at)),
            environment: self.environment(&at, command_env),
            timeout: self.timeout(&at),
            capabilities: self.merged_key(&at, "capabilities"),
            limits: self.merged_key(&at, "limits"),
            settings: Settings(settings),
            natives,
            shared: shared.clone(),
            id,
        })
    }

    /// What stands below a kind key, with what the environment puts over it.
    pub(crate) fn kind_settings(&self, at: &StepPlace, key: &str) -> Tree {
        let own = self.document.pipeline.tree(&format!("{}/{key}", at.own), &Layer::Step);
        let over = self.project_tree(&format!("{}/{key}", at.over), &self.pipeline_layer());
        merge_all([own, over])
    }

    fn environment(&self, at: &StepPlace, of_kind: Option<Tree>) -> Settings {
        Settings(merge_all([
            self.document.pipeline.tree("/defaults/env", &Layer::Defaults),
            self.document.pipeline.tree(&format!("{}/env", at.own), &Layer::Step),
            self.project_tree(&format!("{}/env", at.over), &self.pipeline_layer()),
            of_kind,
        ]))
    }

    fn timeout(&self, at: &StepPlace) -> Option<Settings> {
        let defaults = self.document.pipeline.tree("/defaults/timeout", &Layer::Defaults);
        let own = self.document.pipeline.tree(&format!("{}/timeout", at.own), &Layer::Step);
        let over = self.project_tree(&format!("{}/timeout", at.over), &self.pipeline_layer());
        only_value(defaults, [own, over])
    }

    fn merged_key(&self, at: &StepPlace, key: &str) -> Option<Settings> {
        let own = self.document.pipeline.tree(&format!("{}/{key}", at.own), &Layer::Step);
        let over = self.project_tree(&format!("{}/{key}", at.over), &self.pipeline_layer());
        let merged = Settings(merge_all([own, over]));
        (!merged.entries().is_empty()).then_some(merged)
    }

    fn when_origin(&self, at: &StepPlace) -> Option<Origin> {
        match self.document.pipeline.tree(&format!("{}/when", at.own), &Layer::Step)? {
            Tree::Leaf(_, origin) => Some(origin),
            Tree::Map(_) => None,
        }
    }

    /// The settings at a pointer of the project's content.
    pub(crate) fn project_tree(&self, pointer: &str, layer: &Layer) -> Option<Tree> {
        self.document.project.as_ref()?.tree(pointer, layer)
    }

    /// The layer of what the environment says about this pipeline.
    pub(crate) fn pipeline_layer(&self) -> Layer {
        Layer::EnvironmentPipeline(self.environment.to_owned())
    }
}

/// Where a step stands in the pipeline file, and in the environment.
pub(crate) struct StepPlace {
    pub(crate) own: String,
    pub(crate) over: String,
}

/// Merges what there is, the last over all others.
pub(crate) fn merge_all(layers: impl IntoIterator<Item = Option<Tree>>) -> Tree {
    layers
        .into_iter()
        .flatten()
        .filter(|tree| !is_null(tree))
        .fold(Tree::Map(Vec::new()), Tree::merged)
}

fn is_null(tree: &Tree) -> bool {
    matches!(tree, Tree::Leaf(Value::Null, _))
}

/// The last of some values that replace each other; a `null` removes.
fn only_value(
    first: Option<Tree>,
    more: impl IntoIterator<Item = Option<Tree>>,
) -> Option<Settings> {
    let last = more.into_iter().flatten().last().or(first)?;
    (!is_null(&last)).then_some(Settings(last))
}

/// The variables of a command belong to the environment, not to what is run.
fn split_environment(mut settings: Tree, kind: StepKind) -> (Tree, Option<Tree>) {
    let variables = (kind == StepKind::Command).then(|| settings.take("env")).flatten();
    (settings, variables)
}

fn damaged(reason: &str) -> DocumentError {
    DocumentError::Unreadable { reason: reason.to_owned() }
}
