//! The root folder of a jail: built in memory, furnished with what was granted, and entered.
#![expect(unsafe_code, reason = "mount_setattr has no safe wrapper")]

use std::{
    ffi::CStr,
    fmt::Write as _,
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, mkdirat, openat, openat2, statat,
    },
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags,
        MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount,
        fsopen, mount, mount_change, move_mount, open_tree, unmount,
    },
    process::{getgid, getuid, pivot_root, umask},
};

use super::{Failed, idmap::Mappings};
use crate::jail::{
    report::{Control, ControlName, ControlState},
    spec::{Access, Bind, HostPort, JailSpec},
};

/// The devices that every jail has; none of them is hardware.
pub(super) const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Where the new root is built before it is entered: folders that machines have, the first that
/// exists. What they hold is not changed, only covered, in a mount namespace of our own.
const WORKSHOPS: [&str; 4] = ["/tmp", "/run", "/mnt", "/var"];

const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const READ_WRITE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const DEVICE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;

/// A part of the machine that was taken hold of before its path was covered, or an empty folder to
/// cover another.
struct Part {
    tree: OwnedFd,
    target: PathBuf,
    is_folder: bool,
    is_cover: bool,
}

/// A path that is a link, and what the link says.
type Link = (PathBuf, PathBuf);

fn failed(what: impl AsRef<Path>) -> impl Fn(Errno) -> Failed {
    move |error| Failed::new("mounts", what.as_ref().display().to_string(), error)
}

fn failed_io(what: impl AsRef<Path>) -> impl Fn(io::Error) -> Failed {
    move |error| Failed::new("mounts", what.as_ref().display().to_string(), error)
}

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
    for target in covered(spec) {
        parts.push(cover(target)?);
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

/// Why something cannot be shown to a user of its own.
enum Unheld {
    /// It cannot be shown at all.
    Failed(Failed),
    /// That user could not use it.
    Unmapped(String),
}

fn take_hold_of_all(spec: &JailSpec) -> Result<Vec<Part>, Failed> {
    let plain = |bind: &Bind| hold(&bind.source, bind.target.clone(), attributes_of(bind));
    spec.binds.iter().map(plain).collect()
}

/// Takes hold of everything for a user who owns none of it: each part's owner is mapped to that user,
/// or whoever it is may use it.
fn take_hold_for(spec: &JailSpec, user: u32) -> Result<Vec<Part>, Unheld> {
    let mut mappings = Mappings::to(user);
    let mut hold = |bind: &Bind| {
        let (tree, status) = clone_of(&bind.source).map_err(Unheld::Failed)?;
        let owner = (status.st_uid, status.st_gid);
        let mapped = mappings
            .of(owner)
            .and_then(|namespace| Ok(set_mapped(&tree, attributes_of(bind), namespace)?));
        if let Err(error) = mapped {
            if !is_open_to_all(&status, bind.access) {
                let reason = unmapped(&bind.source, error);
                return Err(Unheld::Unmapped(reason));
            }
            let set = set_attributes(&tree, attributes_of(bind), true);
            set.map_err(failed(&bind.source)).map_err(Unheld::Failed)?;
        }
        Ok(Part::new(tree, bind.target.clone(), &status))
    };
    spec.binds.iter().map(&mut hold).collect()
}

/// Whether a user who owns nothing can use what the program is shown where nothing can be mapped.
pub(super) fn usable_as_they_are(
    spec: &JailSpec,
    user: Option<u32>,
) -> (Option<u32>, Option<String>) {
    let is_closed = |bind: &&Bind| {
        let status = rustix::fs::stat(&bind.source);
        status.is_ok_and(|status| !is_open_to_all(&status, bind.access))
    };
    match spec.binds.iter().find(is_closed) {
        Some(bind) if user.is_some() => (None, Some(unmapped(&bind.source, "no mount namespace"))),
        _ => (user, None),
    }
}

fn unmapped(path: &Path, why: impl std::fmt::Display) -> String {
    let path = path.display();
    format!("it runs as the user of FlexCore: the owner of {path} cannot be mapped ({why})")
}

fn is_open_to_all(status: &Stat, access: Access) -> bool {
    let is_folder = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
    let wanted = match access {
        Access::ReadOnly => 0o4,
        Access::ReadWrite => 0o6,
    };
    let wanted = if is_folder { wanted | 0o1 } else { wanted };
    status.st_mode & wanted == wanted
}

/// The paths that are links, with what they say, and the others. What does not exist is left out.
fn take_hold_of_runtime(runtime: &[PathBuf]) -> Result<(Vec<Link>, Vec<Part>), Failed> {
    let (mut links, mut parts) = (Vec::new(), Vec::new());
    for path in runtime {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => {
                links.push((path.clone(), fs::read_link(path).map_err(failed_io(path))?));
            }
            Ok(_) => parts.push(hold(path, path.clone(), READ_ONLY)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed_io(path)(error)),
        }
    }
    Ok((links, parts))
}

