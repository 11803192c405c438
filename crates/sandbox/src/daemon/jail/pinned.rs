//! Holding programs to the files that were verified: what a jail shows is compared with what was
//! looked at, and the program is started from the descriptor that was compared. (A mount of the file
//! over its own name would not do: the kernel takes it away when that name is given to another file.)
#![expect(unsafe_code, reason = "starting a program from a descriptor has no safe wrapper")]

use std::{
    ffi::{CString, OsStr},
    io::{self, Read as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    fs::{CWD, Mode, OFlags, fstat, openat},
    io::Errno,
};

use super::Failed;
use crate::jail::{spec::JailSpec, verified::FileIdentity};

/// A file that was verified, opened where the jail shows it.
#[derive(Debug)]
pub(super) struct Pinned {
    path: PathBuf,
    file: OwnedFd,
}

/// Opens every verified file wherever the jail shows it. `rooted` says that this process sees the
/// jail's own root folder already.
pub(super) fn open_all(spec: &JailSpec, rooted: bool) -> Result<Vec<Pinned>, Failed> {
    let mut pinned = Vec::new();
    for verified in &spec.verified {
        if !rooted {
            let file = open(verified, &verified.path)?;
            pinned.push(Pinned { path: verified.path.clone(), file });
            continue;
        }
        for path in targets(spec, &verified.path) {
            let file = open(verified, &path)?;
            pinned.push(Pinned { path, file });
        }
    }
    Ok(pinned)
}

fn open(verified: &FileIdentity, path: &Path) -> Result<OwnedFd, Failed> {
    let failed = |error: Errno| {
        let path = verified.path.display();
        let what = format!("{path} is no longer the file that was verified; install it again");
        Failed::new("verify", what, error)
    };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = openat(CWD, path, flags, Mode::empty()).map_err(failed)?;
    let status = fstat(file.as_fd()).map_err(failed)?;
    if verified.is(&status) { Ok(file) } else { Err(failed(Errno::STALE)) }
}

/// Where a jail shows a file of the machine.
fn targets<'a>(spec: &'a JailSpec, path: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
    let binds = spec.binds.iter().filter_map(move |bind| {
        let rest = path.strip_prefix(&bind.source).ok()?;
        // A file that is bound by itself has no rest.
        let is_itself = rest.as_os_str().is_empty();
        Some(if is_itself { bind.target.clone() } else { bind.target.join(rest) })
    });
    let runtime = spec.runtime.iter().any(|folder| path.starts_with(folder));
    binds.chain(runtime.then(|| path.to_owned()))
}

/// A program to be started from its descriptor, with all that exec needs made beforehand.
#[derive(Debug)]
pub(super) struct ByDescriptor {
    file: OwnedFd,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl ByDescriptor {
    /// `None` for a program that was not verified, and for a script, whose interpreter needs its path.
    pub(super) fn new(pinned: &[Pinned], command: &Command) -> Result<Option<Self>, Failed> {
        let own = |pinned: &&Pinned| pinned.path == Path::new(command.get_program());
        let Some(pinned) = pinned.iter().find(own) else { return Ok(None) };
        let unfit = |error: io::Error| Failed::new("verify", "its first bytes", error);
        let mut start = [0; 2];
        let file = pinned.file.try_clone().map_err(unfit)?;
        let mut reader = std::fs::File::from(pinned.file.try_clone().map_err(unfit)?);
        if reader.read(&mut start).map_err(unfit)? < 2 || start == *b"#!" {
            return Ok(None);
        }
        let text = |text: &OsStr| {
            CString::new(text.as_bytes())
                .map_err(|_| Failed::new("verify", "a zero byte", Errno::INVAL))
        };
        let arguments = std::iter::once(command.get_program()).chain(command.get_args());
        let arguments = arguments.map(text).collect::<Result<_, _>>()?;
        let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let variables = variables.map(|(name, value)| {
            let mut both = name.to_owned();
            both.push("=");
            both.push(value);
            text(&both)
        });
        let environment = variables.collect::<Result<_, _>>()?;
        Ok(Some(Self { file, arguments, environment }))
    }

    /// Becomes the program; returns only if that fails.
    pub(super) fn become_it(&self) -> io::Error {
        let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
            strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        // SAFETY: both lists end with a null pointer, and their strings and the descriptor live as
        // long as this.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                self.file.as_raw_fd(),
                c"".as_ptr(),
                arguments.as_ptr(),
                environment.as_ptr(),
                libc::AT_EMPTY_PATH,
            )
        };
        io::Error::last_os_error()
    }
}
