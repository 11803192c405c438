//! `plugins.lock`: every file of every environment, with its digest. It belongs to the project and
//! under version control, so that everybody has the same plugins.

use std::{collections::BTreeMap, fmt::Write as _, io, path::Path};

use flexcore_plugin_protocol::ContentDigest;
use serde::Deserialize;

use super::{Interpreter, Package};
use crate::error::StoreError;

const VERSION: u32 = 1;
const HEAD: &str = "# Written by `flexcore plugin install`. Keep it under version control: with it everybody has the same \
files.\n";

/// A wheel of an environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LockedFile {
    pub(crate) file: String,
    pub(crate) sha256: ContentDigest,
}

/// For whom an environment is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    package: String,
    python: String,
    machine: String,
}

/// The lock file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lock(BTreeMap<Target, (String, Vec<LockedFile>)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LockText {
    lock: u32,
    #[serde(default)]
    environment: Vec<EnvironmentText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvironmentText {
    package: String,
    version: String,
    python: String,
    machine: String,
    files: Vec<FileText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    file: String,
    sha256: String,
}

impl Lock {
    /// Reads a lock file; an empty one if there is none.
    pub(crate) fn read(path: &Path) -> Result<Self, StoreError> {
        match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(wrong(path, error.to_string())),
            Ok(text) => Self::parse(&text).map_err(|problem| wrong(path, problem)),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let read: LockText = toml::from_str(text).map_err(|error| error.to_string())?;
        if read.lock != VERSION {
            return Err(format!("it is of version {}, this FlexCore reads {VERSION}", read.lock));
        }
        let mut lock = Self::default();
        for one in read.environment {
            let package = Package::new(&one.package, &one.version);
            let package = package.ok_or_else(|| format!("`{}` is no package", one.package))?;
            let files: Result<Vec<_>, _> = one.files.into_iter().map(locked_file).collect();
            let target = Target { package: package.name, python: one.python, machine: one.machine };
            if lock.0.insert(target, (package.version, files?)).is_some() {
                return Err(format!("`{}` is there twice for the same Python", one.package));
            }
        }
        Ok(lock)
    }

    /// The files of a package, if they are locked for this interpreter and this version.
    pub(crate) fn files(&self, package: &Package, python: &Interpreter) -> Option<&[LockedFile]> {
        let (version, files) = self.0.get(&target(package, python))?;
        (*version == package.version).then_some(files)
    }

    /// Locks the files of a package; another version of it was locked before and is no more.
    pub(crate) fn set(
        &mut self,
        package: &Package,
        python: &Interpreter,
        mut files: Vec<LockedFile>,
    ) {
        files.sort();
        self.0.insert(target(package, python), (package.version.clone(), files));
    }

    /// Writes the file as a whole, or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), StoreError> {
        let unfinished = path.with_extension(format!("lock.{}", std::process::id()));
        let written = std::fs::write(&unfinished, self.text())
            .and_then(|()| std::fs::File::open(&unfinished)?.sync_all())
            .and_then(|()| std::fs::rename(&unfinished, path));
        written.map_err(|error| {
            // The one that was there before is still there.
            let _ = std::fs::remove_file(&unfinished);
            wrong(path, format!("it cannot be written: {error}"))
        })
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}lock = {VERSION}\n");
        for (Target { package, python, machine }, (version, files)) in &self.0 {
            // A `String` takes every write.
            let _ = write!(
                text,
                "\n[[environment]]\npackage = \"{package}\"\nversion = \"{version}\"\n\
                 python = \"{python}\"\nmachine = \"{machine}\"\nfiles = [\n"
            );
            for LockedFile { file, sha256 } in files {
                let _ = writeln!(text, "  {{ file = \"{file}\", sha256 = \"{sha256}\" }},");
            }
            text.push_str("]\n");
        }
        text
    }
}

fn target(package: &Package, python: &Interpreter) -> Target {
    Target {
        package: package.name.clone(),
        python: python.version.clone(),
        machine: python.machine.clone(),
    }
}

fn locked_file(text: FileText) -> Result<LockedFile, String> {
    let FileText { file, sha256 } = text;
    let sha256 = ContentDigest::parse(&sha256).ok_or_else(|| format!("`{sha256}` is no digest"))?;
    if is_file_name(&file) {
        Ok(LockedFile { file, sha256 })
    } else {
        Err(format!("`{file}` is no wheel"))
    }
}

/// A wheel's name becomes part of a path and of this file.
pub(crate) fn is_file_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._+!-".contains(&byte);
    name.strip_suffix(".whl").is_some()
        && name.len() <= 255
        && !name.starts_with(['.', '-'])
        && name.bytes().all(legal)
}

fn wrong(path: &Path, problem: String) -> StoreError {
    StoreError::Lock { path: path.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python() -> Interpreter {
        Interpreter {
            asked: "python3".into(),
            program: "/usr/bin/python3.11".into(),
            version: "3.11".into(),
            release: "3.11.2".into(),
            machine: "linux-x86_64".into(),
            cache_tag: "cpython-311".into(),
        }
    }

    fn file(name: &str) -> LockedFile {
        LockedFile { file: name.to_owned(), sha256: ContentDigest::of(name.as_bytes()) }
    }

    #[test]
    fn a_lock_is_read_as_it_was_written() {
        let mut lock = Lock::default();
        let package = Package::new("tap-x", "1.0").unwrap();
        lock.set(
            &package,
            &python(),
            vec![file("b-1-py3-none-any.whl"), file("a-1+cpu-py3-none-any.whl")],
        );
        let again = Lock::parse(&lock.text()).unwrap();
        assert_eq!(again, lock);
        assert_eq!(again.files(&package, &python()).map(<[_]>::len), Some(2));
        assert_eq!(again.files(&Package::new("tap-x", "1.1").unwrap(), &python()), None);
        let newer = Interpreter { version: "3.12".into(), ..python() };
        assert_eq!(again.files(&package, &newer), None);
    }

    #[test]
    fn what_is_no_lock_is_refused() {
        let environment =
            "[[environment]]\npackage=\"a\"\nversion=\"1\"\npython=\"3\"\nmachine=\"m\"\n";
        let digest = "0".repeat(64);
        for text in [
            String::new(),
            "lock = 2".to_owned(),
            "lock = 1\nx = 1".to_owned(),
            "<<<<<<< HEAD\nlock = 1".to_owned(),
            format!("lock = 1\n{environment}files = []\n{environment}files = []\n"),
            format!(
                "lock = 1\n{environment}files = [{{ file = \"../a.whl\", sha256 = \"{digest}\" }}]"
            ),
            format!(
                "lock = 1\n{environment}files = [{{ file = \"a.tar.gz\", sha256 = \"{digest}\" }}]"
            ),
            format!("lock = 1\n{environment}files = [{{ file = \"a.whl\", sha256 = \"0\" }}]"),
        ] {
            assert!(Lock::parse(&text).is_err(), "{text}");
        }
    }
}
