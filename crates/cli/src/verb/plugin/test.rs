//! `flexcore plugin test`

use std::collections::BTreeMap;

use clap::Args;
use flexcore_api::{ConfigProblemView, InitializePlugin, ValidatePluginConfig};
use flexcore_app::Discovery;
use flexcore_pipeline_file::{ResolvedPipeline, SourceFile, parse_pipeline, resolve};
use serde::Serialize;

use super::call::{ask_by_writing, json};
use crate::{
    Exit, Place,
    failure::{Code, Failure},
    place::Located,
    session::Session,
    text::Style,
    verb::catalog,
};

/// The code of a plugin that no project file and no connector has.
const UNKNOWN_PLUGIN: &str = "FC0110";
/// The code of a plugin that is not registered.
const NOT_REGISTERED: &str = "FC0620";

/// Arguments of `plugin test`.
#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// A tap of the project, a connector, or a registered plugin
    name: String,
    /// How many records to read of a tap; they are thrown away
    #[arg(long, value_name = "N", default_value_t = 5)]
    records: u64,
    /// Settings to try a registered plugin with: JSON, or @FILE; those of a tap are the project's
    #[arg(long, value_name = "JSON|@FILE")]
    config: Option<String>,
}

/// What a test came to.
#[derive(Debug, Serialize)]
struct TestReport {
    /// The plugin.
    plugin: String,
    /// Whether everything passed.
    passed: bool,
    /// What was tried, in order; nothing is tried after something failed.
    checks: Vec<Check>,
}

/// One thing that was tried.
#[derive(Debug, Serialize)]
struct Check {
    /// What.
    check: &'static str,
    /// Whether it went well.
    passed: bool,
    /// What came of it.
    detail: String,
}

impl TestArguments {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        session.only_here("plugin test", "it tries a plugin out on this machine")?;
        let located = session.here()?;
        let mut report = TestReport { plugin: self.name.clone(), passed: false, checks: vec![] };
        report.passed = match tap(session, &located, &self.name)? {
            Some(pipeline) => self.try_tap(session, &located.place, &pipeline, &mut report).await?,
            None => self.try_registered(session, &located.place, &mut report).await?,
        };
        session.output.result(&report, text)?;
        Ok(if report.passed { Exit::Completed } else { Exit::Failed })
    }

    /// A tap finds its data streams and hands over a few records; each needs that its settings are
    /// right and that it gets at its source.
    async fn try_tap(
        &self,
        session: &Session<'_>,
        place: &Place,
        pipeline: &ResolvedPipeline,
        report: &mut TestReport,
    ) -> Result<bool, Failure> {
        let step = catalog::sync_step(pipeline, "test")?;
        let none = BTreeMap::new();
        let streams = catalog::discover(session, place, pipeline, step, &none).await;
        let found = streams.map(|streams| {
            let selected = streams.iter().filter(|stream| stream.selected).count();
            format!("{} data streams, {selected} of them selected", streams.len())
        });
        if !report.add("it finds its data streams", found) {
            return Ok(false);
        }
        let discovery = Discovery {
            pipeline: pipeline.name.clone(),
            resolved: pipeline.clone(),
            step: step.id.clone(),
            params: none,
        };
        let sample = session.host.sample(place, discovery, self.records.max(1)).await;
        let read = sample.map_err(Failure::from).map(|sample| {
            let streams = sample.streams.iter().map(|(name, count)| format!("{count} of {name}"));
            let of = streams.collect::<Vec<_>>().join(", ");
            let end = if sample.was_all { "all there are" } else { "there are more" };
            format!("{} records ({end}): {of}", sample.records)
        });
        Ok(report.add("it hands over records", read))
    }

    /// A registered plugin starts, is what its manifest says, and is well.
    async fn try_registered(
        &self,
        session: &Session<'_>,
        place: &Place,
        report: &mut TestReport,
    ) -> Result<bool, Failure> {
        let command = InitializePlugin { name: self.name.clone() };
        let started = session.command(place, command, "testing a plugin").await;
        let is_unknown = |failure: &Failure| matches!(failure, Failure::Error { body, .. } if body.code == NOT_REGISTERED);
        if started.as_ref().is_err_and(is_unknown) {
            let message = format!("`{}` is no tap of the project and not registered", self.name);
            return Err(Failure::new(Code::Step, message)
                .hint("`flexcore plugin list` shows what there is"));
        }
        let well = started.and_then(|started| match started.problem {
            None if started.healthy => Ok(format!("version {}", started.version)),
            problem => {
                Err(Failure::new(Code::Reply, problem.unwrap_or_else(|| "it is not well".into())))
            }
        });
        if !report.add("it starts and is well", well) {
            return Ok(false);
        }
        let Some(config) = &self.config else { return Ok(true) };
        let query = ValidatePluginConfig {
            name: self.name.clone(),
            config: json(session, "config", config)?,
        };
        let held = ask_by_writing(session, query).await.and_then(|found| {
            let line = |one: &ConfigProblemView| format!("{}: {}", one.pointer, one.message);
            let lines: Vec<String> = found.problems.iter().map(line).collect();
            if found.valid {
                Ok(format!("by its schema and by itself; {} warnings", lines.len()))
            } else {
                Err(Failure::new(Code::Setting, lines.join("\n")))
            }
        });
        Ok(report.add("it takes these settings", held))
    }
}

impl TestReport {
    fn add(&mut self, check: &'static str, outcome: Result<String, Failure>) -> bool {
        let passed = outcome.is_ok();
        let detail = outcome.unwrap_or_else(|failure| match failure {
            Failure::Files(found) => found.to_string(),
            Failure::Error { body, .. } => match body.hint {
                Some(hint) => format!("[{}] {}\n{hint}", body.code, body.message),
                None => format!("[{}] {}", body.code, body.message),
            },
        });
        self.checks.push(Check { check, passed, detail });
        passed
    }
}

/// A pipeline that reads the tap and throws away what it reads; `None` if no project file and no
/// connector has it.
fn tap(
    session: &Session<'_>,
    located: &Located,
    name: &str,
) -> Result<Option<ResolvedPipeline>, Failure> {
    // As JSON, which is YAML too, so that a name is a text whatever is in it.
    let pipeline = serde_json::json!({
        "pipeline": "plugin-test",
        "steps": [{ "id": "test", "sync": {
            "tap": name,
            "target": { "command": ["sh", "-c", "exec cat >/dev/null"] },
        } }],
    });
    let connectors: Vec<&str> =
        session.host.connectors().iter().map(|connector| connector.name).collect();
    let source = SourceFile::new("plugin test", pipeline.to_string());
    match parse_pipeline(source, &located.place.project, &connectors) {
        Ok(pipeline) => {
            let resolved = resolve(&pipeline.definition.document, &located.environment);
            resolved.map(Some).map_err(|error| Failure::new(Code::Setting, error.to_string()))
        }
        Err(found) if found.iter().any(|one| one.code == UNKNOWN_PLUGIN) => Ok(None),
        Err(found) => Err(found.into()),
    }
}

fn text(report: &TestReport, _: Style) -> String {
    let mut text = String::new();
    for Check { check, passed, detail } in &report.checks {
        let word = if *passed { "passed" } else { "FAILED" };
        let detail = detail.trim_end().replace('\n', "\n        ");
        text = format!("{text}{word}  {check}\n        {detail}\n");
    }
    let verdict = if report.passed { "can be used" } else { "cannot be used as it is" };
    format!("{text}`{}` {verdict}; nothing was stored\n", report.plugin)
}
