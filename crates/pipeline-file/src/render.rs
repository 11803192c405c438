//! Rendering a step when it starts, and evaluating its condition when it is decided.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use flexcore_domain::StepKind;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::{
    expression::{Problem, engine, names::names_below},
    layers::{Origin, Settings, Tree, is_from_host},
    request::{RequestError, StepRequest},
    resolve::{ResolvedPipeline, ResolvedStep, Shared},
    scope::{Context, Scope, Wanted},
    settings::{Reader, RenderedStep, RenderedWork, SettingsError},
};

/// A template or expression that has no value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {message} in `{expression}`, the value of `{key}` of {subject}{}", shown_hint(.hint.as_ref()))]
pub struct TemplateError {
    /// What the text is a setting of, for a person: ``step `load` ``.
    pub subject: String,
    /// The keys that lead to the text, joined by dots.
    pub key: String,
    /// The file.
    pub file: String,
    /// The line of the text.
    pub line: u32,
    /// The expression, or the text if it does not parse.
    pub expression: String,
    /// What is wrong.
    pub message: String,
    /// What to do, if that is known.
    pub hint: Option<String>,
}

fn shown_hint(hint: Option<&String>) -> String {
    hint.map(|hint| format!(" ({hint})")).unwrap_or_default()
}

/// Why a step could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenderError {
    /// A template has no value.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A template has a value that its key does not take.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// What it asks for means nothing.
    #[error("{subject} asks for what does not exist: {error}")]
    Request {
        /// What asks for it, for a person.
        subject: String,
        /// What is wrong.
        error: RequestError,
    },
    /// A secret has no value.
    #[error("{subject} cannot start: {reason}")]
    Secret {
        /// What reads it, for a person.
        subject: String,
        /// Why there is none.
        reason: String,
    },
}

impl ResolvedStep {
    /// The names of every secret that rendering this step reads, directly or through a secret
    /// parameter, so that they can be fetched beforehand.
    pub fn secret_names(&self, params: &BTreeMap<String, Value>) -> Vec<String> {
        let secret = |(name, _): &(&String, &Value)| self.shared.secret_params.contains(*name);
        let params =
            params.iter().filter(secret).map(|(name, value)| (name.clone(), value.clone()));
        self.wanted().secrets(&params.collect()).into_iter().collect()
    }

    /// The steps that rendering this step, or its condition, reads: those whose outputs have to be
    /// at hand.
    pub fn steps_read(&self) -> Vec<String> {
        match self.wanted().steps() {
            Some(steps) => steps.iter().cloned().collect(),
            None => self.shared.step_ids.clone(),
        }
    }

