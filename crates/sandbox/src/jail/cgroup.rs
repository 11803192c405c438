//! Control groups, version 2 where a controller is there, version 1 elsewhere, for each controller
//! by itself: many machines have some of both.
//!
//! A group is made below the server's own, with its limits, before anything enters it. Its name
//! tells whose it is, so that a later run removes what a killed one left.

mod place;
mod settings;

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, getpid};

use self::{
    place::{delegate, folder, has_kill, is_writable, unified},
    settings::settings,
};
use super::{
    report::{Control, ControlName},
    spec::Limits,
};
use crate::tree;

/// How long a group is given to become empty after its last process was seen to end.
const REMOVAL: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The controllers that we use, with their names in versions 1 and 2.
const CONTROLLERS: [(ControlName, &str, &str); 4] = [
    (ControlName::Memory, "memory", "memory"),
    (ControlName::Pids, "pids", "pids"),
    (ControlName::Cpu, "cpu", "cpu"),
    (ControlName::Io, "blkio", "io"),
];

/// Where groups can be made on this machine.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// The server's own group of version 2, if groups can be made in it.
    unified: Option<PathBuf>,
    /// Which folder each controller's groups are made in, and whether that is version 2.
    controllers: Vec<(ControlName, PathBuf, bool)>,
    /// Folders of groups that were let go before they were empty.
    leftovers: Arc<Mutex<Vec<PathBuf>>>,
    made: AtomicU64,
    started: u64,
}

/// The group of one jail.
#[derive(Debug)]
pub(super) struct Group {
    folders: Vec<PathBuf>,
    /// The files by which a process enters them.
    entrances: Vec<PathBuf>,
    /// The file that counts what was killed for lack of memory.
    memory_events: Option<PathBuf>,
    kill: Option<PathBuf>,
    pub(super) controls: Vec<Control>,
    leftovers: Arc<Mutex<Vec<PathBuf>>>,
}

impl Groups {
    /// Looks what this process can use, by trying, and removes the groups of runs that are gone.
    pub(super) fn find() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut groups = Self { started: tree::started(getpid()).unwrap_or(0), ..Self::default() };
        groups.unified = unified(&mounts, &own).filter(|folder| is_writable(folder));
        for (name, v1, v2) in CONTROLLERS {
            let unified = groups.unified.clone().filter(|folder| delegate(folder, v2));
            let found = unified.map(|folder| (folder, true)).or_else(|| {
                let folder = folder(&mounts, &own, Some(v1))?;
                is_writable(&folder).then_some((folder, false))
            });
            if let Some((folder, is_unified)) = found {
                groups.controllers.push((name, folder, is_unified));
            }
        }
        groups.sweep();
        groups
    }

    /// Which controls groups could enforce, and by which version.
    pub(super) fn controls(&self) -> Vec<Control> {
        let kill = self.unified.iter().any(|folder| has_kill(folder));
        let mut controls: Vec<Control> =
            self.controllers.iter().map(|(name, _, unified)| enforced(*name, *unified)).collect();
        if kill {
            controls.push(enforced(ControlName::CgroupKill, true));
        }
        controls
    }

    /// Makes a group with these limits. `device` is the disk to limit. `to_kill` says that the group
    /// is wanted even if it is only there to be killed by.
    pub(super) fn make(
        &self,
        limits: &Limits,
        device: Option<&str>,
        to_kill: bool,
    ) -> io::Result<Group> {
        self.remove_leftovers();
        loop {
            let number = self.made.fetch_add(1, Ordering::Relaxed);
            let name = format!("flexcore-{}-{}-{number}", getpid(), self.started);
            match self.make_named(&name, limits, device, to_kill) {
                // Another jailer of this process counts as well.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made,
            }
        }
    }

    fn make_named(
        &self,
        name: &str,
        limits: &Limits,
        device: Option<&str>,
        to_kill: bool,
    ) -> io::Result<Group> {
        let mut group = Group {
            folders: Vec::new(),
            entrances: Vec::new(),
            memory_events: None,
            kill: None,
            controls: Vec::new(),
            leftovers: Arc::clone(&self.leftovers),
        };
        if let Some(unified) = self.unified.as_ref().filter(|_| to_kill) {
            let folder = group.folder(unified, name, true)?;
            let kill = folder.join("cgroup.kill");
            if kill.exists() {
                group.kill = Some(kill);
                group.controls.push(enforced(ControlName::CgroupKill, true));
            }
        }
        for (control, base, is_unified) in &self.controllers {
            let Some((limit, settings)) = settings(*control, *is_unified, limits, device) else {
                continue;
            };
            let folder = group.folder(base, name, *is_unified)?;
            for (file, value, is_optional) in settings {
                let written = fs::write(folder.join(file), value);
                if !is_optional {
                    written?;
                }
            }
            if *control == ControlName::Memory {
                let events = if *is_unified { "memory.events" } else { "memory.oom_control" };
                group.memory_events = Some(folder.join(events));
            }
            group.controls.push(enforced(*control, *is_unified).limit(limit));
        }
        Ok(group)
    }

    /// Removes what runs that are gone have left. A group with a process in it stays.
    fn sweep(&self) {
        let bases = self.controllers.iter().map(|(_, folder, _)| folder).chain(&self.unified);
        for base in bases {
            for entry in fs::read_dir(base).into_iter().flatten().flatten() {
                if entry.file_name().to_str().is_some_and(is_of_the_dead) {
                    let _ = fs::remove_dir(entry.path());
                }
            }
        }
    }

    fn remove_leftovers(&self) {
        let mut leftovers = self.leftovers.lock().unwrap_or_else(PoisonError::into_inner);
        leftovers.retain(|folder| fs::remove_dir(folder).is_err() && folder.exists());
    }
}

