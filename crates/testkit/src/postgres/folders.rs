//! Where test servers live: one folder per user and machine, with a template that is made once.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use super::installation::{Account, Installation, run};

/// The folder of all test servers of this user, locked while one is being made or looked for.
#[derive(Debug)]
pub(super) struct Folders {
    path: PathBuf,
    _lock: File,
}

impl Folders {
    /// Where they are.
    pub(super) fn path() -> PathBuf {
        let user = rustix::process::getuid();
        std::env::temp_dir().join(format!("flexcore-testkit-{}", user.as_raw()))
    }

    /// Waits for the lock, creating the folder if need be.
    pub(super) fn lock() -> anyhow::Result<Self> {
        let path = Self::path();
        match DirBuilder::new().mode(0o755).create(&path) {
            Ok(()) => fs::set_permissions(&path, Permissions::from_mode(0o755))?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
        let found = fs::symlink_metadata(&path)?;
        if !found.is_dir() || found.uid() != rustix::process::getuid().as_raw() {
            bail!("{} belongs to somebody else", path.display());
        }
        let lock = lock_file(&path.join("lock"))?;
        lock.lock().with_context(|| path.display().to_string())?;
        Ok(Self { path, _lock: lock })
    }

    /// The path of a server.
    pub(super) fn server(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The template: an initialised cluster and its password.
    pub(super) fn template(&self, installation: &Installation) -> anyhow::Result<Template> {
        // It is not flushed when it is made, so it must not be believed after a loss of power.
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let name = format!("template-{}-{}", installation.version(), boot.trim());
        let path = self.path.join(&name);
        if !path.is_dir() {
            self.remove_templates()?;
            let draft = self.path.join("template-draft");
            make(&draft, installation)?;
            fs::rename(&draft, &path)?;
        }
        Ok(Template { path })
    }

    /// The folders of private servers that somebody started.
    pub(super) fn private_servers(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let private = |stem: &std::ffi::OsStr| stem.to_string_lossy().starts_with("private-");
            if path.extension().is_some_and(|kind| kind == "users")
                && path.file_stem().is_some_and(private)
            {
                found.push(path.with_extension(""));
            }
        }
        Ok(found)
    }

    fn remove_templates(&self) -> anyhow::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("template-") {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// A cluster to be copied, as making one takes seconds.
#[derive(Debug)]
pub(super) struct Template {
    path: PathBuf,
}

impl Template {
    /// A new cluster in `folder` beside its password, with lines for its configuration.
    pub(super) fn copy(&self, folder: &Path, configuration: &str) -> anyhow::Result<()> {
        DirBuilder::new().mode(0o755).create(folder)?;
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--reflink=auto", "--"]);
        run(copy.arg(self.path.join("data")).arg(self.path.join("password")).arg(folder))?;
        let configuration_file = folder.join("data/postgresql.conf");
        let mut file = OpenOptions::new().append(true).open(configuration_file)?;
        Ok(file.write_all(configuration.as_bytes())?)
    }
}

fn make(folder: &Path, installation: &Installation) -> anyhow::Result<()> {
    DirBuilder::new().mode(0o755).create(folder)?;
    let password = fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().replace('-', "");
    let password_file = folder.join("password");
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&password_file)?;
    file.write_all(password.as_bytes())?;
    let data = folder.join("data");
    DirBuilder::new().mode(0o700).create(&data)?;
    if let Some(Account { user, group }) = installation.account() {
        std::os::unix::fs::chown(&data, Some(user), Some(group))?;
        std::os::unix::fs::chown(&password_file, Some(user), Some(group))?;
    }
    let mut command = installation.server("initdb");
    command.args(["--username=flexcore", "--auth=scram-sha-256", "--encoding=UTF8"]);
    command.args(["--locale=C.UTF-8", "--no-sync"]);
    command.arg("--pwfile").arg(&password_file).arg("--pgdata").arg(&data);
    run(&mut command)?;
    Ok(())
}

/// Opens a file to lock it.
pub(super) fn lock_file(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).with_context(|| path.display().to_string())
}