    /// Whether its condition holds; `true` without one.
    ///
    /// # Errors
    /// [`RenderError::Template`] if it has no value, or one that is neither true nor false.
    pub fn evaluate_when(&self, scope: &Scope<'_>) -> Result<bool, RenderError> {
        let (Some(expression), Some(origin)) = (&self.when, &self.when_origin) else {
            return Ok(true);
        };
        let template = bare(expression);
        let names = names_below(&template, "env");
        let environment = self.visible_environment(scope, names.as_ref())?;
        let context = self.context(scope, &environment, &Wanted::of([template.as_str()]))?;
        let rendering = Rendering { subject: self.subject(), origin, context: &context };
        let problem = |problem| rendering.error("when", problem, expression);
        match engine::evaluate(expression, &context).map_err(problem)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(problem(not_boolean(expression, &other)).into()),
        }
    }

    /// The step with every template rendered.
    ///
    /// # Errors
    /// [`RenderError`] if a template has no value or its key does not take it, or a secret has no
    /// value.
    pub fn render(&self, scope: &Scope<'_>) -> Result<RenderedStep, RenderError> {
        let environment = self.visible_environment(scope, None)?;
        let own = self.own_environment(scope, &self.environment, "env")?;
        let context = self.context(scope, &environment, &self.wanted())?;
        let reader = Reader { subject: self.subject() };
        let settings = self.render_tree(&self.settings.0, self.kind.as_str(), &context)?;
        let work = match self.kind {
            StepKind::Command => RenderedWork::Command(reader.command(&settings)?),
            StepKind::Plugin => RenderedWork::Plugin(Box::new(reader.plugin_call(&settings)?)),
            StepKind::Sync => {
                let mut sync = reader.sync(&settings, &self.natives, self.bookmark_name())?;
                sync.tap.environment = self.plugin_environment(scope, "tap")?;
                sync.target.environment = self.plugin_environment(scope, "target")?;
                RenderedWork::Sync(Box::new(sync))
            }
        };
        let timeout = self.timeout.as_ref().map(|timeout| {
            let value = self.render_tree(&timeout.0, "timeout", &context)?;
            reader.duration("timeout", &value).map_err(RenderError::from)
        });
        Ok(RenderedStep {
            environment: own.into_iter().collect(),
            timeout: timeout.transpose()?,
            request: self.request_in(&context)?,
            work,
        })
    }

    /// What its programs are to be allowed, with every template rendered.
    ///
    /// # Errors
    /// [`RenderError`] if a template has no value, or one that means nothing there.
    pub fn render_request(&self, scope: &Scope<'_>) -> Result<StepRequest, RenderError> {
        let parts = [self.capabilities.as_ref(), self.limits.as_ref()];
        let mut texts = Vec::new();
        for settings in parts.into_iter().flatten() {
            collect_texts(&settings.0, &mut texts);
        }
        let wanted = Wanted::of(texts);
        let environment = self.visible_environment(scope, None)?;
        self.request_in(&self.context(scope, &environment, &wanted)?)
    }

    fn request_in(&self, context: &minijinja::Value) -> Result<StepRequest, RenderError> {
        let rendered = |settings: Option<&Settings>, key: &str| match settings {
            Some(settings) => self.render_tree(&settings.0, key, context),
            None => Ok(Value::Null),
        };
        let capabilities = rendered(self.capabilities.as_ref(), "capabilities")?;
        let limits = rendered(self.limits.as_ref(), "limits")?;
        StepRequest::read(&capabilities, &limits)
            .map_err(|error| RenderError::Request { subject: self.subject(), error })
    }

    /// What this step's templates read.
    fn wanted(&self) -> Wanted {
        let mut texts = Vec::new();
        let parts = [
            Some(&self.settings),
            Some(&self.environment),
            self.timeout.as_ref(),
            self.capabilities.as_ref(),
            self.limits.as_ref(),
        ];
        for settings in parts.into_iter().flatten() {
            collect_texts(&settings.0, &mut texts);
        }
        let when = self.when.as_deref().map(bare);
        Wanted::of(texts.into_iter().chain(when.as_deref()))
    }

    fn context(
        &self,
        scope: &Scope<'_>,
        environment: &BTreeMap<String, String>,
        wanted: &Wanted,
    ) -> Result<minijinja::Value, RenderError> {
        let context = Context {
            scope,
            step_ids: &self.shared.step_ids,
            secret_params: &self.shared.secret_params,
            environment,
        };
        context
            .value(wanted)
            .map_err(|reason| RenderError::Secret { subject: self.subject(), reason })
    }

    /// What `env` holds in templates: the step's environment over what the project lets through.
    /// With `only`, no other variables of the step are rendered.
    fn visible_environment(
        &self,
        scope: &Scope<'_>,
        only: Option<&BTreeSet<String>>,
    ) -> Result<BTreeMap<String, String>, RenderError> {
        let mut visible = self.shared.allowed_environment(scope);
        let own = match (only, &self.environment.0) {
            (Some(names), Tree::Map(entries)) => {
                let entries = entries.iter().filter(|(name, _)| names.contains(name));
                Settings(Tree::Map(entries.cloned().collect()))
            }
            _ => self.environment.clone(),
        };
        visible.extend(self.own_environment(scope, &own, "env")?);
        Ok(visible)
    }

    fn plugin_environment(
        &self,
        scope: &Scope<'_>,
        end: &str,
    ) -> Result<Vec<(String, String)>, RenderError> {
        let tree = self.settings.get(end).and_then(|plugin| plugin.get("env")).cloned();
        let settings = tree.map_or_else(Settings::empty, Settings);
        let key = format!("sync.{end}.env");
        Ok(self.own_environment(scope, &settings, &key)?.into_iter().collect())
    }

    /// Renders environment variables. Their templates read of `env` only what the project lets
    /// through.
    fn own_environment(
        &self,
        scope: &Scope<'_>,
        settings: &Settings,
        key: &str,
    ) -> Result<BTreeMap<String, String>, RenderError> {
        let Tree::Map(entries) = &settings.0 else { return Ok(BTreeMap::new()) };
        let mut texts = Vec::new();
        collect_texts(&settings.0, &mut texts);
        let allowed = self.shared.allowed_environment(scope);
        let context = self.context(scope, &allowed, &Wanted::of(texts))?;
        let reader = Reader { subject: self.subject() };
        let mut variables = BTreeMap::new();
        for (name, tree) in entries {
            let value = match tree {
                Tree::Leaf(value, _) if is_from_host(value) => (scope.host)(name),
                tree => {
                    let key = format!("{key}.{name}");
                    Some(reader.text(&key, &self.render_tree(tree, &key, &context)?)?)
                }
            };
            variables.extend(value.map(|value| (name.clone(), value)));
        }
        Ok(variables)
    }

    fn render_tree(
        &self,
        tree: &Tree,
        key: &str,
        context: &minijinja::Value,
    ) -> Result<Value, RenderError> {
        match tree {
            Tree::Leaf(value, origin) => {
                let rendering = Rendering { subject: self.subject(), origin, context };
                Ok(rendering.value(value, key)?)
            }
            Tree::Map(entries) => {
                let mut rendered = Vec::with_capacity(entries.len());
                // Variables are rendered on their own, with less in scope.
                let below_plugin = matches!(key, "sync.tap" | "sync.target");
                for (name, tree) in
                    entries.iter().filter(|(name, _)| !(below_plugin && name == "env"))
                {
                    let value = self.render_tree(tree, &format!("{key}.{name}"), context)?;
                    rendered.push((name.clone(), value));
                }
                if key == "sync.metadata" {
                    let pairs = rendered.into_iter().map(|(name, value)| vec![name.into(), value]);
                    return Ok(pairs.map(Value::from).collect());
                }
                Ok(Value::Object(rendered.into_iter().collect::<Map<_, _>>()))
            }
        }
    }

    /// What messages call this step.
    fn subject(&self) -> String {
        format!("step `{}`", self.id)
    }
}

