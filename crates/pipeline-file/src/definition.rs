//! From a checked pipeline file to the definition that the domain knows.

use flexcore_domain::{
    Condition, ErrorClass, Jitter, PipelineDefinition, RetryPolicy, RunOn, StepDefinition,
    StepKind, StepReference,
};
use serde_json::Value;

use crate::{
    diagnostic::Code,
    expression::{Problem, engine, reads::reads, template::bare_expression},
    language::{
        PipelineFile, Retry, RetryError, RetryJitter, RunOnWord, Step,
        value::{DurationText, ExpressionText, IdText},
    },
    units::parse_duration,
};

/// The definition of a file without mistakes. `None` if a name or a kind is not legal, which the
/// checks before this would have reported.
pub(crate) fn definition(file: &PipelineFile, document: Value) -> Option<PipelineDefinition> {
    let defaults = file.defaults.as_ref().and_then(|defaults| defaults.retry.as_ref());
    let steps = file.steps.iter().map(|step| step_definition(step, defaults));
    Some(PipelineDefinition {
        name: file.pipeline.0.parse().ok()?,
        description: file.description.clone(),
        owner: file.owner.clone(),
        tags: file.tags.clone().unwrap_or_default(),
        steps: steps.collect::<Option<_>>()?,
        document,
    })
}

fn step_definition(step: &Step, defaults: Option<&Retry>) -> Option<StepDefinition> {
    let kind = match (&step.sync, &step.command, &step.plugin) {
        (Some(_), None, None) => StepKind::Sync,
        (None, Some(_), None) => StepKind::Command,
        (None, None, Some(_)) => StepKind::Plugin,
        _ => return None,
    };
    let ids = |ids: &[IdText]| ids.iter().map(|id| id.0.parse().ok()).collect::<Option<Vec<_>>>();
    let when = step.when.as_ref().map(|ExpressionText(text)| condition(text));
    Some(StepDefinition {
        id: step.id.0.parse().ok()?,
        kind,
        needs: ids(step.needs.as_deref().unwrap_or_default())?,
        run_on: step.run_on.map(run_on).unwrap_or_default(),
        when: match when {
            Some(condition) => Some(condition.ok()?),
            None => None,
        },
        retry: retry(step.retry.as_ref(), defaults),
        allow_failure: step.allow_failure.unwrap_or(false),
    })
}

fn run_on(word: RunOnWord) -> RunOn {
    match word {
        RunOnWord::Completed => RunOn::Completed,
        RunOnWord::Failed => RunOn::Failed,
        RunOnWord::Ended => RunOn::Ended,
        RunOnWord::Cancelled => RunOn::Cancelled,
    }
}

/// The step's own policy over that of `defaults` over what holds without either, key by key.
fn retry(own: Option<&Retry>, defaults: Option<&Retry>) -> RetryPolicy {
    fn pick<'r, T>(
        own: Option<&'r Retry>,
        defaults: Option<&'r Retry>,
        key: impl Fn(&'r Retry) -> Option<T>,
    ) -> Option<T> {
        own.and_then(&key).or_else(|| defaults.and_then(&key))
    }
    let standard = RetryPolicy::default();
    let duration = |text: &DurationText| parse_duration(&text.0);
    let initial = pick(own, defaults, |retry| retry.initial.as_ref().and_then(duration));
    let max = pick(own, defaults, |retry| retry.max.as_ref().and_then(duration));
    let errors = pick(own, defaults, |retry| retry.errors.as_ref());
    RetryPolicy {
        attempts: pick(own, defaults, |retry| retry.attempts).unwrap_or(standard.attempts),
        initial: initial.unwrap_or(standard.initial),
        factor: pick(own, defaults, |retry| retry.factor).unwrap_or(standard.factor),
        max: max.unwrap_or(standard.max),
        jitter: match pick(own, defaults, |retry| retry.jitter) {
            Some(RetryJitter::None) => Jitter::None,
            Some(RetryJitter::Full) => Jitter::Full,
            None => standard.jitter,
        },
        errors: errors
            .map_or(standard.errors, |errors| errors.iter().copied().map(error_class).collect()),
    }
}

fn error_class(word: RetryError) -> ErrorClass {
    match word {
        RetryError::ExitCode => ErrorClass::ExitCode,
        RetryError::Signal => ErrorClass::Signal,
        RetryError::Timeout => ErrorClass::Timeout,
        RetryError::Network => ErrorClass::Network,
        RetryError::Oom => ErrorClass::Oom,
        RetryError::Refused => ErrorClass::Refused,
        RetryError::Any => ErrorClass::Any,
    }
}

/// What is known of a condition without evaluating it against a run.
pub(crate) fn condition(text: &str) -> Result<Condition, Problem> {
    let expression = bare_expression(text)?;
    let reads = reads(&expression)?;
    let steps = reads.paths.iter().filter(|path| path.root == "steps");
    let references = steps.filter_map(|path| {
        let field = path.names.get(2).filter(|_| path.names.get(1).is_some_and(|n| n == "output"));
        Some(StepReference { step: path.names.first()?.clone(), output_field: field.cloned() })
    });
    let references = references.collect();
    let constant = (reads.paths.is_empty() && reads.calls.is_empty())
        .then(|| engine::evaluate(&expression, &minijinja::Value::default()).ok()?.as_bool())
        .flatten();
    Ok(Condition { expression, reads: references, constant })
}

/// What is wrong with a condition that reads nothing, and so can be evaluated now.
pub(crate) fn constant_problem(expression: &str) -> Option<Problem> {
    let reads = reads(expression).ok()?;
    if !reads.paths.is_empty() || !reads.calls.is_empty() {
        return None;
    }
    match engine::evaluate(expression, &minijinja::Value::default()) {
        Ok(Value::Bool(_)) => None,
        Ok(other) => Some(Problem {
            code: Code::Condition,
            message: format!("a condition is true or false, and this is always {other}"),
            hint: Some("compare something, as in `steps.load.output.records > 0`".to_owned()),
            part: expression.to_owned(),
        }),
        Err(problem) => Some(problem),
    }
}
