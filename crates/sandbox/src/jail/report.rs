//! What the kernel really enforced, control by control.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How strong a jail the machine allows at best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// All namespaces without a user namespace, a user of its own, and control groups.
    Root,
    /// All namespaces inside a user namespace, as an ordinary user gets them.
    UserNs,
    /// No namespaces: Landlock and system call filters only.
    Restricted,
    /// Nothing of the above.
    None,
}

impl Tier {
    /// Its word in reports and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::UserNs => "user_ns",
            Self::Restricted => "restricted",
            Self::None => "none",
        }
    }
}

/// One thing that a jail enforces. The names are stable: events and settings hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlName {
    /// Its processes see and signal each other only.
    PidNs,
    /// Its mounts are its own.
    MountNs,
    /// No network interface of the machine exists in it.
    NetNs,
    /// System V objects and message queues of its own.
    IpcNs,
    /// A host name of its own.
    UtsNs,
    /// It sees no path of control groups.
    CgroupNs,
    /// The root folder holds what was granted and nothing else.
    Root,
    /// `/proc` shows its own processes and nothing of the machine.
    Proc,
    /// A user that owns nothing of the machine.
    Uid,
    /// No capability, none that could be gained.
    Capabilities,
    /// Set-user-id programs have no effect.
    NoNewPrivs,
    /// Landlock holds the file system.
    LandlockFs,
    /// Landlock holds TCP. Only where no network namespace does.
    LandlockNet,
    /// Landlock holds signals and abstract sockets.
    LandlockScopes,
    /// The filter of system calls.
    Seccomp,
    /// Limits per process: open files, file size, data, core dumps.
    Rlimits,
    /// The memory of all its processes together.
    Memory,
    /// The number of its processes.
    Pids,
    /// Its share of processor time.
    Cpu,
    /// How fast it writes to disk.
    Io,
    /// The kernel kills the whole tree at one word: that of a control group, or the end of the init
    /// of its namespace.
    CgroupKill,
    /// Connections to granted addresses, and to no other.
    Egress,
}

impl ControlName {
    /// Every control, in the order of reports.
    pub const ALL: [Self; 22] = [
        Self::PidNs,
        Self::MountNs,
        Self::NetNs,
        Self::IpcNs,
        Self::UtsNs,
        Self::CgroupNs,
        Self::Root,
        Self::Proc,
        Self::Uid,
        Self::Capabilities,
        Self::NoNewPrivs,
        Self::LandlockFs,
        Self::LandlockNet,
        Self::LandlockScopes,
        Self::Seccomp,
        Self::Rlimits,
        Self::Memory,
        Self::Pids,
        Self::Cpu,
        Self::Io,
        Self::CgroupKill,
        Self::Egress,
    ];

    /// The control with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|control| control.as_str() == name)
    }

    /// The name as reports and settings hold it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PidNs => "pid_ns",
            Self::MountNs => "mount_ns",
            Self::NetNs => "net_ns",
            Self::IpcNs => "ipc_ns",
            Self::UtsNs => "uts_ns",
            Self::CgroupNs => "cgroup_ns",
            Self::Root => "root",
            Self::Proc => "proc",
            Self::Uid => "uid",
            Self::Capabilities => "capabilities",
            Self::NoNewPrivs => "no_new_privs",
            Self::LandlockFs => "landlock_fs",
            Self::LandlockNet => "landlock_net",
            Self::LandlockScopes => "landlock_scopes",
            Self::Seccomp => "seccomp",
            Self::Rlimits => "rlimits",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
            Self::Io => "io",
            Self::CgroupKill => "cgroup_kill",
            Self::Egress => "egress",
        }
    }

    /// What a person can do about a control that this machine does not enforce.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::PidNs | Self::MountNs | Self::IpcNs | Self::UtsNs | Self::Root | Self::Proc => {
                "allow unprivileged user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0, \
                 user.max_user_namespaces above 0; in a container: --security-opt seccomp=unconfined \
                 --security-opt systempaths=unconfined), or run FlexCore as root"
            }
            Self::NetNs | Self::Egress => {
                "allow network namespaces (user.max_net_namespaces above 0); until then only plugins \
                 without network grants can be held"
            }
            Self::CgroupNs => {
                "use a kernel with CONFIG_CGROUPS and user.max_cgroup_namespaces above 0"
            }
            Self::Uid => "run FlexCore as root, so that each plugin gets a user of its own",
            Self::Capabilities | Self::NoNewPrivs | Self::Rlimits => {
                "the kernel or a container's filter refuses a basic call; look at its system call filter"
            }
            Self::LandlockFs | Self::LandlockNet | Self::LandlockScopes => {
                "use Linux 5.13 or later (6.7 for TCP, 6.12 for scopes) and boot with `landlock` in the lsm= list"
            }
            Self::Seccomp => "use a kernel with CONFIG_SECCOMP_FILTER",
            Self::Memory | Self::Pids | Self::Cpu | Self::Io => {
                "run FlexCore as a systemd service with Delegate=yes, or as root, so that it may make \
                 control groups with this controller"
            }
            Self::CgroupKill => {
                "mount cgroup2 (Linux 5.14 or later) and let FlexCore make groups in it"
            }
        }
    }
}

