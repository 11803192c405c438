//! Whether a plugin keeps the protocol: what `flexcore plugin conformance` asks of it, and what
//! an author's own tests can.
//!
//! The program is started as a host starts it, though without a jail, and asked for everything that
//! a host asks for, nicely and otherwise. Each check says what is wrong and what to do.

mod calls;
mod process;
mod settings;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    PluginType,
    testing::{Cookie, TestPlugin},
};

/// How long a plugin may take to end, or to stop a call.
const END_LIMIT: Duration = Duration::from_secs(3);
/// How long a call may take.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// The plugin that is looked at.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The variable by which it knows that it is run as a plugin.
    pub cookie: Cookie,
    /// Its environment besides what a host sets.
    pub environment: Vec<(String, String)>,
    /// Its name in the manifest.
    pub name: String,
    /// Its version in the manifest.
    pub version: String,
    /// Its type in the manifest.
    pub plugin_type: PluginType,
    /// Settings and input with which it can be tried.
    pub sample: Sample,
}

/// Settings and input with which a plugin can be tried: the file `conformance.json` beside its
/// manifest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sample {
    /// Settings that are right.
    pub config: Value,
    /// The values of secrets, none of which is one.
    pub secrets: BTreeMap<String, String>,
    /// What to do, where the plugin can do several things.
    pub operation: String,
    /// Input: a list is records, anything else is parameters.
    pub input: Value,
    /// What is to come of it, if that is to be compared.
    pub expect: Option<Expectation>,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            config: Value::Object(Map::new()),
            secrets: BTreeMap::new(),
            operation: String::new(),
            input: Value::Null,
            expect: None,
        }
    }
}

/// What is to come of the sample.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectation {
    /// The result of the call as a whole.
    pub result: Option<Value>,
    /// The records by data stream.
    pub records: Option<BTreeMap<String, Vec<Value>>>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, in a few words.
    pub name: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// What is wrong, or why it could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// Not as it should be.
    Failed,
    /// Could not be looked at.
    Skipped,
}

impl Check {
    /// A check that came out as it should.
    pub fn passed(name: &'static str) -> Self {
        Self { name, outcome: Outcome::Passed, detail: None, hint: None }
    }

    /// A check that did not.
    pub fn failed(
        name: &'static str,
        detail: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) -> Self {
        let detail = Some(detail.into());
        Self { name, outcome: Outcome::Failed, detail, hint: hint.into() }
    }

    /// A check that could not be made.
    pub fn skipped(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Skipped, detail: Some(detail.into()), hint: None }
    }
}

/// What is wrong, and what to do.
pub(crate) struct Complaint {
    detail: String,
    hint: Option<&'static str>,
}

impl Complaint {
    pub(crate) fn new(detail: impl Into<String>, hint: &'static str) -> Self {
        Self { detail: detail.into(), hint: Some(hint) }
    }
}

impl<E: std::error::Error> From<E> for Complaint {
    fn from(error: E) -> Self {
        Self { detail: error.to_string(), hint: None }
    }
}

/// How one check came out.
type Verdict = Result<(), Complaint>;

fn check(name: &'static str, verdict: Verdict) -> Check {
    match verdict {
        Ok(()) => Check::passed(name),
        Err(Complaint { detail, hint }) => Check::failed(name, detail, hint.map(str::to_owned)),
    }
}

/// Looks at a plugin. `is_schema` says whether a value is a JSON Schema, or what is wrong with it.
pub async fn conformance(
    subject: &Subject,
    is_schema: &(dyn Fn(&Value) -> Result<(), String> + Sync),
) -> Vec<Check> {
    let mut checks =
        vec![check("started by hand it says what it is", process::by_hand(subject).await)];
    let plugin = match subject.start().await {
        Ok(plugin) => plugin,
        Err(complaint) => {
            checks.push(check(HANDSHAKE, Err(complaint)));
            return checks;
        }
    };
    checks.push(check(HANDSHAKE, Ok(())));
    checks.push(check("gRPC's health check answers", process::serving(&plugin).await));
    checks.push(check("it is what its manifest says", settings::info(&plugin, subject)));
    let schema = settings::schema(&plugin, is_schema).await;
    checks.push(check("its settings have a JSON Schema", schema));
    checks.push(check("it refuses settings that are nonsense", settings::nonsense(&plugin).await));
    checks.push(check(
        "a call before its settings is refused",
        calls::before_settings(&plugin, subject).await,
    ));
    checks.push(check("it takes the sample's settings", settings::sample(&plugin, subject).await));
    let is_ready = settings::initialize(&plugin, subject).await;
    let is_initialized = is_ready.is_ok();
    checks.push(check("it is ready with the sample's settings", is_ready));
    if is_initialized {
        checks.extend(calls::all(&plugin, subject).await);
        checks.push(check("it is well afterwards", process::healthy(&plugin).await));
    } else {
        let why = "it is not ready: give settings that are right in conformance.json";
        checks.push(Check::skipped("calls", why));
    }
    checks.push(check("it ends when it is asked to", process::shut_down(plugin).await));
    let again = process::shut_down_by_controller(subject).await;
    checks.push(check("it ends when a host of go-plugin asks", again));
    checks
}

const HANDSHAKE: &str = "it starts and shakes hands";

impl Subject {
    async fn start(&self) -> Result<TestPlugin, Complaint> {
        let environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let started = TestPlugin::start_with(&self.argv, &self.cookie, &environment).await;
        started.map_err(|error| {
            Complaint::new(
                error.to_string(),
                "write nothing to stdout before the line of the handshake; FC0610 says how it goes",
            )
        })
    }
}
