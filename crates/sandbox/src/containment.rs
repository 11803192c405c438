//! From rights to a jail: what a plugin or a step may do, as one value that every adapter starts its
//! programs by, with or without a jail.
//!
//! ```no_run
//! # async fn run(
//! #     jailer: &flexcore_sandbox::Jailer,
//! #     effective: &flexcore_plugin_protocol::Effective,
//! #     request: flexcore_sandbox::SpawnRequest,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! use flexcore_sandbox::{Access, Containment, Limits, SandboxPolicy};
//!
//! let containment = Containment::new(effective, &SandboxPolicy::default(), Limits::default())?
//!     .show("/srv/project", Access::ReadOnly)
//!     .show("/srv/project/out", Access::ReadWrite)
//!     .hide("/srv/project/.flexcore");
//! let jailed = containment.spawn(jailer, request, &[]).await?;
//! let isolation = containment.isolation(&jailed);
//! let exit = jailed.wait().await;
//! let uses = containment.all_uses(&exit);
//! # Ok(())
//! # }
//! ```
//!
//! Show things under their own paths: those are right in every tier, and without a jail. The jail's
//! own `/tmp` exists only where there are mount namespaces; a folder for temporary files that must
//! always be there is one of the caller's, shown read-write.

mod policy;
mod record;
mod rights;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use flexcore_plugin_protocol::{Effective, Endpoint, SandboxDemand, SandboxProfile, VariableName};

pub use self::policy::{SandboxMode, SandboxPolicy};
use crate::{
    Access, Bind, ControlName, HostPort, JailError, JailSpec, Jailed, Jailer, Limits, Profile,
    Secret, SpawnRequest, VerifiedFile,
};

/// Why rights cannot be made into a jail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainmentError {
    /// No jail hands on what is granted.
    #[error("`{capability}` is granted, but no jail can give it to a program")]
    NotPossible {
        /// The capability, as files write it.
        capability: String,
    },
    /// A path is still relative to a project.
    #[error("`{path}` is granted relative to a project, and there is none here")]
    NoProject {
        /// The path.
        path: String,
    },
    /// A granted path lies in a folder that no program may see.
    #[error("`{}` cannot be granted: it lies in {}, which no program may see", .path.display(), .hidden.display())]
    Hidden {
        /// The path.
        path: PathBuf,
        /// The folder.
        hidden: PathBuf,
    },
    /// The manifest requires a control that does not exist.
    #[error("`{name}` is no control of a jail; there are: {}", known_controls())]
    UnknownControl {
        /// What it says.
        name: String,
    },
}

fn known_controls() -> String {
    ControlName::ALL.map(ControlName::as_str).join(", ")
}

/// A part of the machine that a program is to see.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    source: PathBuf,
    /// Where, if not under its own path.
    target: Option<PathBuf>,
    access: Access,
    is_granted: bool,
}

/// How one program is to be held, for every tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containment {
    mode: SandboxMode,
    part: String,
    spec: JailSpec,
    endpoints: Vec<(HostPort, Endpoint)>,
    shown: Vec<Shown>,
    hidden: Vec<PathBuf>,
    variables: Vec<VariableName>,
    has_scratch: bool,
    may_start_programs: bool,
    /// Whether to say what of its manifest is not held.
    has_manifest: bool,
}

impl Containment {
    /// What `effective` allows, enforced as `policy` says. `base` are the limits that hold where
    /// `effective` says nothing.
    ///
    /// Starting programs and reading the clock are not kept from any process; of one with a manifest
    /// that did not ask for `exec` the record says so. How much it hands over, and how long it takes,
    /// is for its caller to watch.
    ///
    /// # Errors
    /// A capability that no jail can give.
    pub fn new(
        effective: &Effective,
        policy: &SandboxPolicy,
        base: Limits,
    ) -> Result<Self, ContainmentError> {
        let mut spec = JailSpec {
            limits: base,
            strict: policy.mode == SandboxMode::Strict,
            off: policy.mode == SandboxMode::Off,
            ports_will_do: policy.mode == SandboxMode::BestEffort,
            ..JailSpec::default()
        };
        spec.required.extend(policy.require.iter().copied());
        rights::limit(&mut spec, &effective.limits);
        let mut containment = Self {
            mode: policy.mode,
            part: String::new(),
            spec,
            endpoints: Vec::new(),
            shown: Vec::new(),
            hidden: Vec::new(),
            variables: Vec::new(),
            has_scratch: false,
            may_start_programs: false,
            has_manifest: false,
        };
        for capability in effective.capabilities.iter() {
            containment.allow(capability)?;
        }
        Ok(containment)
    }

    /// Names the program, where an attempt has several.
    #[must_use]
    pub fn part(mut self, part: impl Into<String>) -> Self {
        self.part = part.into();
        self
    }