const fn attributes_of(bind: &Bind) -> u64 {
    match bind.access {
        Access::ReadOnly => READ_ONLY,
        Access::ReadWrite => READ_WRITE,
    }
}

fn hold(source: &Path, target: PathBuf, attributes: u64) -> Result<Part, Failed> {
    let (tree, status) = clone_of(source)?;
    set_attributes(&tree, attributes, true).map_err(failed(source))?;
    Ok(Part::new(tree, target, &status))
}

/// A mount of the file or folder that has no place yet, and what it is.
fn clone_of(source: &Path) -> Result<(OwnedFd, Stat), Failed> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, source, flags).map_err(failed(source))?;
    let status = statat(&tree, c"", AtFlags::EMPTY_PATH).map_err(failed(source))?;
    Ok((tree, status))
}

impl Part {
    fn new(tree: OwnedFd, target: PathBuf, status: &Stat) -> Self {
        let is_folder = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
        Self { tree, target, is_folder, is_cover: false }
    }
}

/// Where the jail would show hidden folders.
fn covered(spec: &JailSpec) -> Vec<PathBuf> {
    let mut covered: Vec<PathBuf> = Vec::new();
    for hidden in spec.hidden.iter().filter(|hidden| hidden.is_dir()) {
        for bind in &spec.binds {
            match hidden.strip_prefix(&bind.source) {
                // The folder itself is bound: then it is meant to be seen.
                Ok(rest) if rest.as_os_str().is_empty() => {}
                Ok(rest) => covered.push(bind.target.join(rest)),
                Err(_) => {}
            }
        }
    }
    covered.sort();
    covered.dedup();
    covered
}

/// An empty folder to show at `target`. It stays writable until what is bound inside has its place.
fn cover(target: PathBuf) -> Result<Part, Failed> {
    let make = || -> Result<OwnedFd, Errno> {
        let system = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (key, value) in [("mode", "0555"), ("size", "64k"), ("nr_inodes", "200")] {
            fsconfig_set_string(system.as_fd(), key, value)?;
        }
        fsconfig_create(system.as_fd())?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        fsmount(system.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    let tree = make().map_err(failed(&target))?;
    Ok(Part { tree, target, is_folder: true, is_cover: true })
}

/// `struct mount_attr` of mount_setattr(2), in its first version.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Sets attributes of a mount, with those of the mounts below it if `recursive`: what is mounted
/// below a read-only folder must not stay writable.
fn set_attributes(tree: &OwnedFd, set: u64, recursive: bool) -> Result<(), Errno> {
    let attributes = MountAttributes { set, clear: 0, propagation: 0, user_namespace: 0 };
    change(tree, &attributes, recursive)
}

/// Sets attributes of a mount and of those below it, and has owners mapped as the namespace says.
fn set_mapped(tree: &OwnedFd, set: u64, namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    let user_namespace = u64::try_from(namespace.as_raw_fd()).map_err(|_| Errno::BADF)?;
    let set = set | libc::MOUNT_ATTR_IDMAP;
    change(tree, &MountAttributes { set, clear: 0, propagation: 0, user_namespace }, true)
}

fn change(tree: &OwnedFd, attributes: &MountAttributes, recursive: bool) -> Result<(), Errno> {
    let recursive = if recursive { libc::AT_RECURSIVE } else { 0 };
    let empty: &CStr = c"";
    // SAFETY: the kernel reads a path that ends with zero and a struct of the size that it is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            empty.as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            std::ptr::from_ref(attributes),
            size_of::<MountAttributes>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(crate::daemon::signals::last_error()) }
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
