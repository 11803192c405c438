//! Control groups, version 2 where a controller is there, version 1 elsewhere, for each controller
//! by itself: many machines have some of both.
//!
//! A group is made below the server's own, with its limits, before anything enters it. Its name
//! tells whose it is, so that a later run removes what a killed one left.

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
        groups.unified = folder(&mounts, &own, None).filter(|folder| is_writable(folder));
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

    /// Makes a group with these limits. `device` is the disk to limit.
    pub(super) fn make(&self, limits: &Limits, device: Option<&str>) -> io::Result<Group> {
        self.remove_leftovers();
        loop {
            let number = self.made.fetch_add(1, Ordering::Relaxed);
            let name = format!("flexcore-{}-{}-{number}", getpid(), self.started);
            match self.make_named(&name, limits, device) {
                // Another jailer of this process counts as well.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made,
            }
        }
    }

    fn make_named(&self, name: &str, limits: &Limits, device: Option<&str>) -> io::Result<Group> {
        let mut group = Group {
            folders: Vec::new(),
            memory_events: None,
            kill: None,
            controls: Vec::new(),
            leftovers: Arc::clone(&self.leftovers),
        };
        if let Some(unified) = &self.unified {
            let folder = group.folder(unified, name)?;
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
            let folder = group.folder(base, name)?;
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

/// A file, what to write into it, and whether it may be missing.
type Setting = (&'static str, String, bool);

/// What to write for a control, and the limit to report; `None` if it is not limited.
fn settings(
    control: ControlName,
    is_unified: bool,
    limits: &Limits,
    device: Option<&str>,
) -> Option<(u64, Vec<Setting>)> {
    let memory = limits.memory_bytes;
    // One more for the jail's init.
    let pids = u64::from(limits.pids) + 1;
    Some(match (control, is_unified) {
        (ControlName::Memory, true) => (
            memory,
            vec![
                ("memory.max", memory.to_string(), false),
                ("memory.swap.max", "0".to_owned(), true),
                ("memory.oom.group", "1".to_owned(), true),
            ],
        ),
        (ControlName::Memory, false) => (
            memory,
            vec![
                ("memory.limit_in_bytes", memory.to_string(), false),
                // Kernels can be built or started without counting swap.
                ("memory.memsw.limit_in_bytes", memory.to_string(), true),
            ],
        ),
        (ControlName::Pids, _) => (limits.pids.into(), vec![("pids.max", pids.to_string(), false)]),
        (ControlName::Cpu, is_unified) => {
            // The kernel takes no less than a hundredth.
            let milli = limits.cpu_milli?.max(10);
            let quota = u64::from(milli) * 100;
            (
                milli.into(),
                if is_unified {
                    vec![("cpu.max", format!("{quota} 100000"), false)]
                } else {
                    vec![
                        ("cpu.cfs_period_us", "100000".to_owned(), false),
                        ("cpu.cfs_quota_us", quota.to_string(), false),
                    ]
                },
            )
        }
        (ControlName::Io, is_unified) => {
            let (bytes, device) = (limits.io_bytes_per_second?, device?);
            (
                bytes,
                if is_unified {
                    vec![("io.max", format!("{device} rbps={bytes} wbps={bytes}"), false)]
                } else {
                    vec![
                        ("blkio.throttle.read_bps_device", format!("{device} {bytes}"), false),
                        ("blkio.throttle.write_bps_device", format!("{device} {bytes}"), false),
                    ]
                },
            )
        }
        _ => return None,
    })
}

impl Group {
    fn folder(&mut self, base: &Path, name: &str) -> io::Result<PathBuf> {
        let folder = base.join(name);
        if !self.folders.contains(&folder) {
            fs::create_dir(&folder)?;
            self.folders.push(folder.clone());
        }
        Ok(folder)
    }

    /// Descriptors through which a process enters the group, with this process's rights.
    pub(super) fn entrances(&self) -> io::Result<Vec<OwnedFd>> {
        let open = |folder: &PathBuf| -> io::Result<OwnedFd> {
            let file: File = OpenOptions::new().write(true).open(folder.join("cgroup.procs"))?;
            Ok(file.into())
        };
        self.folders.iter().map(open).collect()
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

/// The folder of this process's own group: with a controller of version 1, or of version 2.
fn folder(mounts: &str, own: &str, controller: Option<&str>) -> Option<PathBuf> {
    let own = own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let is_it = match controller {
            Some(controller) => controllers.split(',').any(|name| name == controller),
            None => controllers.is_empty(),
        };
        is_it.then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        let (place, system) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, mount) = (place.next()?, place.next()?);
        let mut system = system.split(' ');
        let is_it = match (system.next()?, controller) {
            ("cgroup2", None) => true,
            ("cgroup", Some(name)) => system.nth(1)?.split(',').any(|option| option == name),
            _ => false,
        };
        // In a container the mount begins at the container's group, and so may the path.
        let below = Path::new(own).strip_prefix(root).or(Path::new(own).strip_prefix("/")).ok()?;
        is_it.then(|| Path::new(mount).join(below))
    })
}

/// Whether a group can be made here, and have a process put into it: found out by making one.
fn is_writable(folder: &Path) -> bool {
    let trial = folder.join(format!("flexcore-{}-0-trial", getpid()));
    let made = fs::create_dir(&trial).is_ok();
    let open = OpenOptions::new().write(true).open(trial.join("cgroup.procs")).is_ok();
    let removed = fs::remove_dir(&trial).is_ok();
    made && open && removed
}

fn has_kill(folder: &Path) -> bool {
    let trial = folder.join(format!("flexcore-{}-0-trial", getpid()));
    let has = fs::create_dir(&trial).is_ok() && trial.join("cgroup.kill").exists();
    let _ = fs::remove_dir(&trial);
    has
}

/// Has a controller of version 2 reach the groups below; false if it cannot. A group that holds
/// processes may not (unless it is the machine's first), so this process goes into one of its own,
/// if nobody else is where it was.
fn delegate(folder: &Path, controller: &str) -> bool {
    let lists = |file: &str| {
        let list = fs::read_to_string(folder.join(file)).unwrap_or_default();
        list.split_ascii_whitespace().any(|name| name == controller)
    };
    if !lists("cgroup.controllers") {
        return false;
    }
    let enable = || fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}"));
    if lists("cgroup.subtree_control") || enable().is_ok() {
        return true;
    }
    let own = getpid().to_string();
    let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    if processes.lines().any(|pid| pid != own) {
        return false;
    }
    let leaf = folder.join("supervisor");
    let _ = fs::create_dir(&leaf);
    fs::write(leaf.join("cgroup.procs"), own).is_ok() && enable().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
36 31 0:32 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
41 31 0:38 /box /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
    const OWN: &str = "4:memory:/a\n1:cpu,cpuacct:/b/c\n0::/box/d\n";

    #[test]
    fn the_own_group_is_found_for_each_version() {
        let cpu = folder(MOUNTS, OWN, Some("cpu")).unwrap();
        assert_eq!(cpu, Path::new("/sys/fs/cgroup/cpu,cpuacct/b/c"));
        let unified = folder(MOUNTS, OWN, None).unwrap();
        assert_eq!(unified, Path::new("/sys/fs/cgroup/unified/d"));
        assert_eq!(folder(MOUNTS, OWN, Some("memory")), None, "it is not mounted");
    }

    #[test]
    fn groups_of_others_and_of_the_living_are_left_alone() {
        let started = tree::started(getpid()).unwrap();
        assert!(!is_of_the_dead(&format!("flexcore-{}-{started}-0", getpid())));
        assert!(is_of_the_dead(&format!("flexcore-{}-{}-0", getpid(), started + 1)));
        assert!(!is_of_the_dead("user.slice"));
        assert!(!is_of_the_dead("flexcore-x-1-0"));
    }

    #[test]
    fn what_is_not_limited_is_not_written() {
        let limits = Limits { io_bytes_per_second: Some(1), ..Limits::default() };
        assert_eq!(settings(ControlName::Cpu, true, &limits, None), None);
        assert_eq!(settings(ControlName::Io, true, &limits, None), None, "no disk is known");
        assert!(settings(ControlName::Io, false, &limits, Some("8:0")).is_some());
    }
}
