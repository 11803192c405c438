//! Whether every name in an expression exists where the expression stands.

use std::collections::{BTreeMap, BTreeSet};

use flexcore_domain::StepKind;

use super::{
    Problem,
    engine::{FILTERS, TESTS},
    reads::{FunctionCall, Path, Reads, reads},
    template::{Part, split},
};
use crate::{diagnostic::Code, nearest::did_you_mean};

const ROOTS: &[&str] = &["params", "steps", "env", "run"];
const STEP_FIELDS: &[&str] = &["status", "output", "error", "attempts"];
const RUN_FIELDS: &[&str] =
    &["id", "attempt", "pipeline", "version", "environment", "started_at", "interval"];
const INTERVAL_FIELDS: &[&str] = &["start", "end"];

/// Where an expression stands, which decides what it may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Settings of a step: everything.
    Settings,
    /// A program's arguments or a script: everything but secrets, which other users would see.
    Arguments,
    /// A condition: everything but secrets, since its result is recorded.
    Condition,
    /// A parameter's default: earlier parameters, `env`, `run` and secrets.
    ParameterDefault,
    /// The store's address in the project file: `env` alone.
    Store,
}

impl Place {
    fn allows_root(self, root: &str) -> bool {
        match self {
            Self::Settings | Self::Arguments | Self::Condition => true,
            Self::ParameterDefault => root != "steps",
            Self::Store => root == "env",
        }
    }

    fn allows_secrets(self) -> bool {
        matches!(self, Self::Settings | Self::ParameterDefault)
    }

    fn refusal(self) -> &'static str {
        match self {
            Self::Arguments => {
                "arguments and scripts can be seen by other users of the machine; pass it in `env` \
                 and read it there"
            }
            _ => "the result of an expression is recorded; secrets belong into settings and `env`",
        }
    }
}

/// The names that exist.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    /// Parameters in order, each with whether it is secret.
    pub(crate) params: Vec<(String, bool)>,
    /// Steps, each with its kind if this version knows it.
    pub(crate) steps: BTreeMap<String, Option<StepKind>>,
    /// Environment variables, each with whether its value holds a secret.
    pub(crate) environment: BTreeMap<String, bool>,
    /// Those of them that the project lets through from the host.
    pub(crate) allowed: BTreeMap<String, bool>,
    /// Whether there is an `item`: the step has `for_each`.
    pub(crate) item: bool,
}

