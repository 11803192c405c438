//! What a program needs to see of the machine to run in a folder of somebody's project as it would
//! without a jail: the project, its own files, its interpreter, and what else is on its `PATH`.

mod program;

use std::{
    ffi::OsString,
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use self::program::Installations;
pub use self::program::explained;
use crate::{Access, Containment, JailSpec, SpawnRequest};

/// The folders around a program of a project.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The project, which it may read.
    pub project: &'a Path,
    /// Files and folders of it that the program may write.
    pub writable: &'a [PathBuf],
    /// Folders of it that the program does not see.
    pub hidden: &'a [PathBuf],
    /// A private folder of the program, which is there already.
    pub work: &'a Path,
    /// The home folder of the person for whom it runs, of which as little as possible is shown.
    pub home: Option<&'a Path>,
}

impl Surroundings<'_> {
    /// Shows the program of `request` what it needs, besides what `containment` shows already. The
    /// writable folders are made where they are missing.
    #[must_use]
    pub fn show(&self, containment: Containment, request: &SpawnRequest) -> Containment {
        let Self { project, writable, hidden, work, home } = *self;
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
        shown = shown.show(work, Access::ReadWrite);
        let runtime = JailSpec::default().runtime;
        let mut installations = Installations::new(project, home, &runtime);
        installations.add_program(request);
        installations.add_search_path(request);
        installations.add_environments_of_project();
        for path in installations.into_paths() {
            shown = shown.show(path, Access::ReadOnly);
        }
        shown
    }

    /// Makes the private folders for `HOME` and `TMPDIR`, and gives back what of the two
    /// `environment` does not set itself.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn private_variables(
        &self,
        environment: &[(OsString, OsString)],
    ) -> io::Result<Vec<(OsString, OsString)>> {
        let mut variables = Vec::new();
        for (name, folder) in [("HOME", "home"), ("TMPDIR", "tmp")] {
            if environment.iter().any(|(known, _)| known == name) {
                continue;
            }
            let folder = self.work.join(folder);
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            variables.push((name.into(), folder.into()));
        }
        Ok(variables)
    }
}
