//! Environments of Python packages: locked, downloaded by pip, put together here, and kept like any
//! other plugin.
//!
//! A wheel is an archive, and installing one means to put its files in their places; so nothing of a
//! package is executed while it is installed, and what comes out depends on the wheels and the
//! interpreter alone. There are no absolute paths in it but the interpreter's, so that it can lie at
//! a place that is named by its own digest.

mod environment;
mod fetch;
mod interpreter;
mod lock;
mod run;
mod scripts;
mod wheel;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use flexcore_sandbox::{Jailer, ProjectJailer, ProjectJailerOptions, SandboxMode, SandboxPolicy};

pub(crate) use environment::{add, collect, compiled};
pub(crate) use fetch::fetch;
pub(crate) use interpreter::Interpreter;

/// What of the environment pip may need: where its index is, and the way there.
const FOR_PIP: [&str; 12] = [
    "HOME",
    "LANG",
    "PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// What building Python environments takes.
#[derive(Clone)]
pub struct PythonTools {
    /// Starts pip and the compiler.
    pub jailer: Arc<Jailer>,
    /// How what needs no network is held.
    pub policy: SandboxPolicy,
    /// The environment of this process; pip is given what it needs of it.
    pub environment: BTreeMap<String, String>,
    /// The interpreter: a path, a name on the `PATH`, or a version such as `3.11`. Without it,
    /// `python3`.
    pub python: Option<String>,
    /// The lock file of the project; without it every install resolves anew.
    pub lock_file: Option<PathBuf>,
    /// Where folders for work can be made.
    pub work: PathBuf,
}

impl std::fmt::Debug for PythonTools {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PythonTools").field("python", &self.python).finish_non_exhaustive()
    }
}

/// A package and its exact version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
}

impl Package {
    /// A package by its name and version, which become parts of an argument and of a path.
    pub(crate) fn new(name: &str, version: &str) -> Option<Self> {
        let legal = |text: &str, others: &[u8]| {
            let starts = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
            let all = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
            starts && text.len() <= 64 && text.bytes().all(all)
        };
        (legal(name, b"._-") && legal(version, b".+_-"))
            .then(|| Self { name: normalized(name), version: version.to_owned() })
    }
}

impl std::fmt::Display for Package {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}=={}", self.name, self.version)
    }
}

/// The one form of a package's name, as the index compares them.
pub(crate) fn normalized(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

impl PythonTools {
    /// Starts pip, which has to reach its index.
    fn trusted(&self) -> ProjectJailer {
        self.project_jailer(SandboxPolicy { mode: SandboxMode::Off, ..SandboxPolicy::default() })
    }

    /// Starts what has to read packages and nothing else.
    fn held(&self) -> ProjectJailer {
        self.project_jailer(self.policy.clone())
    }

    fn project_jailer(&self, policy: SandboxPolicy) -> ProjectJailer {
        let home = self.environment.get("HOME").filter(|home| home.starts_with('/'));
        let options =
            ProjectJailerOptions { policy, home: home.map(PathBuf::from), environment: Vec::new() };
        ProjectJailer::new(Arc::clone(&self.jailer), options)
    }

    fn pip_environment(&self) -> Vec<(OsString, OsString)> {
        let wanted = |name: &str| FOR_PIP.contains(&name) || name.starts_with("PIP_");
        let mut environment: Vec<(OsString, OsString)> = self
            .environment
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        if !self.environment.contains_key("PATH") {
            environment.push(("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()));
        }
        environment
    }
}

/// A private folder for work, removed at the end.
pub(crate) struct Workshop(PathBuf);

impl Workshop {
    pub(crate) fn new(parent: &Path) -> std::io::Result<Self> {
        use std::{
            os::unix::fs::DirBuilderExt as _,
            sync::atomic::{AtomicU64, Ordering},
        };
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        std::fs::create_dir_all(parent)?;
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("python-{}-{number}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What is left would only be downloads that can be had again.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_have_one_name_and_no_way_out() {
        let package = Package::new("Tap_JSONL.x", "0.3.1").unwrap();
        assert_eq!(package.to_string(), "tap-jsonl-x==0.3.1");
        for (name, version) in [
            ("", "1"),
            ("a", ""),
            ("../a", "1"),
            ("--index-url", "1"),
            ("a b", "1"),
            ("a", "1/2"),
            ("a", "*"),
        ] {
            assert_eq!(Package::new(name, version), None, "{name} {version}");
        }
    }
}
