//! Programs that run in a folder of somebody's project as they would without a jail: they see the
//! project, their own files, their interpreter, and what else is on their `PATH`.

mod program;

use std::{
    ffi::{OsStr, OsString},
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use flexcore_plugin_protocol::{Effective, LimitName};

use self::program::{Installations, explained};
use crate::{
    Access, Containment, ContainmentError, JailError, JailSpec, Jailed, Jailer, Limits,
    SandboxPolicy, SpawnRequest,
};

/// A tmpfs that every Linux system has.
const SHARED_MEMORY: &str = "/dev/shm";
/// How many files the private `/tmp` of a program of a project can hold.
const TMP_FILES: u64 = 1_000_000;

/// What a [`ProjectJailer`] takes from its surroundings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectJailerOptions {
    /// How much must be enforced for a program to run.
    pub policy: SandboxPolicy,
    /// The home folder of the person for whom programs run, of which as little as possible is shown.
    pub home: Option<PathBuf>,
    /// The environment of the host, for the variables of it that are granted.
    pub environment: Vec<(OsString, OsString)>,
}

/// Starts programs of a project, each in a jail around its work. Clones share it.
#[derive(Debug, Clone)]
pub struct ProjectJailer {
    jailer: Arc<Jailer>,
    options: Arc<ProjectJailerOptions>,
}

/// Where a program of a project works, and what it may do there.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// What it may reach and use; where that limits nothing, generous limits keep the machine alive.
    pub effective: &'a Effective,
    /// The project, which it may read.
    pub project: &'a Path,
    /// Files and folders of it that the program may write. Those that are missing are made.
    pub writable: &'a [PathBuf],
    /// Files and folders of it that the program does not see.
    pub hidden: &'a [PathBuf],
    /// Where the program's own files are, if they are kept for it; it may read them.
    pub files: Option<&'a Path>,
    /// A private folder of the program, which is there already.
    pub work: &'a Path,
    /// A further private folder, if it has one.
    pub private: Option<&'a Path>,
    /// Which of several programs it is; empty for the only one.
    pub part: &'a str,
}

/// A program in its surroundings.
#[derive(Debug)]
pub struct Housed {
    /// The program.
    pub jailed: Jailed,
    /// What it is held by.
    pub containment: Containment,
}

