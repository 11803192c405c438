//! Where on this machine groups can be made, found out by making some.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};

use rustix::process::getpid;

/// The folder of this process's own group: with a controller of version 1, or of version 2.
pub(super) fn folder(mounts: &str, own: &str, controller: Option<&str>) -> Option<PathBuf> {
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
pub(super) fn is_writable(folder: &Path) -> bool {
    let trial = folder.join(format!("flexcore-{}-0-trial", getpid()));
    let made = fs::create_dir(&trial).is_ok();
    let open = OpenOptions::new().write(true).open(trial.join("cgroup.procs")).is_ok();
    let removed = fs::remove_dir(&trial).is_ok();
    made && open && removed
}

pub(super) fn has_kill(folder: &Path) -> bool {
    let trial = folder.join(format!("flexcore-{}-0-trial", getpid()));
    let has = fs::create_dir(&trial).is_ok() && trial.join("cgroup.kill").exists();
    let _ = fs::remove_dir(&trial);
    has
}

/// The group that a server goes into when its own is to hold groups only.
const LEAF: &str = "flexcore-supervisor";

/// The group of version 2 below which this process makes others: its own, or the one above if it has
/// gone into the leaf of that already.
pub(super) fn unified(mounts: &str, own: &str) -> Option<PathBuf> {
    let folder = folder(mounts, own, None)?;
    if folder.file_name().is_some_and(|name| name == LEAF) {
        return folder.parent().map(Path::to_owned);
    }
    Some(folder)
}

/// Has a controller of version 2 reach the groups below; false if it cannot. A group that holds
/// processes may not (unless it is the machine's first), so this process and those below it go into
/// the leaf, if nobody else is where they were.
pub(super) fn delegate(folder: &Path, controller: &str) -> bool {
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
    // This process and what it has started, the launcher above all.
    let mut own = crate::tree::pids_below(getpid());
    own.push(getpid());
    let own: Vec<String> = own.into_iter().map(|pid| pid.to_string()).collect();
    let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    if processes.lines().any(|pid| !own.iter().any(|own| own == pid)) {
        return false;
    }
    let leaf = folder.join(LEAF);
    let _ = fs::create_dir(&leaf);
    let moved = processes.lines().all(|pid| fs::write(leaf.join("cgroup.procs"), pid).is_ok());
    moved && enable().is_ok()
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
        let in_leaf = format!("0::/box/d/{LEAF}\n");
        assert_eq!(super::unified(MOUNTS, &in_leaf).as_ref(), Some(&unified), "the one above");
        assert_eq!(folder(MOUNTS, OWN, Some("memory")), None, "it is not mounted");
    }
}
