//! Parts of the machine on their way into a jail: taken hold of under their own paths, with what their
//! owner and their mounts shall mean in it.
#![expect(unsafe_code, reason = "mount_setattr has no safe wrapper")]

use std::{
    ffi::CStr,
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Stat, statat},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create,
        fsconfig_set_string, fsmount, fsopen, open_tree,
    },
};

use super::super::{Failed, idmap::Mappings};
use crate::jail::spec::{Access, Bind, JailSpec};

pub(super) const READ_ONLY: u64 =
    libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const READ_WRITE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
pub(super) const DEVICE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;

/// A part of the machine that was taken hold of before its path was covered, or an empty folder to
/// cover another.
pub(super) struct Part {
    pub(super) tree: OwnedFd,
    pub(super) target: PathBuf,
    pub(super) is_folder: bool,
    pub(super) is_cover: bool,
}

/// A path that is a link, and what the link says.
pub(super) type Link = (PathBuf, PathBuf);

pub(super) fn failed(what: impl AsRef<Path>) -> impl Fn(Errno) -> Failed {
    move |error| Failed::new("mounts", what.as_ref().display().to_string(), error)
}

pub(super) fn failed_io(what: impl AsRef<Path>) -> impl Fn(io::Error) -> Failed {
    move |error| Failed::new("mounts", what.as_ref().display().to_string(), error)
}

/// Why something cannot be shown to a user of its own.
pub(super) enum Unheld {
    /// It cannot be shown at all.
    Failed(Failed),
    /// That user could not use it.
    Unmapped(String),
}

pub(super) fn take_hold_of_all(spec: &JailSpec) -> Result<Vec<Part>, Failed> {
    let plain = |bind: &Bind| hold(&bind.source, bind.target.clone(), attributes_of(bind));
    spec.binds.iter().map(plain).collect()
}

/// Takes hold of everything for a user who owns none of it: each part's owner is mapped to that user,
/// or whoever it is may use it.
pub(super) fn take_hold_for(spec: &JailSpec, user: u32) -> Result<Vec<Part>, Unheld> {
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
pub(in crate::daemon::jail) fn usable_as_they_are(
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
pub(super) fn take_hold_of_runtime(runtime: &[PathBuf]) -> Result<(Vec<Link>, Vec<Part>), Failed> {
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

pub(super) fn hold(source: &Path, target: PathBuf, attributes: u64) -> Result<Part, Failed> {
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

/// Where the jail would show hidden files and folders, and whether it is a folder.
pub(super) fn covered(spec: &JailSpec) -> Vec<(PathBuf, bool)> {
    let mut covered: Vec<(PathBuf, bool)> = Vec::new();
    for hidden in spec.hidden.iter().filter(|hidden| hidden.exists()) {
        for bind in &spec.binds {
            match hidden.strip_prefix(&bind.source) {
                // The folder itself is bound: then it is meant to be seen.
                Ok(rest) if rest.as_os_str().is_empty() => {}
                Ok(rest) => covered.push((bind.target.join(rest), hidden.is_dir())),
                Err(_) => {}
            }
        }
    }
    covered.sort();
    covered.dedup();
    covered
}

/// Instead of a file, a device on a mount that opens none: whoever opens it is told that they may not.
pub(super) fn cover_file(target: PathBuf) -> Result<Part, Failed> {
    hold(Path::new("/dev/null"), target, READ_ONLY)
}

/// An empty folder to show at `target`. It stays writable until what is bound inside has its place.
pub(super) fn cover_folder(target: PathBuf) -> Result<Part, Failed> {
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
pub(super) fn set_attributes(tree: &OwnedFd, set: u64, recursive: bool) -> Result<(), Errno> {
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