    /// What a manifest demands of its jail. Without a jail nothing can be demanded: the operator's
    /// word is the last.
    ///
    /// # Errors
    /// It requires a control that does not exist.
    pub fn demanding(mut self, demand: &SandboxDemand) -> Result<Self, ContainmentError> {
        for name in &demand.require {
            let unknown = || ContainmentError::UnknownControl { name: name.clone() };
            self.spec.required.push(ControlName::from_name(name).ok_or_else(unknown)?);
        }
        self.spec.profile = match demand.profile {
            SandboxProfile::Default => Profile::Default,
            SandboxProfile::Strict => Profile::Strict,
        };
        self.spec.strict |= demand.strict == Some(true);
        self.has_manifest = true;
        Ok(self)
    }

    /// The filter of system calls, where no manifest says it.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.spec.profile = profile;
        self
    }

    /// Shows a file or folder under its own path, links in it resolved.
    #[must_use]
    pub fn show(mut self, path: impl Into<PathBuf>, access: Access) -> Self {
        let source = path.into();
        self.shown.push(Shown { source, target: None, access, is_granted: false });
        self
    }

    /// Shows a file or folder under another path, which exists only where there are mount
    /// namespaces.
    #[must_use]
    pub fn show_at(
        mut self,
        source: impl Into<PathBuf>,
        target: impl Into<PathBuf>,
        access: Access,
    ) -> Self {
        let (source, target) = (source.into(), Some(target.into()));
        self.shown.push(Shown { source, target, access, is_granted: false });
        self
    }

    /// Shows an empty folder in place of this one, or of this file one that cannot be opened, wherever
    /// it would be seen. What is shown from inside a folder is seen nevertheless; what was granted
    /// from inside it is refused.
    #[must_use]
    pub fn hide(mut self, path: impl Into<PathBuf>) -> Self {
        self.hidden.push(path.into());
        self
    }

    /// Has a file be what it was when it was verified; see [`JailSpec::verified`]. Keep `file` until the program has started.
    #[must_use]
    pub fn verified(mut self, file: &VerifiedFile) -> Self {
        self.spec.verified.push(file.identity().clone());
        self
    }

    /// The size of the private `/tmp`, for a program whose limits do not say it.
    #[must_use]
    pub fn tmp(mut self, bytes: u64, files: u64) -> Self {
        (self.spec.tmp_bytes, self.spec.tmp_files) = (bytes, files);
        self
    }

    /// Whether there is to be no jail.
    pub fn is_off(&self) -> bool {
        self.mode == SandboxMode::Off
    }

    /// Whether it was granted a private folder for its files.
    pub fn has_scratch(&self) -> bool {
        self.has_scratch
    }

    /// The limits that it is started with.
    pub fn limits(&self) -> &Limits {
        &self.spec.limits
    }

    /// The granted variables of the host that are set there; `host` looks one up.
    pub fn environment(
        &self,
        host: impl Fn(&str) -> Option<OsString>,
    ) -> Vec<(OsString, OsString)> {
        let value = |name: &VariableName| Some((name.as_str().into(), host(name.as_str())?));
        self.variables.iter().filter_map(value).collect()
    }

    /// The jail as a value.
    ///
    /// # Errors
    /// Something was granted that lies in a hidden folder.
    pub fn spec(&self) -> Result<JailSpec, ContainmentError> {
        let mut spec = self.spec.clone();
        let hidden = self.hidden.iter().map(|path| resolved(path));
        spec.hidden = hidden.collect();
        for (index, shown) in self.shown.iter().enumerate() {
            let source = resolved(&shown.source);
            if let Some(hidden) = spec.hidden.iter().find(|hidden| source.starts_with(hidden))
                && shown.is_granted
            {
                let (path, hidden) = (shown.source.clone(), hidden.clone());
                return Err(ContainmentError::Hidden { path, hidden });
            }
            let mut bind = |target: PathBuf| {
                let bind = Bind { source: source.clone(), target, access: shown.access };
                if !spec.binds.contains(&bind) {
                    spec.binds.push(bind);
                }
            };
            if let Some(target) = &shown.target {
                bind(target.clone());
                continue;
            }
            bind(source.clone());
            // A link on the way to it is seen with the folder that holds the link, if that is shown.
            if source != shown.source && !self.is_seen_through_another(index) {
                bind(shown.source.clone());
            }
        }
        Ok(spec)
    }

    fn is_seen_through_another(&self, index: usize) -> bool {
        let path = &self.shown[index].source;
        let others = self.shown.iter().enumerate().filter(|(other, _)| *other != index);
        others
            .map(|(_, other)| other.target.as_ref().unwrap_or(&other.source))
            .any(|other| path.parent().is_some_and(|folder| folder.starts_with(other)))
    }

    /// Starts a program so held, or without a jail if the operator wants none.
    ///
    /// # Errors
    /// As [`Jailer::spawn`].
    pub async fn spawn(
        &self,
        jailer: &Jailer,
        request: SpawnRequest,
        secrets: &[Secret],
    ) -> Result<Jailed, JailError> {
        let spec = self.spec();
        let spec = spec.map_err(|error| JailError::Spec { problem: error.to_string() })?;
        jailer.spawn(request, spec, secrets).await
    }
}

/// The path without links; as it is if it does not exist.
fn resolved(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests;