fn enforced(name: ControlName, is_unified: bool) -> Control {
    Control::enforced(name).via(if is_unified { "cgroup2" } else { "cgroup1" })
}

/// Whether a group of this name belongs to a process that is gone.
fn is_of_the_dead(name: &str) -> bool {
    let mut parts = name.split('-');
    let (Some("flexcore"), Some(pid), Some(started), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let (Ok(pid), Ok(started)) = (pid.parse(), started.parse::<u64>()) else { return false };
    Pid::from_raw(pid).is_some_and(|pid| tree::started(pid) != Some(started))
}

impl Group {
    fn folder(&mut self, base: &Path, name: &str, is_unified: bool) -> io::Result<PathBuf> {
        let folder = base.join(name);
        if !self.folders.contains(&folder) {
            fs::create_dir(&folder)?;
            self.folders.push(folder.clone());
            // A process moves as a whole under a lock that every fork and exit of the machine takes,
            // which on a busy machine takes milliseconds to get. A thread that moves itself needs no
            // lock, and an init has only one; version 2 does not let threads leave their process.
            let entrance = if is_unified { "cgroup.procs" } else { "tasks" };
            self.entrances.push(folder.join(entrance));
        }
        Ok(folder)
    }

    /// Descriptors through which a process enters the group, with this process's rights.
    pub(super) fn entrances(&self) -> io::Result<Vec<OwnedFd>> {
        let open = |entrance: &PathBuf| -> io::Result<OwnedFd> {
            let file: File = OpenOptions::new().write(true).open(entrance)?;
            Ok(file.into())
        };
        self.entrances.iter().map(open).collect()
    }

    /// Whether the kernel has killed a process for lack of memory.
    pub(super) fn was_out_of_memory(&self) -> bool {
        let events = self.memory_events.as_ref().and_then(|file| fs::read_to_string(file).ok());
        let killed = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok();
        events.is_some_and(|events| events.lines().find_map(killed).is_some_and(|count| count > 0))
    }

    /// Has the kernel kill everything in the group at once, if it can.
    pub(super) fn kill(&self) {
        if let Some(kill) = &self.kill {
            // The other way to kill the tree remains.
            let _ = fs::write(kill, "1");
        }
    }

    /// Removes the group once it is empty.
    pub(super) async fn remove(mut self) {
        let deadline = tokio::time::Instant::now() + REMOVAL;
        while !self.try_remove() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn try_remove(&mut self) -> bool {
        self.folders.retain(|folder| fs::remove_dir(folder).is_err() && folder.exists());
        self.folders.is_empty()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.try_remove() {
            let mut leftovers = self.leftovers.lock().unwrap_or_else(PoisonError::into_inner);
            leftovers.append(&mut self.folders);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No machine at hand hands out controllers of version 2, so what is written is read back from
    /// ordinary folders.
    #[test]
    fn a_group_of_version_2_holds_its_limits_in_one_folder() {
        let root = tempfile::tempdir().unwrap();
        let names = [ControlName::Memory, ControlName::Pids, ControlName::Cpu, ControlName::Io];
        let base = root.path().to_owned();
        let groups = Groups {
            unified: Some(base.clone()),
            controllers: names.map(|name| (name, base.clone(), true)).to_vec(),
            ..Groups::default()
        };
        let limits = Limits {
            memory_bytes: 1 << 20,
            swap_bytes: 4_096,
            pids: 7,
            cpu_milli: Some(250),
            io_read_bytes_per_second: Some(5),
            io_write_bytes_per_second: Some(6),
            ..Limits::default()
        };
        let group = groups.make(&limits, Some("8:0"), false).unwrap();
        assert_eq!((group.folders.len(), group.entrances.len()), (1, 1));
        assert!(group.entrances[0].ends_with("cgroup.procs"));
        let read = |file: &str| fs::read_to_string(group.folders[0].join(file)).unwrap();
        for (file, content) in [
            ("memory.max", "1048576"),
            ("memory.swap.max", "4096"),
            ("memory.oom.group", "1"),
            ("pids.max", "8"),
            ("cpu.max", "25000 100000"),
            ("io.max", "8:0 rbps=5 wbps=6"),
        ] {
            assert_eq!(read(file), content, "{file}");
        }
        assert!(group.controls.iter().all(|control| control.via.as_deref() == Some("cgroup2")));
        assert!(!group.was_out_of_memory());
        fs::write(group.folders[0].join("memory.events"), "low 0\noom 1\noom_kill 1\n").unwrap();
        assert!(group.was_out_of_memory());
    }

    #[test]
    fn a_controller_of_version_2_is_enabled_for_the_groups_below() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("cgroup.controllers"), "cpu memory\n").unwrap();
        assert!(delegate(root.path(), "memory"));
        let enabled = fs::read_to_string(root.path().join("cgroup.subtree_control")).unwrap();
        assert_eq!(enabled, "+memory");
        assert!(!delegate(root.path(), "pids"), "it is not handed out here");
    }

    #[test]
    fn groups_of_others_and_of_the_living_are_left_alone() {
        let started = tree::started(getpid()).unwrap();
        assert!(!is_of_the_dead(&format!("flexcore-{}-{started}-0", getpid())));
        assert!(is_of_the_dead(&format!("flexcore-{}-{}-0", getpid(), started + 1)));
        assert!(!is_of_the_dead("user.slice"));
        assert!(!is_of_the_dead("flexcore-x-1-0"));
    }
}