impl Names {
    /// Everything that is wrong with a text that may have templates.
    pub(crate) fn check_text(&self, text: &str, place: Place) -> Vec<Problem> {
        match split(text) {
            Err(problem) => vec![problem],
            Ok(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    Part::Expression(expression) => Some(self.check(expression, place)),
                    Part::Text(_) => None,
                })
                .flatten()
                .collect(),
        }
    }

    /// Everything that is wrong with an expression.
    pub(crate) fn check(&self, expression: &str, place: Place) -> Vec<Problem> {
        let reads = match reads(expression) {
            Ok(reads) => reads,
            Err(problem) => return vec![problem],
        };
        let paths = reads.paths.iter().filter_map(|path| self.check_path(path, place));
        let calls = reads.calls.iter().filter_map(|call| check_call(call, place));
        let words = check_words(&reads, expression);
        paths.chain(calls).chain(words).collect()
    }

    /// Whether a text reads a secret, directly or through a parameter or variable that holds one.
    pub(crate) fn reads_secret(&self, text: &str) -> bool {
        let Ok(parts) = split(text) else { return false };
        parts.iter().any(|part| match part {
            Part::Text(_) => false,
            Part::Expression(expression) => reads(expression).is_ok_and(|reads| {
                reads.calls.iter().any(|call| call.name == "secret")
                    || reads.paths.iter().any(|path| self.holds_secret(path))
            }),
        })
    }

    fn holds_secret(&self, path: &Path) -> bool {
        let first = path.names.first();
        match path.root.as_str() {
            "params" => self
                .params
                .iter()
                .any(|(name, secret)| *secret && first.is_none_or(|first| first == name)),
            "env" => self
                .environment
                .iter()
                .any(|(name, secret)| *secret && first.is_none_or(|first| first == name)),
            _ => false,
        }
    }

    fn check_path(&self, path: &Path, place: Place) -> Option<Problem> {
        let root = path.root.as_str();
        if root == "item" && self.item {
            return None;
        }
        if root == "item" {
            return Some(unknown(path, "`item` exists only in a step with `for_each`".to_owned()));
        }
        if root == "secret" {
            return Some(
                unknown(path, "`secret` is a function".to_owned()).with("write `secret('NAME')`"),
            );
        }
        if !ROOTS.contains(&root) {
            return Some(unknown_root(path));
        }
        if !place.allows_root(root) {
            return Some(unknown(path, format!("`{root}` does not exist here")).with(
                match place {
                    Place::Store => "the store's address may read `env` alone",
                    _ => "this is evaluated before any step runs",
                },
            ));
        }
        if !place.allows_secrets() && self.holds_secret(path) {
            return Some(Problem {
                code: Code::ExposedSecret,
                message: format!("`{}` holds a secret, which must not stand here", path.text),
                hint: Some(place.refusal().to_owned()),
                part: path.text.clone(),
            });
        }
        match root {
            "params" => self.check_parameter(path, place),
            "steps" => self.check_step(path, place),
            "env" => self.check_variable(path),
            _ => check_run(path),
        }
    }

    fn check_parameter(&self, path: &Path, place: Place) -> Option<Problem> {
        let name = path.names.first()?;
        if self.params.iter().any(|(known, _)| known == name) {
            return None;
        }
        let known: Vec<&str> = self.params.iter().map(|(name, _)| name.as_str()).collect();
        let message = match place {
            Place::ParameterDefault => format!("there is no earlier parameter `{name}`"),
            _ => format!("there is no parameter `{name}`"),
        };
        let hint = did_you_mean(name, &known);
        Some(Problem { hint, ..unknown(path, message) })
    }

    fn check_step(&self, path: &Path, place: Place) -> Option<Problem> {
        let Some(step) = path.names.first() else {
            let message = "`steps` has to be followed by the id of a step".to_owned();
            return Some(unknown(path, message).with("write `steps.<id>.output`"));
        };
        if let Some(field) =
            path.names.get(1).filter(|field| !STEP_FIELDS.contains(&field.as_str()))
        {
            let hint = did_you_mean(field, STEP_FIELDS);
            return Some(Problem { hint, ..unknown(path, format!("a step has no `{field}`")) });
        }
        // The domain checks what conditions read, with all other rules about the graph.
        if place == Place::Condition {
            return None;
        }
        let Some(kind) = self.steps.get(step) else {
            let known: Vec<&str> = self.steps.keys().map(String::as_str).collect();
            let hint = did_you_mean(step, &known);
            return Some(Problem { hint, ..unknown(path, format!("there is no step `{step}`")) });
        };
        let fields = kind.and_then(StepKind::output_fields)?;
        let field = path.names.get(2).filter(|_| path.names[1] == "output")?;
        if fields.contains(&field.as_str()) {
            return None;
        }
        let word = kind.map_or("this", StepKind::as_str);
        let hint = did_you_mean(field, fields);
        let message = format!("the output of a `{word}` step has no `{field}`");
        Some(Problem { hint, ..unknown(path, message) })
    }

    fn check_variable(&self, path: &Path) -> Option<Problem> {
        let name = path.names.first()?;
        if self.environment.contains_key(name) {
            return None;
        }
        let message = format!("there is no environment variable `{name}` here");
        let hint = "set it in the step's `env`, or allow it in `env_allow` of flexcore.yaml";
        Some(unknown(path, message).with(hint))
    }
}

