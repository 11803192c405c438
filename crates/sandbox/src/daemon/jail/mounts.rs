//! The root folder of a jail: built in memory, furnished with what was granted, and entered.

mod parts;

use std::{
    fmt::Write as _,
    fs,
    os::fd::OwnedFd,
    path::{Component, Path},
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2},
    io::Errno,
    mount::{
        MountFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, mount, mount_change,
        move_mount, unmount,
    },
    process::{getgid, getuid, pivot_root, umask},
};

pub(super) use self::parts::usable_as_they_are;
use self::parts::{
    DEVICE, Part, READ_ONLY, Unheld, cover_file, cover_folder, covered, failed, failed_io, hold,
    set_attributes, take_hold_for, take_hold_of_all, take_hold_of_runtime,
};
use super::Failed;
use crate::jail::{
    report::{Control, ControlName, ControlState},
    spec::{HostPort, JailSpec},
};

/// The devices that every jail has; none of them is hardware.
pub(super) const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Where the new root is built before it is entered: folders that machines have, the first that
/// exists. What they hold is not changed, only covered, in a mount namespace of our own.
const WORKSHOPS: [&str; 4] = ["/tmp", "/run", "/mnt", "/var"];

/// Builds the root folder and enters it; the machine's is gone after that. `user` is who the program
/// will be.
pub(super) fn furnish(spec: &JailSpec, user: Option<u32>) -> Result<Furnished, Failed> {
    let usual_mask = umask(Mode::from_raw_mode(0o022));
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(failed("/"))?;
    let (links, mut parts) = take_hold_of_runtime(&spec.runtime)?;
    let (binds, user, unmapped) = match user.map(|user| (user, take_hold_for(spec, user))) {
        Some((user, Ok(binds))) => (binds, Some(user), None),
        Some((_, Err(Unheld::Failed(failed)))) => return Err(failed),
        Some((_, Err(Unheld::Unmapped(reason)))) => (take_hold_of_all(spec)?, None, Some(reason)),
        None => (take_hold_of_all(spec)?, None, None),
    };
    parts.extend(binds);
    for (target, is_folder) in covered(spec) {
        parts.push(if is_folder { cover_folder(target)? } else { cover_file(target)? });
    }
    for name in DEVICES {
        let path = Path::new("/dev").join(name);
        parts.push(hold(&path, path.clone(), DEVICE)?);
    }
    // A folder before what is to be shown inside it.
    parts.sort_by_key(|part| part.target.components().count());

    let root = make_root(&spec.etc_and_hosts(user))?;
    for (target, link) in links {
        std::os::unix::fs::symlink(&link, root_relative(&target)).map_err(failed_io(&target))?;
    }
    mount_tmp(spec)?;
    let proc = mount_proc();
    for part in &parts {
        show(&root, part).map_err(failed(&part.target))?;
    }
    for part in parts.iter().filter(|part| part.is_cover) {
        set_attributes(&part.tree, READ_ONLY, false).map_err(failed(&part.target))?;
    }
    enter(&root)?;
    // What it makes in a folder of the machine has the modes that the operator's own files have.
    umask(usual_mask);
    let controls = vec![Control::enforced(ControlName::Root), proc];
    Ok(Furnished { controls, user, unmapped })
}

/// A root folder that stands.
pub(super) struct Furnished {
    pub(super) controls: Vec<Control>,
    /// The user that the program can be.
    pub(super) user: Option<u32>,
    /// Why it cannot be the one that it should have been.
    pub(super) unmapped: Option<String>,
}

/// Mounts an empty root folder, goes there, and fills it with small files of our own.
fn make_root(etc: &[(String, Vec<u8>)]) -> Result<OwnedFd, Failed> {
    let workshop = WORKSHOPS.iter().find(|path| Path::new(path).is_dir()).unwrap_or(&"/tmp");
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", *workshop, "tmpfs", flags, c"mode=0755,size=4m,nr_inodes=2000")
        .map_err(failed(workshop))?;
    std::env::set_current_dir(workshop).map_err(failed_io(workshop))?;
    for folder in ["etc", "dev", "proc", "tmp"] {
        fs::create_dir(folder).map_err(failed_io(folder))?;
    }
    let links = [
        ("dev/fd", "/proc/self/fd"),
        ("dev/stdin", "/proc/self/fd/0"),
        ("dev/stdout", "/proc/self/fd/1"),
        ("dev/stderr", "/proc/self/fd/2"),
        ("dev/shm", "/tmp"),
    ];
    for (path, link) in links {
        std::os::unix::fs::symlink(link, path).map_err(failed_io(path))?;
    }
    for (name, content) in etc {
        let path = Path::new("etc").join(name);
        fs::write(&path, content).map_err(failed_io(&path))?;
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, c".", flags, Mode::empty()).map_err(failed(workshop))
}

