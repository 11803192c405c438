//! What the programs of a project's steps may do: what the step asks for, and the operator grants.
//!
//! A step of a kind that calls plugins by name asks for rights with the plugin; those are looked up
//! with it. Here are the steps whose programs the pipeline names itself.

mod plan;
mod survey;

use std::{fmt, path::PathBuf, sync::Arc};

use flexcore_domain::{PipelineName, StepId};
use flexcore_pipeline_file::{ResolvedStep, StepRequest};
use flexcore_plugin_protocol::{
    Capabilities, Capability, CapabilityKind, CapabilityPath, Effective, Grant, Grants,
    InvalidPath, Limits, Refusal, Requests, Subject, effective, grant_lines,
};
use flexcore_ports::{OperatorGrants, attempt::AttemptRights};
use thiserror::Error;

use crate::UseCaseError;

pub use plan::plan_rights;
pub use survey::StepRights;
use survey::survey;

/// What decides the rights of a project's steps.
#[derive(Clone)]
pub struct ProjectRights {
    /// What the operator allows.
    pub grants: Arc<dyn OperatorGrants>,
    /// Where that is written, for messages.
    pub grants_file: PathBuf,
    /// The project. Relative paths start here, and its files may be read.
    pub root: PathBuf,
    /// Folders of it that every step may write, absolute.
    pub writable: Vec<PathBuf>,
    /// Folders of it that no program sees, absolute.
    pub hidden: Vec<PathBuf>,
    /// Whether programs get a home folder of their own.
    pub private_home: bool,
}

impl fmt::Debug for ProjectRights {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ProjectRights").field("root", &self.root).finish_non_exhaustive()
    }
}

/// A step of a pipeline, as grants name it.
#[derive(Debug, Clone)]
pub(crate) struct Asking<'a> {
    pub(crate) pipeline: &'a PipelineName,
    pub(crate) step: &'a StepId,
    /// The plugins whose grants count for it: the tap and the target of a sync.
    pub(crate) plugins: Vec<String>,
}

/// Steps that ask for what nobody granted them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .what.join("; "))]
pub struct MissingGrants {
    /// Who asks for what, a sentence each.
    what: Vec<String>,
    /// The lines that grant it.
    pub lines: String,
    /// The file in which they are missing.
    pub file: PathBuf,
}

impl MissingGrants {
    /// The stable code of it; the page is in `docs/errors`.
    pub const CODE: &'static str = Refusal::CODE;

    /// What to do.
    pub fn hint(&self) -> String {
        format!("to grant it, add to {}:\n{}", self.file.display(), self.lines.trim_end())
    }

    /// What a plugin lacks that a step calls; `None` if that is nothing.
    fn of_call(
        (pipeline, step): (&PipelineName, &StepId),
        plugin: &str,
        effective: &Effective,
        rights: &ProjectRights,
    ) -> Option<Self> {
        let list: Vec<String> = effective.not_granted().map(|one| format!("`{one}`")).collect();
        let subject = Subject { plugin: Some(plugin.to_owned()), ..Subject::default() };
        (!list.is_empty()).then(|| Self {
            what: vec![format!(
                "step `{step}` of `{pipeline}` calls plugin `{plugin}`, which asks for {}, which the \
                 operator of this machine has not granted",
                list.join(", ")
            )],
            lines: grant_lines(&subject, effective.not_granted()),
            file: rights.grants_file.clone(),
        })
    }

    /// The same for several steps; `None` if there are none.
    fn all(missing: impl IntoIterator<Item = Self>) -> Option<Self> {
        missing.into_iter().reduce(|mut all, next| {
            all.what.extend(next.what);
            all.lines = format!("{}\n{}", all.lines, next.lines);
            all
        })
    }
}

