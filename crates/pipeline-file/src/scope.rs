//! The names that templates and expressions read, with their values.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use minijinja::value::{Serde, Value};
use serde_json::{Value as Json, json};

use crate::expression::names::{names_below, secret_names};

/// What a secret parameter is bound to: a reference begins with this.
pub(crate) const SECRET_REFERENCE: &str = "@secret:";

/// The values that an execution has when a template is evaluated.
pub struct Scope<'a> {
    /// Parameters by name, as [`Parameters::bind`](crate::Parameters::bind) returned them.
    pub params: BTreeMap<String, Json>,
    /// Steps by id; those that are missing have not ended.
    pub steps: BTreeMap<String, StepScope>,
    /// The execution.
    pub run: RunScope,
    /// The environment variables of the host, with those of `.env` below them.
    pub host: &'a dyn Fn(&str) -> Option<String>,
    /// The value of a secret, or why there is none. It is asked only for names that
    /// [`ResolvedStep::secret_names`](crate::ResolvedStep::secret_names) returned.
    pub secret: &'a dyn Fn(&str) -> Result<String, String>,
}

impl Scope<'_> {
    /// A scope in which nothing happened yet, nothing is given and no secret is known.
    pub fn before(run: &RunScope) -> Self {
        Self {
            params: BTreeMap::new(),
            steps: BTreeMap::new(),
            run: run.clone(),
            host: &|_| None,
            secret: &|name| Err(format!("there is no secret `{name}`")),
        }
    }
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Scope")
            .field("params", &self.params)
            .field("steps", &self.steps)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

/// What is known of a step: `steps.<id>`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepScope {
    /// `completed`, `failed`, `skipped` or `cancelled` once it ended.
    pub status: Option<String>,
    /// Its output once it completed.
    pub output: Option<Json>,
    /// Its error once it failed.
    pub error: Option<String>,
    /// How many attempts it had.
    pub attempts: u32,
}

/// What is known of the execution: `run`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunScope {
    /// The execution's id.
    pub id: String,
    /// The attempt of the step, from 1; 0 where no step is meant.
    pub attempt: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline's version.
    pub version: u64,
    /// The environment's name.
    pub environment: String,
    /// When the execution started (RFC 3339).
    pub started_at: String,
    /// The interval that it is for: from, to (RFC 3339). Both are `started_at` unless it has one.
    pub interval: (String, String),
}

/// What some texts read of a scope.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// The steps, or all if one text reads `steps` as a whole.
    steps: Option<BTreeSet<String>>,
    /// The parameters, or all.
    params: Option<BTreeSet<String>>,
    /// Secrets that are named directly.
    secrets: BTreeSet<String>,
}

impl Wanted {
    /// What these texts read.
    pub(crate) fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut wanted = Self {
            steps: Some(BTreeSet::new()),
            params: Some(BTreeSet::new()),
            secrets: BTreeSet::new(),
        };
        for text in texts {
            add(&mut wanted.steps, names_below(text, "steps"));
            add(&mut wanted.params, names_below(text, "params"));
            wanted.secrets.extend(secret_names(text));
        }
        wanted
    }

    /// The steps that are read; `None` for all.
    pub(crate) fn steps(&self) -> Option<&BTreeSet<String>> {
        self.steps.as_ref()
    }

    /// The secrets that are read, directly and through secret parameters.
    pub(crate) fn secrets(&self, params: &BTreeMap<String, Json>) -> BTreeSet<String> {
        let through = params
            .iter()
            .filter(|(name, _)| self.params.as_ref().is_none_or(|wanted| wanted.contains(*name)))
            .filter_map(|(_, value)| referenced_secret(value));
        through.map(str::to_owned).chain(self.secrets.iter().cloned()).collect()
    }
}

fn add(all: &mut Option<BTreeSet<String>>, more: Option<BTreeSet<String>>) {
    match (all.as_mut(), more) {
        (Some(names), Some(more)) => names.extend(more),
        _ => *all = None,
    }
}

/// The secret that a bound parameter refers to, if it is a reference.
pub(crate) fn referenced_secret(value: &Json) -> Option<&str> {
    value.as_str()?.strip_prefix(SECRET_REFERENCE)
}

/// The values of the secrets that are wanted.
pub(crate) fn secrets(
    wanted: &Wanted,
    scope: &Scope<'_>,
    secret_params: &BTreeSet<String>,
) -> Result<BTreeMap<String, String>, String> {
    let params = scope.params.iter().filter(|(name, _)| secret_params.contains(*name));
    let params: BTreeMap<_, _> =
        params.map(|(name, value)| (name.clone(), value.clone())).collect();
    wanted
        .secrets(&params)
        .into_iter()
        .map(|name| (scope.secret)(&name).map(|value| (name.clone(), value)))
        .collect()
}

/// A scope as the engine reads it.
pub(crate) struct Context<'a> {
    pub(crate) scope: &'a Scope<'a>,
    /// Every step of the pipeline.
    pub(crate) step_ids: &'a [String],
    /// Parameters that are secret.
    pub(crate) secret_params: &'a BTreeSet<String>,
    /// What `env` holds.
    pub(crate) environment: &'a BTreeMap<String, String>,
}

impl Context<'_> {
    /// The engine's value, holding only what is wanted.
    ///
    /// # Errors
    /// Why a secret has no value.
    pub(crate) fn value(&self, wanted: &Wanted) -> Result<Value, String> {
        let secrets = secrets(wanted, self.scope, self.secret_params)?;
        let params = self.scope.params.iter().map(|(name, value)| {
            let secret = referenced_secret(value)
                .filter(|_| self.secret_params.contains(name))
                .and_then(|secret| secrets.get(secret));
            (name.clone(), secret.map_or_else(|| value.clone(), |value| value.clone().into()))
        });
        let params = Json::Object(params.collect());
        let absent = StepScope::default();
        let steps = self
            .step_ids
            .iter()
            .filter(|id| wanted.steps.as_ref().is_none_or(|wanted| wanted.contains(*id)))
            .map(|id| (id.clone(), step(self.scope.steps.get(id).unwrap_or(&absent))));
        let steps: serde_json::Map<_, _> = steps.collect();
        let secret = Value::from_function(move |name: String| {
            secrets.get(&name).cloned().ok_or_else(|| {
                let message = format!("the secret `{name}` was not made available");
                minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, message)
            })
        });
        Ok(Value::from_pairs([
            ("params", Value::from(Serde(params))),
            ("steps", Value::from(Serde(steps))),
            ("run", Value::from(Serde(run(&self.scope.run)))),
            ("env", Value::from(Serde(self.environment))),
            ("secret", secret),
        ]))
    }
}

fn step(step: &StepScope) -> Json {
    json!({
        "status": step.status,
        "output": step.output,
        "error": step.error,
        "attempts": step.attempts,
    })
}

fn run(run: &RunScope) -> Json {
    json!({
        "id": run.id,
        "attempt": run.attempt,
        "pipeline": run.pipeline,
        "version": run.version,
        "environment": run.environment,
        "started_at": run.started_at,
        "interval": { "start": run.interval.0, "end": run.interval.1 },
    })
}