impl ResolvedPipeline {
    /// How long the whole execution may take, if that is limited. Its template reads parameters,
    /// `run` and the variables that the project lets through.
    ///
    /// # Errors
    /// [`RenderError`] if its template has no value, or the value is no duration.
    pub fn render_timeout(&self, scope: &Scope<'_>) -> Result<Option<Duration>, RenderError> {
        let Some(Settings(Tree::Leaf(value, origin))) = &self.timeout else { return Ok(None) };
        let subject = format!("pipeline `{}`", self.name);
        let mut texts = Vec::new();
        collect_value_texts(value, &mut texts);
        let environment = self.shared.allowed_environment(scope);
        let context = Context {
            scope,
            step_ids: &[],
            secret_params: &self.shared.secret_params,
            environment: &environment,
        };
        let context = context
            .value(&Wanted::of(texts))
            .map_err(|reason| RenderError::Secret { subject: subject.clone(), reason })?;
        let rendering = Rendering { subject: subject.clone(), origin, context: &context };
        let value = rendering.value(value, "timeout")?;
        Ok(Some(Reader { subject }.duration("timeout", &value)?))
    }
}

impl Shared {
    /// The variables of the host that the project lets through.
    fn allowed_environment(&self, scope: &Scope<'_>) -> BTreeMap<String, String> {
        let allowed = self.env_allow.iter();
        allowed.filter_map(|name| (scope.host)(name).map(|value| (name.clone(), value))).collect()
    }
}

/// Renders the values that stand at one place.
struct Rendering<'a> {
    subject: String,
    origin: &'a Origin,
    context: &'a minijinja::Value,
}

impl Rendering<'_> {
    fn value(&self, value: &Value, key: &str) -> Result<Value, TemplateError> {
        match value {
            Value::String(text) => {
                engine::render(text, self.context).map_err(|problem| self.error(key, problem, text))
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| self.value(item, &format!("{key}[{index}]"))).collect()
            }
            Value::Object(map) => {
                let rendered = map.iter().map(|(name, value)| {
                    Ok((name.clone(), self.value(value, &format!("{key}.{name}"))?))
                });
                Ok(Value::Object(rendered.collect::<Result<_, TemplateError>>()?))
            }
            other => Ok(other.clone()),
        }
    }

    fn error(&self, key: &str, problem: Problem, text: &str) -> TemplateError {
        let expression = if problem.part.is_empty() { text.to_owned() } else { problem.part };
        TemplateError {
            subject: self.subject.clone(),
            key: key.to_owned(),
            file: self.origin.file.clone(),
            line: self.origin.line,
            expression,
            message: problem.message,
            hint: problem.hint,
        }
    }
}

/// A bare expression as a template, for what looks at templates.
fn bare(expression: &str) -> String {
    format!("{{{{ {expression} }}}}")
}

fn not_boolean(expression: &str, value: &Value) -> Problem {
    let kind = match value {
        Value::Null => "none",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    };
    Problem {
        code: crate::diagnostic::Code::Condition,
        message: format!("a condition is true or false, and this is {kind}"),
        hint: Some("compare it with something, as in `… > 0` or `… is not none`".to_owned()),
        part: expression.to_owned(),
    }
}

fn collect_texts<'t>(tree: &'t Tree, texts: &mut Vec<&'t str>) {
    match tree {
        Tree::Leaf(value, _) => collect_value_texts(value, texts),
        Tree::Map(entries) => entries.iter().for_each(|(_, tree)| collect_texts(tree, texts)),
    }
}

fn collect_value_texts<'t>(value: &'t Value, texts: &mut Vec<&'t str>) {
    match value {
        Value::String(text) if crate::expression::template::is_template(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_value_texts(item, texts)),
        Value::Object(map) => map.values().for_each(|value| collect_value_texts(value, texts)),
        _ => {}
    }
}
