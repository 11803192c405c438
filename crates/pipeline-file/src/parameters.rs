//! Parameters: their declarations, and their values when an execution is created.

use std::collections::{BTreeMap, BTreeSet};

use flexcore_domain::StepId;
use serde_json::Value;
use thiserror::Error;

use crate::{
    expression::{
        engine,
        names::{Names, names_below},
        reads::reads,
        template::{is_template, single_expression, split},
    },
    layers::FilePart,
    nearest::list_of,
    scope::{Context, SECRET_REFERENCE, Scope, Wanted},
};

/// Keys of a parameter that are not JSON Schema.
const OWN_KEYS: [&str; 2] = ["secret", "default"];

/// The parameters of a pipeline, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters {
    file: String,
    declarations: Vec<Declaration>,
}

#[derive(Debug, Clone, PartialEq)]
struct Declaration {
    name: String,
    secret: bool,
    schema: Value,
    default: Option<Value>,
    line: u32,
}

/// A parameter of a pipeline, for those who list them.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ParameterInfo {
    /// Its name.
    pub name: String,
    /// Whether it takes only references to secrets.
    pub secret: bool,
    /// Whether it has to be given.
    pub required: bool,
    /// Its JSON Schema.
    pub schema: Value,
    /// Its default as it stands in the file.
    pub default: Option<Value>,
}

/// A value that was given for a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum ParameterInput {
    /// Text of a command line (`--param name=text`): read as the type that the schema asks for.
    Text(String),
    /// JSON, taken as it is.
    Value(Value),
}

/// Why parameters were refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParameterError {
    /// The pipeline has no such parameter.
    #[error("the pipeline has no parameter `{name}`; it has {known}")]
    Unknown {
        /// What was given.
        name: String,
        /// The parameters that there are, for a person.
        known: String,
    },
    /// A parameter without default was not given.
    #[error("the parameter `{name}` has no default; give it with `--param {name}={example}`")]
    Missing {
        /// The parameter.
        name: String,
        /// What a value looks like.
        example: &'static str,
    },
    /// A value does not fit the parameter's schema.
    #[error("the parameter `{name}` does not take {value}: {reason}")]
    Refused {
        /// The parameter.
        name: String,
        /// What was given; never a secret.
        value: String,
        /// What its schema says.
        reason: String,
    },
    /// A secret parameter was given a value instead of a reference.
    #[error(
        "the parameter `{name}` is secret and takes only a reference: `--param {name}=@secret:NAME`"
    )]
    LiteralSecret {
        /// The parameter.
        name: String,
    },
    /// A default could not be evaluated.
    #[error("the default of the parameter `{name}` has no value: {reason} ({file}:{line})")]
    Default {
        /// The parameter.
        name: String,
        /// The file.
        file: String,
        /// The line.
        line: u32,
        /// Why not.
        reason: String,
    },
}

impl Parameters {
    /// The declarations of a stored pipeline.
    pub(crate) fn read(pipeline: &FilePart<'_>) -> Result<Self, String> {
        let pairs = pipeline.content.get("params").and_then(Value::as_array);
        let declarations = pairs.into_iter().flatten().enumerate().map(|(index, pair)| {
            let declaration = pair.get(1).filter(|value| value.is_object());
            let name = pair.get(0).and_then(Value::as_str);
            let (Some(name), Some(declaration)) = (name, declaration) else {
                return Err("a parameter is damaged".to_owned());
            };
            let line = pipeline.line(&format!("/params/{index}/1"));
            Ok(Declaration {
                name: name.to_owned(),
                secret: declaration.get("secret") == Some(&Value::Bool(true)),
                schema: schema_of(declaration),
                default: declaration.get("default").cloned(),
                line,
            })
        });
        Ok(Self {
            file: pipeline.file.clone(),
            declarations: declarations.collect::<Result<_, _>>()?,
        })
    }

    /// Every parameter, in the order of the file.
    pub fn list(&self) -> Vec<ParameterInfo> {
        let info = |declaration: &Declaration| ParameterInfo {
            name: declaration.name.clone(),
            secret: declaration.secret,
            required: declaration.default.is_none(),
            schema: declaration.schema.clone(),
            default: declaration.default.clone(),
        };
        self.declarations.iter().map(info).collect()
    }

    /// The names of those that are secret.
    pub(crate) fn secret_names(&self) -> BTreeSet<String> {
        let secret = self.declarations.iter().filter(|declaration| declaration.secret);
        secret.map(|declaration| declaration.name.clone()).collect()
    }

    /// The values with which an execution is created: what was given, checked, and the defaults of
    /// the others, evaluated in order. `scope` has the execution as it will be; its `params` and
    /// `steps` are not looked at. A secret parameter is bound to a reference (`@secret:NAME`), so
    /// that the result may be stored.
    ///
    /// # Errors
    /// [`ParameterError`] for the first that is wrong.
    pub fn bind(
        &self,
        given: &BTreeMap<String, ParameterInput>,
        scope: &Scope<'_>,
    ) -> Result<BTreeMap<String, Value>, ParameterError> {
        if let Some(name) = given.keys().find(|name| self.find(name).is_none()) {
            return Err(self.unknown(name));
        }
        let mut bound = BTreeMap::new();
        for declaration in &self.declarations {
            let value = match given.get(&declaration.name) {
                Some(input) => declaration.accept(input)?,
                None => self.default(declaration, &bound, scope)?,
            };
            bound.insert(declaration.name.clone(), value);
        }
        Ok(bound)
    }

    fn find(&self, name: &str) -> Option<&Declaration> {
        self.declarations.iter().find(|declaration| declaration.name == name)
    }