impl fmt::Display for ControlName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// How far a control holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlState {
    /// The kernel holds it.
    Enforced,
    /// It holds against accidents, not against a program that means harm.
    BestEffort,
    /// This machine cannot.
    Unavailable,
    /// It could be had, but the operator does not want it.
    DisabledByOperator,
}

impl ControlState {
    /// Its word in reports and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::BestEffort => "best_effort",
            Self::Unavailable => "unavailable",
            Self::DisabledByOperator => "disabled_by_operator",
        }
    }
}

/// One control of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// Which one.
    pub name: ControlName,
    /// Whether the jail must have it.
    #[serde(default)]
    pub required: bool,
    /// How far it holds.
    pub state: ControlState,
    /// What enforces it, if there is more than one way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// What else is to be known, for a control that does not hold the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The limit in the control's own unit: bytes, processes, thousandths of a processor, bytes per
    /// second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

impl Control {
    /// A control that the kernel holds.
    pub const fn enforced(name: ControlName) -> Self {
        Self::new(name, ControlState::Enforced)
    }

    /// A control that this machine lacks, and why.
    pub fn unavailable(name: ControlName, detail: impl Into<String>) -> Self {
        Self::new(name, ControlState::Unavailable).detail(detail)
    }

    /// A control in this state.
    pub const fn new(name: ControlName, state: ControlState) -> Self {
        Self { name, required: false, state, via: None, detail: None, limit: None }
    }

    /// With what enforces it.
    #[must_use]
    pub fn via(mut self, via: impl Into<String>) -> Self {
        self.via = Some(via.into());
        self
    }

    /// With something to know about it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With its limit.
    #[must_use]
    pub const fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// What to do about it; `None` if it is enforced or not wanted.
    pub fn remedy(&self) -> Option<&'static str> {
        let lacks = matches!(self.state, ControlState::BestEffort | ControlState::Unavailable);
        lacks.then(|| self.name.remedy())
    }
}

/// What a machine can enforce, or what a jail did enforce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxReport {
    /// How the jail was built.
    pub tier: Tier,
    /// The kernel's release.
    pub kernel: String,
    /// Every control, in the order of [`ControlName::ALL`].
    pub controls: Vec<Control>,
    /// Those that were wanted and are not fully enforced.
    pub degraded: Vec<ControlName>,
    /// Whether each required control is enforced.
    pub strict_ok: bool,
}

impl SandboxReport {
    /// Puts controls in order, marks the required ones, and draws the conclusions. A required
    /// control that nobody mentioned is unavailable.
    pub fn conclude(tier: Tier, mut controls: Vec<Control>, required: &[ControlName]) -> Self {
        for &name in required {
            if !controls.iter().any(|control| control.name == name) {
                controls.push(Control::unavailable(name, "nothing here enforces it"));
            }
        }
        controls.sort_by_key(|control| control.name);
        for control in &mut controls {
            control.required = required.contains(&control.name);
        }
        let lacks = |control: &&Control| {
            matches!(control.state, ControlState::BestEffort | ControlState::Unavailable)
        };
        let degraded = controls.iter().filter(lacks).map(|control| control.name).collect();
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        let mut report = Self { tier, kernel, controls, degraded, strict_ok: true };
        report.strict_ok = report.missing().is_empty();
        report
    }

    /// The required controls that are not enforced.
    pub fn missing(&self) -> Vec<ControlName> {
        let lacks =
            |control: &&Control| control.required && control.state != ControlState::Enforced;
        self.controls.iter().filter(lacks).map(|control| control.name).collect()
    }

    /// A control by its name.
    pub fn control(&self, name: ControlName) -> Option<&Control> {
        self.controls.iter().find(|control| control.name == name)
    }

    /// Whether this control is enforced.
    pub fn enforces(&self, name: ControlName) -> bool {
        self.control(name).is_some_and(|control| control.state == ControlState::Enforced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_words_and_in_json() {
        for name in ControlName::ALL {
            assert_eq!(serde_json::to_string(&name).unwrap(), format!("\"{name}\""));
            assert_eq!(ControlName::from_name(name.as_str()), Some(name));
        }
        for tier in [Tier::Root, Tier::UserNs, Tier::Restricted, Tier::None] {
            assert_eq!(serde_json::to_value(tier).unwrap(), tier.as_str());
        }
        assert_eq!(
            serde_json::to_value(ControlState::DisabledByOperator).unwrap(),
            ControlState::DisabledByOperator.as_str()
        );
    }

    #[test]
    fn a_required_control_that_is_not_enforced_is_missing() {
        let controls = vec![
            Control::enforced(ControlName::Seccomp),
            Control::new(ControlName::Memory, ControlState::BestEffort),
        ];
        let required = [ControlName::Seccomp, ControlName::Memory, ControlName::NetNs];
        let report = SandboxReport::conclude(Tier::UserNs, controls, &required);
        assert_eq!(report.missing(), [ControlName::NetNs, ControlName::Memory]);
        assert!(!report.strict_ok);
        assert!(report.enforces(ControlName::Seccomp));
        assert!(report.control(ControlName::Memory).unwrap().remedy().is_some());
    }
}
