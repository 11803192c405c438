//! `flexcore validate`

use std::{collections::BTreeMap, path::Path};

use clap::Args;
use flexcore_app::plan_rights;
use flexcore_pipeline_file::{Diagnostic, Diagnostics, Severity, list_pipelines, resolve};
use serde_json::Value;

use crate::{
    Exit,
    failure::Failure,
    place::Located,
    report::{FileReport, ValidateReport},
    session::Session,
};

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateArguments {
    /// The files; every pipeline of the project unless given
    #[arg(value_name = "FILE")]
    files: Vec<String>,
}

impl ValidateArguments {
    pub(super) fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let mut files = Vec::new();
        if self.files.is_empty() {
            let located = session.here()?;
            for (_, path) in list_pipelines(&located.place.project)? {
                files.push(check(session, &located, &path));
            }
        }
        for file in &self.files {
            let path = session.host.current_folder().join(file);
            match session.around(&path) {
                Ok(located) => files.push(check(session, &located, &path)),
                Err(Failure::Files(diagnostics)) => {
                    files.push(FileReport::broken(file.clone(), diagnostics));
                }
                Err(failure) => return Err(failure),
            }
        }
        let report = ValidateReport { valid: files.iter().all(|file| file.valid), files };
        show(session, &report)?;
        Ok(if report.valid { Exit::Completed } else { Exit::InvalidFile })
    }
}

impl FileReport {
    fn broken(file: String, diagnostics: Diagnostics) -> Self {
        let diagnostics = diagnostics.into_iter().collect();
        let not_granted = vec![];
        Self { file, pipeline: None, valid: false, diagnostics, document: None, not_granted }
    }
}

fn check(session: &Session<'_>, located: &Located, path: &Path) -> FileReport {
    let shown = path.strip_prefix(session.host.current_folder()).unwrap_or(path);
    let file = shown.display().to_string();
    match session.load(path, &located.place.project) {
        Ok(loaded) => FileReport {
            file,
            pipeline: Some(loaded.definition.name.to_string()),
            valid: true,
            diagnostics: loaded.warnings,
            not_granted: not_granted(session, located, &loaded.definition.document),
            document: Some(loaded.definition.document),
        },
        Err(diagnostics) => FileReport::broken(file, diagnostics),
    }
}

/// What a run would be refused for. A file is valid without it, and so it is only told if it can be
/// found out.
fn not_granted(session: &Session<'_>, located: &Located, document: &Value) -> Vec<String> {
    let Ok(rights) = session.host.rights(&located.place) else { return vec![] };
    let Ok(resolved) = resolve(document, &located.environment) else { return vec![] };
    let host = session.host.environment();
    let steps = plan_rights(&rights, &resolved, &BTreeMap::new(), host).unwrap_or_default();
    steps.into_iter().filter_map(|step| Some(step.missing?.to_string())).collect()
}

fn show(session: &Session<'_>, report: &ValidateReport) -> Result<(), Failure> {
    if session.output.is_json() {
        return session.output.document(report);
    }
    for diagnostic in report.files.iter().flat_map(|file| &file.diagnostics) {
        let text = format!("{diagnostic}\n");
        match diagnostic.severity {
            Severity::Error => session.output.message(&text),
            Severity::Warning => session.output.note(&text),
        }
    }
    for missing in report.files.iter().flat_map(|file| &file.not_granted) {
        session.output.warning(missing);
    }
    session.output.text(|style| {
        if report.files.is_empty() {
            return "no pipeline files\n".to_owned();
        }
        let line = |file: &FileReport| match &file.pipeline {
            Some(pipeline) => format!("{}  {}  {pipeline}\n", style.green("valid"), file.file),
            None => {
                format!("{}  {}  {}\n", style.red("wrong"), file.file, errors(&file.diagnostics))
            }
        };
        report.files.iter().map(line).collect()
    })
}

fn errors(diagnostics: &[Diagnostic]) -> String {
    let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
    match diagnostics.iter().filter(is_error).count() {
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    }
}