fn mount_tmp(spec: &JailSpec) -> Result<(), Failed> {
    let options = format!("mode=1777,size={},nr_inodes={}", spec.tmp_bytes, spec.tmp_files);
    let options = std::ffi::CString::new(options).unwrap_or_default();
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", "tmp", "tmpfs", flags, options.as_c_str()).map_err(failed("/tmp"))
}

/// Shows the jail's own processes, and of the machine nothing. Older kernels cannot leave the rest
/// of `/proc` out; some containers allow none.
fn mount_proc() -> Control {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    if mount("proc", "proc", "proc", flags, c"subset=pid,hidepid=invisible").is_ok() {
        return Control::enforced(ControlName::Proc);
    }
    match mount("proc", "proc", "proc", flags | MountFlags::RDONLY, c"hidepid=2") {
        Ok(()) => Control::new(ControlName::Proc, ControlState::BestEffort)
            .detail("settings of the machine can be read in /proc"),
        Err(error) => Control::unavailable(ControlName::Proc, format!("/proc is empty: {error}")),
    }
}

fn root_relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Attaches a part at its place under `root`.
fn show(root: &OwnedFd, part: &Part) -> Result<(), Errno> {
    let place = place(root, root_relative(&part.target), part.is_folder)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&part.tree, c"", &place, c"", flags)
}

/// Opens the place at `path` under `root`, and makes it if it does not exist. Follows no link: a
/// writable bind may hold links that an earlier program has left there for us.
fn place(root: &OwnedFd, path: &Path, is_folder: bool) -> Result<OwnedFd, Errno> {
    let mut at = rustix::io::fcntl_dupfd_cloexec(root, 3)?;
    let mut names = path.components().peekable();
    while let Some(name) = names.next() {
        let Component::Normal(name) = name else { return Err(Errno::INVAL) };
        if is_folder || names.peek().is_some() {
            match mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
                // What cannot be made may exist, and if not, opening it says so.
                Ok(()) | Err(Errno::EXIST | Errno::ROFS | Errno::ACCESS) => {}
                Err(error) => return Err(error),
            }
        } else {
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            // The same goes for this.
            let _ = openat(&at, name, flags | OFlags::EXCL, Mode::from_raw_mode(0o644));
        }
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        at = openat2(&at, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    }
    Ok(at)
}

/// Makes the folder that this process is in its root, and lets go of the machine's.
fn enter(root: &OwnedFd) -> Result<(), Failed> {
    pivot_root(c".", c".").map_err(failed("/ (pivot_root)"))?;
    unmount(c".", UnmountFlags::DETACH).map_err(failed("/ (the machine's)"))?;
    std::env::set_current_dir("/").map_err(failed_io("/"))?;
    set_attributes(root, READ_ONLY, false).map_err(failed("/ (read-only)"))
}

/// The names that a program can resolve. The first line with a name counts, so a grant for
/// `localhost` comes before the jail's own.
fn hosts(grants: &[HostPort]) -> String {
    let mut hosts = String::new();
    for (index, grant) in grants.iter().enumerate().filter(|(_, grant)| grant.literal().is_none()) {
        // Writing to a string does not fail.
        let _ = writeln!(hosts, "{} {}", grant.address_in_jail(index), grant.host);
    }
    if !grants.iter().any(|grant| grant.host.eq_ignore_ascii_case("localhost")) {
        hosts.push_str("127.0.0.1 localhost\n::1 localhost\n");
    }
    hosts.push_str("127.0.0.1 plugin\n");
    hosts
}

impl JailSpec {
    /// The files of `/etc`: one user, no name server, and names for what may be connected to.
    fn etc_and_hosts(&self, user: Option<u32>) -> Vec<(String, Vec<u8>)> {
        let uid = user.unwrap_or_else(|| getuid().as_raw());
        let gid = user.unwrap_or_else(|| getgid().as_raw());
        let hosts = hosts(self.network.grants());
        let own = [
            ("passwd", format!("plugin:x:{uid}:{gid}:plugin:/tmp:/bin/sh\n")),
            ("group", format!("plugin:x:{gid}:\n")),
            ("hosts", hosts),
            ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n".to_owned()),
            ("resolv.conf", String::new()),
        ];
        let own = own.map(|(name, text)| (name.to_owned(), text.into_bytes()));
        own.into_iter().chain(self.etc.iter().cloned()).collect()
    }
}