fn check_call(call: &FunctionCall, place: Place) -> Option<Problem> {
    let problem = |code, message: String, hint: Option<&str>| {
        let hint = hint.map(str::to_owned);
        Some(Problem { code, message, hint, part: call.text.clone() })
    };
    if call.name != "secret" {
        let message = format!("there is no function `{}`", call.name);
        let hint = match call.name.as_str() {
            "now" | "today" => {
                "use `run.started_at` or `run.interval`, which stay the same when \
                                a step is tried again"
            }
            _ => {
                "the only function is `secret('NAME')`; everything else is a filter: \
                  `value | filter`"
            }
        };
        return problem(Code::UnknownName, message, Some(hint));
    }
    if !place.allows_secrets() {
        let message = "a secret must not stand here".to_owned();
        return problem(Code::ExposedSecret, message, Some(place.refusal()));
    }
    if call.text_argument.as_deref().is_none_or(str::is_empty) {
        let message = "the name of a secret has to be a plain text".to_owned();
        let hint = "write `secret('NAME')`, so that it can be seen which secrets are read";
        return problem(Code::IllegalValue, message, Some(hint));
    }
    None
}

/// The names of all secrets that a text reads directly.
pub(crate) fn secret_names(text: &str) -> BTreeSet<String> {
    let parts = split(text).unwrap_or_default();
    let expressions = parts.iter().filter_map(|part| match part {
        Part::Expression(expression) => reads(expression).ok(),
        Part::Text(_) => None,
    });
    let calls = expressions.flat_map(|reads| reads.calls);
    calls.filter(|call| call.name == "secret").filter_map(|call| call.text_argument).collect()
}

/// The names below a root that a text reads: `b` of `params.b`. `None` if it reads the root as a
/// whole.
pub(crate) fn names_below(text: &str, root: &str) -> Option<BTreeSet<String>> {
    let parts = split(text).unwrap_or_default();
    let expressions = parts.iter().filter_map(|part| match part {
        Part::Expression(expression) => reads(expression).ok(),
        Part::Text(_) => None,
    });
    let paths = expressions.flat_map(|reads| reads.paths).filter(|path| path.root == root);
    paths.map(|path| path.names.into_iter().next()).collect()
}

fn check_run(path: &Path) -> Option<Problem> {
    let field = path.names.first()?;
    if !RUN_FIELDS.contains(&field.as_str()) {
        let hint = did_you_mean(field, RUN_FIELDS);
        return Some(Problem { hint, ..unknown(path, format!("`run` has no `{field}`")) });
    }
    let end = path.names.get(1).filter(|_| field == "interval")?;
    if INTERVAL_FIELDS.contains(&end.as_str()) {
        return None;
    }
    let hint = did_you_mean(end, INTERVAL_FIELDS);
    Some(Problem { hint, ..unknown(path, format!("`run.interval` has no `{end}`")) })
}

fn check_words(reads: &Reads, expression: &str) -> Vec<Problem> {
    let problem = |message: String, hint: Option<String>, part: &str| Problem {
        code: Code::UnknownName,
        message,
        hint,
        part: if expression.contains(part) { part.to_owned() } else { expression.to_owned() },
    };
    let missing = |names: &[String], known: &[&str], what: &str| -> Vec<Problem> {
        let unknown = names.iter().filter(|name| !known.contains(&name.as_str()));
        unknown
            .map(|name| {
                let near = crate::nearest::nearest(name, known);
                let hint = near.map(|near| format!("did you mean `{near}`?"));
                problem(format!("there is no {what} `{name}`"), hint, name)
            })
            .collect()
    };
    let mut problems = missing(&reads.filters, FILTERS, "filter");
    problems.extend(missing(&reads.tests, TESTS, "test"));
    problems.extend(reads.methods.iter().map(|method| {
        let hint = format!("values have no methods; write a filter: `value | {method}`");
        problem(format!("there is no method `{method}`"), Some(hint), method)
    }));
    problems
}

