//! Whether a plugin keeps the protocol of process plugins: as its SDK sees it, and in a jail.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use flexcore_cli::{ConformanceCheck, ConformanceOutcome, HostError};
use flexcore_plugin_process::{ProcessHost, ProcessOptions};
use flexcore_plugin_protocol::{
    ContentDigest, Effective, Grants, KindDetails, Manifest, PluginType, Requests, SecretName,
    Subject as GrantSubject, effective, grant_lines,
};
use flexcore_plugin_sdk::{
    conformance::{Check, Outcome, Sample, Subject, conformance},
    testing::Cookie,
};
use flexcore_ports::{AttemptLog, CallablePlugin, LogSource, PluginCall, PluginError, PluginHost};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{sandbox, writer};

const MANIFEST: &str = "its plugin.toml is right";
const SAMPLE: &str = "its conformance.json is right";
const JAIL: &str = "it works in a jail, with what its manifest asks for";

/// Looks at the plugin in a folder.
pub(crate) async fn look(
    folder: &Path,
    environment: &BTreeMap<String, String>,
    scratch: &Path,
) -> Result<(bool, Vec<ConformanceCheck>), HostError> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mut checks = Vec::new();
    if let Some((manifest, sample)) = read(&folder, &mut checks) {
        let subject = subject(&folder, &manifest, &sample, environment);
        match subject {
            Ok(subject) => checks.extend(conformance(&subject, &is_schema).await),
            Err(check) => checks.push(check),
        }
        if !has_failed(&checks) {
            let jailed = in_jail(folder, manifest, sample, environment, scratch).await?;
            checks.push(jailed.err().unwrap_or_else(|| Check::passed(JAIL)));
        }
    }
    let conforms = !has_failed(&checks);
    Ok((conforms, checks.into_iter().map(told).collect()))
}

fn has_failed(checks: &[Check]) -> bool {
    checks.iter().any(|check| check.outcome == Outcome::Failed)
}

fn told(check: Check) -> ConformanceCheck {
    let outcome = match check.outcome {
        Outcome::Passed => ConformanceOutcome::Passed,
        Outcome::Failed => ConformanceOutcome::Failed,
        Outcome::Skipped => ConformanceOutcome::Skipped,
    };
    let Check { name, detail, hint, .. } = check;
    ConformanceCheck { name: name.to_owned(), outcome, detail, hint }
}