impl ProjectRights {
    /// What a step gets of what it asks for.
    ///
    /// # Errors
    /// [`UseCaseError`] if the operator's word cannot be read, or makes no sense in this project.
    pub(crate) fn of(
        &self,
        asking: &Asking<'_>,
        request: &StepRequest,
    ) -> Result<Effective, UseCaseError> {
        let granted = self.grants.grants().map_err(|error| UseCaseError::Refused {
            message: error.message,
            hint: Some(format!("correct {}", self.grants_file.display())),
        })?;
        let root = self.root.to_string_lossy();
        let subject = asking.subject();
        let placed = |capabilities: &Capabilities| capabilities.in_project(&root);
        let sense = |error: InvalidPath| {
            UseCaseError::refused(format!(
                "a path of step `{}` or of its grants: {error}",
                asking.step
            ))
        };
        let mut request = request.clone();
        request.capabilities.asked = placed(&request.capabilities.asked).map_err(sense)?;
        let mut grants = Grants { limits: granted.limits.clone(), grants: vec![] };
        for subject in asking.subjects() {
            let (capabilities, limits) = granted.of(&subject);
            let capabilities = placed(&capabilities).map_err(sense)?;
            grants.grants.push(Grant { subject: asking.subject(), capabilities, limits });
        }
        grants.grants.push(Grant {
            subject: asking.subject(),
            capabilities: self.free(&request.capabilities.asked),
            limits: Limits::default(),
        });
        let step = Some((&request.capabilities, &request.limits));
        Ok(effective(Requests { manifest: None, step }, &grants, &subject))
    }

    /// The rights of an attempt, if all that the step asks for was granted.
    pub(crate) fn of_attempt(
        &self,
        asking: &Asking<'_>,
        request: &StepRequest,
    ) -> Result<AttemptRights, UseCaseError> {
        let effective = self.of(asking, request)?;
        if let Some(missing) = self.missing(asking, &effective) {
            return Err(UseCaseError::NotGranted(Box::new(missing)));
        }
        Ok(AttemptRights {
            effective,
            writable: self.writable.clone(),
            hidden: self.hidden.clone(),
        })
    }

    /// What nobody granted.
    fn missing(&self, asking: &Asking<'_>, effective: &Effective) -> Option<MissingGrants> {
        let missing: Vec<&Capability> = effective.not_granted().collect();
        if missing.is_empty() {
            return None;
        }
        let list: Vec<String> = missing.iter().map(|one| format!("`{one}`")).collect();
        let Asking { pipeline, step, .. } = asking;
        Some(MissingGrants {
            what: vec![format!(
                "step `{step}` of `{pipeline}` asks for {}, which the operator of this machine has \
                 not granted",
                list.join(", ")
            )],
            lines: grant_lines(&asking.subject(), missing.into_iter()),
            file: self.grants_file.clone(),
        })
    }

    /// What needs nobody's grant: what every program of the project has anyway, and secrets, which
    /// whoever wrote the step reads with `secret()`.
    fn free(&self, asked: &Capabilities) -> Capabilities {
        let path = |path: &PathBuf| CapabilityPath::parse(&path.to_string_lossy()).ok();
        let read = path(&self.root).map(Capability::FsRead);
        let written = self.writable.iter().filter_map(path).map(Capability::FsWrite);
        let secrets = asked.iter().filter(|one| one.kind() == CapabilityKind::Secrets).cloned();
        let always = [Capability::Exec, Capability::Clock];
        always.into_iter().chain(read).chain(written).chain(secrets).collect()
    }
}

impl<'a> Asking<'a> {
    /// The step of a pipeline.
    pub(crate) fn new(pipeline: &'a PipelineName, step: &'a ResolvedStep) -> Self {
        let plugins = step.sync_plugins().into_iter().flatten().collect();
        Self { pipeline, step: &step.id, plugins }
    }

    /// As messages and new grants name it.
    fn subject(&self) -> Subject {
        Subject {
            pipeline: Some(self.pipeline.to_string()),
            step: Some(self.step.to_string()),
            ..Subject::default()
        }
    }

    /// Everybody whose grants count for it.
    fn subjects(&self) -> impl Iterator<Item = Subject> {
        let plugins = self.plugins.iter();
        let named = plugins.map(|name| Subject { plugin: Some(name.clone()), ..self.subject() });
        std::iter::once(self.subject()).chain(named)
    }
}

#[cfg(test)]
mod tests;
