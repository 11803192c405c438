//! Texts to loaded pipelines, without files.

use std::path::PathBuf;

use flexcore_domain::EnvironmentName;
use flexcore_pipeline_file::{
    Diagnostics, LoadedPipeline, Project, ResolvedPipeline, RunScope, Scope, SourceFile,
    parse_pipeline, resolve,
};

pub(crate) const CONNECTORS: &[&str] =
    &["tap-csv", "tap-jsonl", "target-csv", "target-jsonl", "target-sqlite"];

pub(crate) fn project(text: &str) -> Project {
    Project::parse(PathBuf::from("/project"), SourceFile::new("flexcore.yaml", text)).unwrap()
}

pub(crate) fn project_errors(text: &str) -> String {
    let source = SourceFile::new("flexcore.yaml", text);
    Project::parse(PathBuf::from("/project"), source).unwrap_err().to_string()
}

pub(crate) fn load_in(project: &Project, text: &str) -> Result<LoadedPipeline, Diagnostics> {
    parse_pipeline(SourceFile::new("orders.yaml", text), project, CONNECTORS)
}

pub(crate) fn load(text: &str) -> LoadedPipeline {
    load_in(&Project::empty("/project".into()), text).unwrap_or_else(|errors| panic!("{errors}"))
}

pub(crate) fn errors_in(project: &Project, text: &str) -> String {
    load_in(project, text).map(|_| ()).unwrap_err().to_string()
}

pub(crate) fn errors(text: &str) -> String {
    errors_in(&Project::empty("/project".into()), text)
}

pub(crate) fn environment(name: &str) -> EnvironmentName {
    name.parse().unwrap()
}

pub(crate) fn resolved_in(project: &Project, text: &str, name: &str) -> ResolvedPipeline {
    let loaded = load_in(project, text).unwrap_or_else(|errors| panic!("{errors}"));
    resolve(&loaded.definition.document, &environment(name)).unwrap()
}

pub(crate) fn resolved(text: &str) -> ResolvedPipeline {
    resolve(&load(text).definition.document, &EnvironmentName::default()).unwrap()
}

pub(crate) fn run() -> RunScope {
    RunScope {
        id: "ex_1".into(),
        attempt: 2,
        pipeline: "orders".into(),
        version: 3,
        environment: "default".into(),
        started_at: "2026-01-31T10:20:30Z".into(),
        interval: ("2026-01-31T09:00:00Z".into(), "2026-01-31T10:00:00Z".into()),
    }
}

pub(crate) fn scope() -> Scope<'static> {
    Scope {
        host: &|name| match name {
            "HOME_REGION" => Some("eu".into()),
            "AWS_PROFILE" => Some("work".into()),
            _ => None,
        },
        secret: &|name| match name {
            "DB" | "TOKEN" => Ok(format!("value of {name}")),
            other => Err(format!("secret `{other}` is not set")),
        },
        ..Scope::before(&run())
    }
}
