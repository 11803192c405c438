//! Starting programs in jails.

use std::{
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::{
    attempt::Attempt,
    cgroup::{Group, Groups},
    error::JailError,
    jailed::Jailed,
    report::{Control, ControlName, ControlState},
    spec::{Access, JailSpec, Secret},
    users::{User, Users},
    wire::JailOrder,
};
use crate::{Isolation, Launcher, SpawnError, SpawnRequest};

/// How many secrets one program is given at most.
const MAX_SECRETS: usize = 32;
/// The longest secret: what a pipe holds without a reader.
const MAX_SECRET: usize = 64 * 1024;
/// What of the machine a [`Jailer`] may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JailerOptions {
    /// Whether to make control groups. The operator may not want that.
    pub control_groups: bool,
    /// Whether to give each program a user of its own, where the server is root.
    pub own_users: bool,
}

impl Default for JailerOptions {
    fn default() -> Self {
        Self { control_groups: true, own_users: true }
    }
}

/// Starts programs in jails, by a launcher.
#[derive(Debug)]
pub struct Jailer {
    launcher: Launcher,
    options: JailerOptions,
    groups: Groups,
    users: Users,
    /// Whether jails have their processes in a namespace of their own, which ends as one: then no
    /// group is needed for that.
    ends_as_one: AtomicBool,
    started: AtomicU64,
    failed: AtomicU64,
}

/// How many programs a [`Jailer`] was asked to start since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpawnCounts {
    /// Those that ran.
    pub started: u64,
    /// Those that were refused or could not be started.
    pub failed: u64,
}

impl Jailer {
    /// A jailer that starts programs by `launcher`.
    pub fn new(launcher: Launcher, options: JailerOptions) -> Self {
        let groups = if options.control_groups { Groups::find() } else { Groups::default() };
        let ends_as_one = AtomicBool::new(false);
        let (started, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { launcher, options, groups, users: Users::new(), ends_as_one, started, failed }
    }

    /// Starts a program in a jail and returns once it runs. `request.cwd` is a folder of the jail.
    ///
    /// # Errors
    /// [`JailError::Missing`] if the spec is strict and the machine does not enforce what it
    /// requires; the others say what failed. In each case the program was not started.
    ///
    /// If the spec says that there is to be no jail, the program runs as any other of the launcher's
    /// and the report is empty.
    pub async fn spawn(
        &self,
        request: SpawnRequest,
        spec: JailSpec,
        secrets: &[Secret],
    ) -> Result<Jailed, JailError> {
        let outcome = self.start(request, spec, secrets).await;
        let counter = if outcome.is_ok() { &self.started } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    /// How many programs were to be started by now.
    pub fn counts(&self) -> SpawnCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SpawnCounts { started: read(&self.started), failed: read(&self.failed) }
    }

    async fn start(
        &self,
        request: SpawnRequest,
        mut spec: JailSpec,
        secrets: &[Secret],
    ) -> Result<Jailed, JailError> {
        let problem = spec.problem().or_else(|| problem_of_secrets(secrets));
        if let Some(problem) = problem {
            return Err(JailError::Spec { problem });
        }
        let group = self.make_group(&spec)?;
        spec.required.extend(required_of(group.as_ref()));
        let user = self.take_user(&spec);
        let order = JailOrder {
            uid: user.as_ref().map(|user| user.number),
            groups: 0,
            controls: if spec.off { Vec::new() } else { self.controls(group.as_ref(), &spec) },
            secrets: secrets.iter().map(|secret| secret.name.clone()).collect(),
            spec,
        };
        let mut attempt = Attempt { order, secrets, group, user };
        let mut outcome = attempt.run(&self.launcher, request.clone()).await;
        if let Err(JailError::Spawn(SpawnError::LauncherGone(_))) = outcome {
            // It was ended from outside before it took the order.
            self.launcher.restart().await?;
            outcome = attempt.run(&self.launcher, request).await;
        }
        if let Ok(jailed) = &outcome {
            let ends_as_one = matches!(jailed.process.isolation(), Isolation::PidNamespace { .. });
            self.ends_as_one.store(ends_as_one, Ordering::Relaxed);
        }
        if let (Err(_), Some(group)) = (&outcome, attempt.group.take()) {
            group.remove().await;
        }
        outcome
    }

    fn make_group(&self, spec: &JailSpec) -> Result<Option<Group>, JailError> {
        if !self.options.control_groups || spec.off {
            return Ok(None);
        }
        let device = spec.limits.limits_io().then(|| disk_of(spec)).flatten();
        let to_kill = !self.ends_as_one.load(Ordering::Relaxed);
        let made = self.groups.make(&spec.limits, device.as_deref(), to_kill);
        made.map(Some).map_err(|source| JailError::Step {
            step: "cgroups".to_owned(),
            what: "making a control group".to_owned(),
            source,
        })
    }

    fn take_user(&self, spec: &JailSpec) -> Option<User> {
        let wanted = self.options.own_users && !spec.off && rustix::process::geteuid().is_root();
        wanted.then(|| self.users.take()).flatten()
    }

    /// What is known of the groups before the init speaks.
    fn controls(&self, group: Option<&Group>, spec: &JailSpec) -> Vec<Control> {
        let mut controls = group.map(|group| group.controls.clone()).unwrap_or_default();
        let wanted = [
            (ControlName::Cpu, spec.limits.cpu_milli.is_some()),
            (ControlName::Io, spec.limits.limits_io()),
            (ControlName::CgroupKill, !self.ends_as_one.load(Ordering::Relaxed)),
        ];
        for (name, is_wanted) in wanted {
            if !is_wanted || controls.iter().any(|control| control.name == name) {
                continue;
            }
            controls.push(if self.options.control_groups {
                Control::unavailable(name, "no control group with it can be made here")
            } else {
                Control::new(name, ControlState::DisabledByOperator)
            });
        }
        controls
    }
}

/// What a group must hold where there is one: a program that fills the machine is out of its jail.
fn required_of(group: Option<&Group>) -> Vec<ControlName> {
    let held = group.into_iter().flat_map(|group| &group.controls).map(|control| control.name);
    held.filter(|name| matches!(name, ControlName::Memory | ControlName::Pids)).collect()
}

fn problem_of_secrets(secrets: &[Secret]) -> Option<String> {
    if secrets.len() > MAX_SECRETS {
        return Some(format!("{} secrets are more than {MAX_SECRETS}", secrets.len()));
    }
    let plain = |name: &str| !name.is_empty() && !name.contains(['=', ',', '\0']);
    secrets.iter().find_map(|Secret { name, value }| {
        if !plain(name) {
            return Some(format!("`{name}` is not a name for a secret"));
        }
        let too_long = value.len() > MAX_SECRET;
        too_long.then(|| format!("the secret `{name}` is longer than {MAX_SECRET} bytes"))
    })
}

/// The disk that holds the first writable bind, as control groups name it.
fn disk_of(spec: &JailSpec) -> Option<String> {
    let bind = spec.binds.iter().find(|bind| bind.access == Access::ReadWrite)?;
    let device = std::fs::metadata(&bind.source).ok()?.dev();
    let (major, minor) = (libc::major(device), libc::minor(device));
    // File systems without a disk of their own have no major number.
    if major == 0 {
        return None;
    }
    let own = format!("{major}:{minor}");
    let entry = Path::new("/sys/dev/block").join(&own);
    if !entry.join("partition").exists() {
        return Some(own);
    }
    // Only whole disks can be limited.
    let disk = std::fs::read_to_string(entry.join("../dev")).ok()?;
    Some(disk.trim().to_owned())
}