    fn unknown(&self, name: &str) -> ParameterError {
        let known: Vec<&str> = self.declarations.iter().map(|one| one.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { list_of(&known, "and") };
        ParameterError::Unknown { name: name.to_owned(), known }
    }

    fn default(
        &self,
        declaration: &Declaration,
        earlier: &BTreeMap<String, Value>,
        scope: &Scope<'_>,
    ) -> Result<Value, ParameterError> {
        let Some(default) = &declaration.default else {
            let name = declaration.name.clone();
            let example = if declaration.secret { "@secret:NAME" } else { "VALUE" };
            return Err(ParameterError::Missing { name, example });
        };
        if declaration.secret {
            let reference = default.as_str().and_then(secret_reference);
            let literal = || ParameterError::LiteralSecret { name: declaration.name.clone() };
            return reference.map(Value::String).ok_or_else(literal);
        }
        let Some(text) = default.as_str().filter(|text| is_template(text)) else {
            return declaration.checked(default.clone());
        };
        let failed = |reason: String| ParameterError::Default {
            name: declaration.name.clone(),
            file: self.file.clone(),
            line: declaration.line,
            reason,
        };
        let names = Names { params: Vec::new(), ..Names::default() };
        if names.reads_secret(text) {
            return Err(failed("a default that reads a secret needs `secret: true`".to_owned()));
        }
        let value = evaluate_default(text, earlier, scope).map_err(failed)?;
        declaration.checked(value)
    }
}

fn evaluate_default(
    text: &str,
    earlier: &BTreeMap<String, Value>,
    scope: &Scope<'_>,
) -> Result<Value, String> {
    let names = names_below(text, "env").unwrap_or_default();
    let environment: BTreeMap<String, String> = names
        .into_iter()
        .filter_map(|name| (scope.host)(&name).map(|value| (name, value)))
        .collect();
    let scope = Scope {
        params: earlier.clone(),
        steps: BTreeMap::new(),
        run: scope.run.clone(),
        host: scope.host,
        secret: scope.secret,
    };
    let secret_params = BTreeSet::new();
    let context = Context {
        scope: &scope,
        step_ids: &[],
        secret_params: &secret_params,
        environment: &environment,
    };
    let value = context.value(&Wanted::of([text]))?;
    engine::render(text, &value).map_err(|problem| problem.message)
}

impl Declaration {
    fn accept(&self, input: &ParameterInput) -> Result<Value, ParameterError> {
        if self.secret {
            let text = match input {
                ParameterInput::Text(text) => Some(text.as_str()),
                ParameterInput::Value(value) => value.as_str(),
            };
            let reference = text.filter(|text| {
                text.strip_prefix(SECRET_REFERENCE).is_some_and(|name| !name.is_empty())
            });
            let literal = || ParameterError::LiteralSecret { name: self.name.clone() };
            return reference.map(Value::from).ok_or_else(literal);
        }
        match input {
            ParameterInput::Text(text) => self.checked(self.typed(text)),
            ParameterInput::Value(value) => self.checked(value.clone()),
        }
    }

    /// A text of a command line as the type that the schema asks for. What does not read as that
    /// type stays a text, which the schema then refuses with its own words.
    fn typed(&self, text: &str) -> Value {
        let types: Vec<&str> = match self.schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => vec![],
        };
        if types == ["string"] {
            return text.into();
        }
        let parsed = serde_json::from_str::<Value>(text).ok();
        let wanted = |value: &Value| types.is_empty() || types.contains(&type_name(value, &types));
        parsed.filter(wanted).unwrap_or_else(|| text.into())
    }

    fn checked(&self, value: Value) -> Result<Value, ParameterError> {
        let refused = |reason: String| ParameterError::Refused {
            name: self.name.clone(),
            value: value.to_string(),
            reason,
        };
        let validator = compile(&self.schema).map_err(&refused)?;
        let reason = validator.validate(&value).err().map(|error| error.to_string());
        match reason {
            Some(reason) => Err(refused(reason)),
            None => Ok(value),
        }
    }
}

fn type_name(value: &Value, wanted: &[&str]) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if !number.is_f64() && !wanted.contains(&"number") => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The JSON Schema in a parameter's declaration.
pub(crate) fn schema_of(declaration: &Value) -> Value {
    let mut schema = declaration.clone();
    if let Some(map) = schema.as_object_mut() {
        map.retain(|key, value| !OWN_KEYS.contains(&key.as_str()) && !value.is_null());
    }
    schema
}

/// A validator that also looks at `format`. References to other documents are not followed.
pub(crate) fn compile(schema: &Value) -> Result<jsonschema::Validator, String> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .build(schema)
        .map_err(|error| error.to_string())
}

/// The reference that a secret parameter's default stands for: `@secret:NAME`, or exactly
/// `{{ secret('NAME') }}`.
pub(crate) fn secret_reference(default: &str) -> Option<String> {
    if default.strip_prefix(SECRET_REFERENCE).is_some_and(|name| !name.is_empty()) {
        return Some(default.to_owned());
    }
    let parts = split(default).ok()?;
    let expression = single_expression(&parts)?;
    let reads = reads(expression).ok()?;
    match reads.calls.as_slice() {
        [call] if call.name == "secret" && call.text == expression => {
            call.text_argument.as_ref().map(|name| format!("{SECRET_REFERENCE}{name}"))
        }
        _ => None,
    }
}

/// Whether a text can be the name of a parameter.
pub(crate) fn is_parameter_name(name: &str) -> bool {
    name.parse::<StepId>().is_ok()
}