/// The manifest and the sample, if both are right.
fn read(folder: &Path, checks: &mut Vec<Check>) -> Option<(Manifest, Sample)> {
    let text = |name: &str| std::fs::read_to_string(folder.join(name));
    let manifest = match text("plugin.toml") {
        Ok(text) => Manifest::parse("plugin.toml", &text).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    checks.push(match &manifest {
        Ok(_) => Check::passed(MANIFEST),
        Err(error) => Check::failed(MANIFEST, error.trim_end(), None),
    });
    let sample = match text("conformance.json") {
        Ok(text) => serde_json::from_str(&text).map_err(|error| error.to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let why = "there is none; with settings and input in it more can be looked at";
            checks.push(Check::skipped(SAMPLE, why));
            return Some((manifest.ok()?, Sample::default()));
        }
        Err(error) => Err(error.to_string()),
    };
    checks.push(match &sample {
        Ok(_) => Check::passed(SAMPLE),
        Err(error) => {
            let hint = "it is an object with config, secrets, operation, input and expect";
            Check::failed(SAMPLE, error.as_str(), hint.to_owned())
        }
    });
    Some((manifest.ok()?, sample.ok()?))
}

fn subject(
    folder: &Path,
    manifest: &Manifest,
    sample: &Sample,
    environment: &BTreeMap<String, String>,
) -> Result<Subject, Check> {
    const NAME: &str = "it is a process that can be started";
    let KindDetails::Process(details) = &manifest.details else {
        let kind = manifest.kind.as_str();
        let what = format!("it is of kind `{kind}`; conformance is about kind `process`");
        return Err(Check::failed(NAME, what, None));
    };
    let mut argv = manifest.entrypoint.clone();
    let Some(program) = argv.first_mut() else {
        return Err(Check::failed(NAME, "its manifest names no program", None));
    };
    // An absolute program stays what it is.
    let path = folder.join(&*program);
    if !path.is_file() {
        let what = format!("there is no {}", path.display());
        let hint = "build it first, or correct `entrypoint` in plugin.toml";
        return Err(Check::failed(NAME, what, hint.to_owned()));
    }
    *program = path.to_string_lossy().into_owned();
    let path = environment.get("PATH").map_or("/usr/local/bin:/usr/bin:/bin", String::as_str);
    Ok(Subject {
        argv,
        cookie: Cookie { key: details.cookie_key.clone(), value: details.cookie_value.clone() },
        environment: vec![("PATH".to_owned(), path.to_owned())],
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        plugin_type: match manifest.plugin_type {
            PluginType::Extractor => flexcore_plugin_sdk::PluginType::Extractor,
            PluginType::Loader => flexcore_plugin_sdk::PluginType::Loader,
            PluginType::Transformer => flexcore_plugin_sdk::PluginType::Transformer,
            PluginType::Processor => flexcore_plugin_sdk::PluginType::Processor,
        },
        sample: sample.clone(),
    })
}

fn is_schema(schema: &Value) -> Result<(), String> {
    jsonschema::meta::validate(schema).map_err(|error| error.to_string())
}

/// Calls the plugin as FlexCore does: in a jail that allows what the manifest asks for.
async fn in_jail(
    folder: PathBuf,
    manifest: Manifest,
    sample: Sample,
    environment: &BTreeMap<String, String>,
    scratch: &Path,
) -> Result<Result<(), Check>, HostError> {
    let policy = sandbox::policy(environment)?;
    let launcher = writer::start_launcher(&scratch.join("launcher.lock")).await?;
    let mut options = ProcessOptions::new(scratch.join("plugins"));
    options.policy = policy;
    let host = ProcessHost::new(sandbox::jailer(&launcher), options);
    let plugin = CallablePlugin {
        effective: all_granted(&manifest),
        digest: ContentDigest::of(folder.to_string_lossy().as_bytes()),
        manifest: Arc::new(manifest),
        folder: Some(folder),
        tenant: "conformance".to_owned(),
    };
    let verdict = call(&host, &plugin, sample).await;
    host.close().await;
    launcher.shut_down().await;
    Ok(verdict.map_err(|error| {
        let lines = error.stderr_tail.iter().map(|line| format!("\n{line}")).collect::<String>();
        let hint = "ask for what it needs in plugin.toml, or need less: without a jail it works";
        Check::failed(JAIL, format!("{}{lines}", error.message), hint.to_owned())
    }))
}

async fn call(
    host: &ProcessHost,
    plugin: &CallablePlugin,
    sample: Sample,
) -> Result<(), PluginError> {
    host.initialize(plugin).await?;
    host.validate(plugin, &sample.config).await?;
    let secrets = sample.secrets.into_iter();
    let call = PluginCall {
        id: "conformance/sample/1".to_owned(),
        idempotency_key: "conformance/sample".to_owned(),
        attempt: 1,
        operation: sample.operation,
        config: sample.config,
        input: sample.input,
        state: None,
        secrets: secrets
            .filter_map(|(name, value)| Some((SecretName::parse(&name).ok()?, value)))
            .collect(),
        timeout: None,
        trace: None,
    };
    let end = host.execute(plugin, call, Arc::new(Unread), CancellationToken::new()).await;
    end.outcome?;
    host.health(plugin).await
}

/// Everything that the manifest asks for, as if an operator had granted it.
fn all_granted(manifest: &Manifest) -> Effective {
    let subject = GrantSubject { plugin: Some(manifest.name.clone()), ..GrantSubject::default() };
    let requests =
        Requests { manifest: Some((&manifest.capabilities, &manifest.limits)), step: None };
    let refused = effective(requests, &Grants::default(), &subject);
    let lines = format!("grants = 1\n{}", grant_lines(&subject, refused.not_granted()));
    let granted = Grants::parse("grants.toml", &lines);
    granted.map_or(refused, |grants| effective(requests, &grants, &subject))
}

/// A log that nobody reads: a failure brings its last lines with it.
#[derive(Debug)]
struct Unread;

impl AttemptLog for Unread {
    fn line(&self, _: LogSource, _: &str) {}
}