/// Why a program could not be started in its surroundings.
#[derive(Debug, thiserror::Error)]
pub enum HousingError {
    /// Its rights cannot be made into a jail.
    #[error(transparent)]
    Rights(#[from] ContainmentError),
    /// A private folder cannot be made.
    #[error("cannot make a private folder in {folder}", folder = .folder.display())]
    Folder {
        /// Where.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The operator's wish is strict, and the machine does not enforce what is required.
    #[error("{source} (FC0631)")]
    NotEnforced {
        /// What is missing.
        source: JailError,
    },
    /// It cannot be started.
    #[error(transparent)]
    Start(JailError),
}

impl From<JailError> for HousingError {
    fn from(error: JailError) -> Self {
        match error {
            source @ JailError::Missing { .. } => Self::NotEnforced { source },
            error => Self::Start(error),
        }
    }
}

impl ProjectJailer {
    /// A jailer of projects that has `jailer` make the jails.
    pub fn new(jailer: Arc<Jailer>, options: ProjectJailerOptions) -> Self {
        Self { jailer, options: Arc::new(options) }
    }

    /// Starts a program. In a jail `HOME` and `TMPDIR` are private folders, unless the request sets
    /// them.
    ///
    /// # Errors
    /// [`HousingError`]; the program was not started.
    pub async fn spawn(
        &self,
        surroundings: &Surroundings<'_>,
        mut request: SpawnRequest,
    ) -> Result<Housed, HousingError> {
        let containment = self.containment(surroundings)?;
        program::name_without_climbing(&mut request);
        if !containment.is_off() {
            surroundings.add_private_folders(&mut request.environment)?;
        }
        let host = &self.options.environment;
        let value = |name: &str| {
            let found = host.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        for (name, value) in containment.environment(value) {
            request.environment.retain(|(known, _)| *known != name);
            request.environment.push((name, value));
        }
        let containment = self.show(containment, surroundings, &request);
        let jailed = containment.spawn(&self.jailer, request.clone(), &[]).await;
        let jailed = jailed.map_err(|error| explained(&request, error))?;
        Ok(Housed { jailed, containment })
    }

    fn containment(
        &self,
        surroundings: &Surroundings<'_>,
    ) -> Result<Containment, ContainmentError> {
        let effective = surroundings.effective;
        let base = Limits::generous();
        let tmp = base.memory_bytes / 2;
        let containment = Containment::new(effective, &self.options.policy, base)?;
        let containment = containment.part(surroundings.part);
        let limits = &effective.limits;
        Ok(if limits.get(LimitName::Disk).is_some() || limits.get(LimitName::Inodes).is_some() {
            containment
        } else {
            containment.tmp(tmp, TMP_FILES)
        })
    }

    fn show(
        &self,
        containment: Containment,
        surroundings: &Surroundings<'_>,
        request: &SpawnRequest,
    ) -> Containment {
        let Surroundings { project, writable, hidden, files, work, private, .. } = *surroundings;
        let mut shown = containment.show(project, Access::ReadOnly);
        for path in writable {
            // Where that is impossible, what the program says of its first write tells more.
            let _ = DirBuilder::new().recursive(true).mode(0o777).create(path);
            if path.exists() {
                shown = shown.show(path, Access::ReadWrite);
            }
        }
        for path in hidden {
            shown = shown.hide(path);
        }
        if let Some(files) = files {
            shown = shown.show(files, Access::ReadOnly);
        }
        shown = shown.show(work, Access::ReadWrite);
        if let Some(private) = private {
            // A jail has `/dev/shm` as another name of its own `/tmp`.
            shown = match private.strip_prefix(SHARED_MEMORY) {
                Ok(rest) => shown.show_at(private, Path::new("/tmp").join(rest), Access::ReadWrite),
                Err(_) => shown.show(private, Access::ReadWrite),
            };
        }
        let runtime = JailSpec::default().runtime;
        let home = self.options.home.as_deref();
        let mut installations = Installations::new(project, home, &runtime).hiding(hidden);
        installations.add_program(request);
        installations.add_search_path(request);
        installations.add_environments_of_project();
        for path in installations.into_paths() {
            shown = shown.show(path, Access::ReadOnly);
        }
        shown
    }
}

impl Containment {
    /// Shows what the program of `request` is run by: itself, its interpreter, and the installation
    /// around both. For a program that came with files of its own, which lie in `files` and are
    /// shown already; of `home` as little as possible is shown.
    #[must_use]
    pub fn show_program(
        self,
        request: &SpawnRequest,
        files: &Path,
        home: Option<&Path>,
    ) -> Containment {
        let runtime = JailSpec::default().runtime;
        let mut installations = Installations::new(files, home, &runtime);
        installations.add_program(request);
        let paths = installations.into_paths().into_iter();
        paths.fold(self, |containment, path| containment.show(path, Access::ReadOnly))
    }
}

/// What is said of a program whose memory ran out, with its limit and what can be done.
pub fn out_of_memory_text(limit_bytes: u64) -> String {
    let limit = match limit_bytes >> 20 {
        0 => format!("{limit_bytes} bytes"),
        mebibytes => format!("{mebibytes} MiB"),
    };
    format!(
        "was ended because it and what it started needed more memory than the {limit} that they may \
         have; give the step more in `limits: {{ memory: … }}`, or have it hold less at a time"
    )
}

impl Surroundings<'_> {
    /// Makes the folders for `HOME` and `TMPDIR`.
    fn add_private_folders(
        &self,
        environment: &mut Vec<(OsString, OsString)>,
    ) -> Result<(), HousingError> {
        for (name, folder) in [("HOME", "home"), ("TMPDIR", "tmp")] {
            if environment.iter().any(|(known, _)| known == OsStr::new(name)) {
                continue;
            }
            let folder = self.private.unwrap_or(self.work).join(folder);
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.map_err(|source| HousingError::Folder { folder: folder.clone(), source })?;
            environment.push((name.into(), folder.into()));
        }
        Ok(())
    }
}
