//! Landlock: a second wall behind the mounts, and the only one where there are no namespaces.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, NetPort, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
    path_beneath_rules,
};

use super::mounts::DEVICES;
use crate::jail::{
    report::{Control, ControlName},
    spec::{Access, JailSpec},
};

/// The newest version whose rights we name.
const NEWEST: ABI = ABI::V6;

/// The version that the kernel has; `None` if it has none or Landlock is not switched on.
#[expect(unsafe_code, reason = "the library does not tell the version without restricting")]
pub(crate) fn abi() -> Option<i64> {
    let nothing = std::ptr::null::<libc::c_void>();
    // SAFETY: with this flag the kernel reads no memory and answers with its version.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0_usize, 1_u32) };
    (version > 0).then_some(version)
}

/// Rules that wait to be enforced.
#[derive(Debug)]
pub(super) struct Landlocked(RulesetCreated);

impl Landlocked {
    /// What this kernel's version holds.
    pub(super) fn controls(rooted: bool, has_network: bool) -> Vec<Control> {
        let abi = abi();
        let needs = [
            (ControlName::LandlockFs, 1),
            (ControlName::LandlockNet, 4),
            (ControlName::LandlockScopes, 6),
        ];
        needs
            .into_iter()
            // In a network of its own a program may serve itself, and reaches nobody else.
            .filter(|(name, _)| !has_network || *name != ControlName::LandlockNet)
            .map(|(name, needed)| match abi {
                Some(version) if version >= needed => {
                    let unheld = if name == ControlName::LandlockFs && !rooted {
                        ", does not hold modes, owners and times of files"
                    } else {
                        ""
                    };
                    Control::enforced(name).detail(format!("abi={version}{unheld}"))
                }
                Some(version) => {
                    Control::unavailable(name, format!("abi={version}, {needed} is needed"))
                }
                None => {
                    Control::unavailable(name, "the kernel has no Landlock, or not switched on")
                }
            })
            .collect()
    }

    /// Makes the rules; `None` where the kernel has no Landlock. `rooted` says that the process sees
    /// the jail's own root folder already.
    pub(super) fn prepare(
        spec: &JailSpec,
        rooted: bool,
        has_network: bool,
    ) -> Result<Option<Self>, String> {
        if abi().is_none() {
            return Ok(None);
        }
        let rules = rules(spec, rooted, has_network);
        rules.map(|rules| Some(Self(rules))).map_err(|error| error.to_string())
    }

    /// Restricts the calling process for good.
    pub(super) fn enforce(self) -> Result<(), String> {
        let status = self.0.restrict_self().map_err(|error| error.to_string())?;
        if status.ruleset == RulesetStatus::NotEnforced {
            return Err("the kernel enforced nothing".to_owned());
        }
        Ok(())
    }
}

fn rules(spec: &JailSpec, rooted: bool, has_network: bool) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::from_read(NEWEST);
    let all = AccessFs::from_all(NEWEST);
    let device = read | AccessFs::WriteFile | AccessFs::IoctlDev;
    let mut ruleset = Ruleset::default().handle_access(all)?;
    if !has_network {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let created = ruleset
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(readable(spec, rooted), read))?
        .add_rules(path_beneath_rules(writable(spec, rooted), all & !special()))?
        .add_rules(path_beneath_rules(DEVICES.map(|name| Path::new("/dev").join(name)), device))?;
    let grants = spec.network.grants().iter().filter(|_| !has_network && spec.ports_will_do);
    created.add_rules(list_only(spec, rooted))?.add_rules(
        grants.map(|grant| Ok::<_, RulesetError>(NetPort::new(grant.port, AccessNet::ConnectTcp))),
    )
}

/// Files that are doors: nobody makes devices.
fn special() -> BitFlags<AccessFs> {
    AccessFs::MakeChar | AccessFs::MakeBlock
}

fn readable(spec: &JailSpec, rooted: bool) -> Vec<PathBuf> {
    if rooted {
        return vec![PathBuf::from("/")];
    }
    let binds = spec.binds.iter().flat_map(|bind| around_hidden(spec, &bind.source));
    let public = PUBLIC.map(|name| Path::new("/etc").join(name));
    spec.runtime.iter().cloned().chain(binds).chain(public).collect()
}

fn writable(spec: &JailSpec, rooted: bool) -> Vec<PathBuf> {
    let binds = spec.binds.iter().filter(|bind| bind.access == Access::ReadWrite);
    if rooted {
        return binds.map(|bind| bind.target.clone()).chain([PathBuf::from("/tmp")]).collect();
    }
    binds.flat_map(|bind| around_hidden(spec, &bind.source)).collect()
}

/// Files of `/etc` that hold no secret and that programs read to find users and hosts.
const PUBLIC: [&str; 6] = ["passwd", "group", "hosts", "nsswitch.conf", "resolv.conf", "host.conf"];

/// A path, or what is beside the hidden folders in it: rules reach downward and know no exception.
fn around_hidden(spec: &JailSpec, path: &Path) -> Vec<PathBuf> {
    let holds_hidden =
        |path: &Path| spec.hidden.iter().any(|hidden| hidden != path && hidden.starts_with(path));
    let (mut open, mut found) = (vec![path.to_owned()], Vec::new());
    while let Some(path) = open.pop() {
        if !holds_hidden(&path) {
            found.push(path);
            continue;
        }
        let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
        open.extend(entries.map(|entry| entry.path()).filter(|path| !spec.hidden.contains(path)));
    }
    found
}

/// Folders that hold hidden ones: they can be listed, for most programs list where they work.
fn list_only(
    spec: &JailSpec,
    rooted: bool,
) -> impl Iterator<Item = Result<landlock::PathBeneath<landlock::PathFd>, RulesetError>> {
    let holders = spec.binds.iter().filter(move |bind| {
        !rooted && spec.hidden.iter().any(|hidden| hidden.starts_with(&bind.source))
    });
    let sources: Vec<PathBuf> = holders.map(|bind| bind.source.clone()).collect();
    path_beneath_rules(sources, AccessFs::ReadDir)
}