fn unknown(path: &Path, message: String) -> Problem {
    Problem { code: Code::UnknownName, message, hint: None, part: path.text.clone() }
}

fn unknown_root(path: &Path) -> Problem {
    let hint = match (&path.hyphenated, path.root.as_str()) {
        (Some(written), _) => Some(format!("for a name with a hyphen write `{written}`")),
        (None, "null" | "None" | "nil") => Some("write `none`".to_owned()),
        (None, "True" | "False") => Some("write it in lower case".to_owned()),
        (None, root) => did_you_mean(root, &["params", "steps", "env", "run", "secret"]),
    };
    Problem { hint, ..unknown(path, format!("`{}` is undefined", path.root)) }
}

impl Problem {
    fn with(self, hint: &str) -> Self {
        Self { hint: Some(hint.to_owned()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            params: vec![("since".into(), false), ("token".into(), true)],
            steps: [("load".into(), Some(StepKind::Sync)), ("go".into(), Some(StepKind::Command))]
                .into(),
            environment: [("TZ".into(), false), ("PGPASSWORD".into(), true)].into(),
            ..Names::default()
        }
    }

    fn problem(expression: &str, place: Place) -> String {
        let problems = names().check(expression, place);
        let shown: Vec<_> = problems
            .iter()
            .map(|problem| {
                let hint = problem.hint.as_deref().unwrap_or("-");
                format!("{} | {} | {hint}", problem.code.as_str(), problem.message)
            })
            .collect();
        shown.join("\n")
    }

    #[test]
    fn what_exists_passes() {
        for expression in [
            "params.since",
            "params['token'] | default('x')",
            "steps.load.output.streams['a-b'].records > 0 and steps.go.output.anything",
            "run.interval.start | date('%Y')",
            "env.TZ ~ secret('DB')",
            "1 if steps.go.status == 'completed' else none",
        ] {
            assert_eq!(problem(expression, Place::Settings), "", "{expression}");
        }
    }

    #[test]
    fn what_does_not_exist_is_named_with_a_hint() {
        let wrong = [
            "param.since",
            "params.sinse",
            "steps.lod.output",
            "steps.load.outptu",
            "steps.load.output.record",
            "steps.load.output.streams.public-orders.records",
            "env.HOME",
            "run.interval.begin",
            "run.started",
            "now()",
            "params.since | uper",
            "params.since.upper()",
            "params.since is defind",
            "secret(params.since)",
            "item.code",
            "null",
            "steps | length",
            "secret",
        ];
        let shown: Vec<_> = wrong
            .iter()
            .map(|wrong| format!("{wrong}\n    {}", problem(wrong, Place::Settings)))
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn secrets_stay_out_of_arguments_and_conditions() {
        for place in [Place::Arguments, Place::Condition] {
            for expression in [
                "secret('A')",
                "params.token",
                "params | tojson",
                "params[run.id]",
                "env.PGPASSWORD",
            ] {
                assert!(problem(expression, place).starts_with("FC0114"), "{expression}");
            }
            assert_eq!(problem("params.since", place), "");
        }
    }

    #[test]
    fn a_place_decides_which_roots_exist() {
        assert!(problem("steps.load.status", Place::ParameterDefault).contains("does not exist"));
        assert!(problem("params.since", Place::Store).contains("does not exist here"));
        assert_eq!(problem("env.TZ", Place::Store), "");
    }

    #[test]
    fn secret_names_are_found_without_evaluating() {
        let found = secret_names("{{ secret('A') }} {{ x | default(secret('B')) }} secret('C')");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["A", "B"]);
        assert!(names().reads_secret("x {{ params.token }}"));
        assert!(!names().reads_secret("x {{ params.since }}"));
        assert_eq!(names_below("{{ params | tojson }}", "params"), None);
    }
}
