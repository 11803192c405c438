//! One running server in its folder.

use std::{
    fs::{self, File},
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::Signal;

use super::{
    RoleUrls, Shutdown,
    folders::{Folders, lock_file},
    installation::{Installation, finished, run},
    processes,
};

/// How long a server may take to accept connections, recovery included.
const PATIENCE: Duration = Duration::from_mins(1);
/// What every test server is configured with; all that makes commits durable stays as it is. After a
/// crash it flushes the file system at once, and not one by one some thousand files: a restart takes
/// a tenth of the time.
const CONFIGURATION: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
recovery_init_sync_method = syncfs
log_line_prefix = '%m [%p] %d '
";
/// Ends a server when its last user is gone.
const KEEPER: &str = include_str!("keeper.sh");
/// The shared server's folder.
const SHARED: &str = "shared";
/// Seconds for which the shared server waits for the next user.
const LINGER: u32 = 15;

/// A server that runs, or that did.
#[derive(Debug)]
pub(super) struct Cluster {
    folder: PathBuf,
    port: u16,
    password: String,
    installation: Installation,
    databases: AtomicU64,
    /// Locked (shared) as long as this process uses the server.
    _users: File,
}

impl Cluster {
    /// A server of its own.
    pub(super) fn private(settings: &[(String, String)]) -> anyhow::Result<Self> {
        let installation = Installation::find()?;
        let folders = Folders::lock()?;
        sweep(&folders)?;
        let unique = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        let folder = folders.server(&format!("private-{}", &unique[..13]));
        let users = lock_file(&folder.with_extension("users"))?;
        users.lock_shared()?;
        start_keeper(&folder, 0)?;
        folders.template(&installation)?.copy(&folder, &configuration(settings))?;
        // The rest takes longer and concerns nobody else.
        drop(folders);
        let port = start_anywhere(&installation, &folder)?;
        Self::in_folder(folder, port, installation, users)
    }

    /// The server that all tests of this user share; the first who wants it starts it.
    pub(super) fn shared() -> anyhow::Result<Self> {
        let installation = Installation::find()?;
        drop(Folders::lock()?);
        let folder = Folders::path().join(SHARED);
        let users = lock_file(&folder.with_extension("users"))?;
        // Waits if its keeper is just ending it. This comes before the other lock, which a keeper
        // must never wait for.
        users.lock_shared()?;
        let folders = Folders::lock()?;
        let kept = lock_file(&folder.with_extension("keeper"))?.try_lock_shared().is_err();
        let running = processes::postmaster(&folder.join("data")).and_then(|_| port(&folder).ok());
        if running.is_none() {
            remove(&folder)?;
            folders.template(&installation)?.copy(&folder, &configuration(&[]))?;
        }
        if !kept {
            start_keeper(&folder, LINGER)?;
        }
        let port = match running {
            Some(port) => port,
            None => start_anywhere(&installation, &folder)?,
        };
        Self::in_folder(folder, port, installation, users)
    }

    fn in_folder(
        folder: PathBuf,
        port: u16,
        installation: Installation,
        users: File,
    ) -> anyhow::Result<Self> {
        let password = fs::read_to_string(folder.join("password"))?;
        let databases = AtomicU64::new(0);
        Ok(Self { folder, port, password, installation, databases, _users: users })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        log(&self.folder)
    }

    pub(super) fn url(&self, database: &str) -> String {
        self.url_of("flexcore", &self.password, database)
    }

    fn url_of(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgresql://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// A database that nobody else has.
    pub(super) fn create_database(&self) -> anyhow::Result<String> {
        let name = self.unique("test");
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// A database that belongs to one role, and another role that may connect to it.
    pub(super) fn create_database_with_roles(&self) -> anyhow::Result<RoleUrls> {
        let (name, owner, app) = (self.unique("test"), self.unique("owner"), self.unique("app"));
        let (of_owner, of_app) = (format!("{owner}_password"), format!("{app}_password"));
        self.sql(
            "postgres",
            &format!(
                "CREATE ROLE {owner} LOGIN PASSWORD '{of_owner}';\n\
                 CREATE ROLE {app} LOGIN PASSWORD '{of_app}';\n\
                 CREATE DATABASE {name} OWNER {owner};"
            ),
        )?;
        Ok(RoleUrls {
            owner: self.url_of(&owner, &of_owner, &name),
            app: self.url_of(&app, &of_app, &name),
            app_role: app,
        })
    }

    /// Several processes may share the server, so the process is in the name.
    fn unique(&self, kind: &str) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        format!("{kind}_{}_{:x}_{number}", std::process::id(), std::ptr::from_ref(self).addr())
    }

    /// Runs statements as the superuser; gives the rows of queries, one per line, unaligned.
    pub(super) fn sql(&self, database: &str, statements: &str) -> anyhow::Result<String> {
        let mut command = self.installation.client("psql");
        command.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"]);
        command.args(["--set=ON_ERROR_STOP=1", "--host=127.0.0.1", "--username=flexcore"]);
        command.arg(format!("--port={}", self.port)).arg(format!("--dbname={database}"));
        // Not among the arguments, where everybody could read it.
        command.env("PGPASSWORD", &self.password).env("PGCONNECT_TIMEOUT", "20");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("psql; run `make setup`")?;
        let mut input = child.stdin.take().context("psql has no standard input")?;
        // It reads all before it answers much: statements of tests are short.
        input.write_all(statements.as_bytes())?;
        drop(input);
        Ok(finished("psql", &child.wait_with_output()?)?.trim_end().to_owned())
    }

    pub(super) fn kill(&self) -> anyhow::Result<()> {
        processes::kill(&self.data())?;
        tidy(&self.data())
    }

    pub(super) fn pause(&self) -> anyhow::Result<()> {
        processes::signal_all(&self.data(), Signal::STOP).map(drop)
    }

    pub(super) fn resume(&self) -> anyhow::Result<()> {
        processes::signal_all(&self.data(), Signal::CONT).map(drop)
    }

    pub(super) fn stop(&self, how: Shutdown) -> anyhow::Result<()> {
        if processes::postmaster(&self.data()).is_none() {
            return Ok(());
        }
        let mut command = self.installation.server("pg_ctl");
        command.args(["stop", "--wait", "--silent", "--mode", how.name()]);
        run(command.arg("--pgdata").arg(self.data())).map(drop)
    }

    pub(super) fn start(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match start(&self.installation, &self.folder, self.port)? {
                Started::Yes => return Ok(()),
                // The port was free for a moment, and another process may hold it for another.
                Started::PortTaken if Instant::now() < deadline => std::thread::yield_now(),
                Started::PortTaken => bail!("port {} is taken", self.port),
            }
        }
    }
}

fn configuration(settings: &[(String, String)]) -> String {
    let lines =
        settings.iter().map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")));
    CONFIGURATION.chars().chain(lines.collect::<String>().chars()).collect()
}

fn log(folder: &Path) -> PathBuf {
    folder.join("data/server.log")
}

/// The port of the server that runs in `folder`.
fn port(folder: &Path) -> anyhow::Result<u16> {
    let file = fs::read_to_string(folder.join("data/postmaster.pid"))?;
    let line = file.lines().nth(3).context("postmaster.pid has no port yet")?;
    Ok(line.trim().parse()?)
}

enum Started {
    Yes,
    PortTaken,
}

fn start_anywhere(installation: &Installation, folder: &Path) -> anyhow::Result<u16> {
    for _ in 0..20 {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if let Started::Yes = start(installation, folder, port)? {
            return Ok(port);
        }
    }
    bail!("every port that was free a moment ago was taken when the server started")
}

/// Starts a server and waits until it accepts connections.
fn start(installation: &Installation, folder: &Path, port: u16) -> anyhow::Result<Started> {
    let said_before = fs::metadata(log(folder)).map_or(0, |log| log.len());
    let mut command = installation.server("pg_ctl");
    command.args(["start", "--wait", "--silent"]).arg(format!("--timeout={}", PATIENCE.as_secs()));
    command.arg("--pgdata").arg(folder.join("data")).arg("--log").arg(log(folder));
    command.arg("--options").arg(format!("-p {port}"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().context("setpriv or pg_ctl; run `make setup`")?;
    if status.success() {
        return Ok(Started::Yes);
    }
    let said = fs::read(log(folder)).unwrap_or_default();
    let said = said.get(usize::try_from(said_before)?..).unwrap_or_default();
    let said = String::from_utf8_lossy(said);
    if said.contains("Address already in use") {
        return Ok(Started::PortTaken);
    }
    bail!("the PostgreSQL server of the tests did not start ({status}): {}", said.trim())
}

fn start_keeper(folder: &Path, linger: u32) -> anyhow::Result<()> {
    let keeper = lock_file(&folder.with_extension("keeper"))?;
    // A session of its own: it must outlive whatever ends the tests. Nobody waits for it; the
    // first process of the machine does once we are gone.
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", KEEPER, "keeper"]).arg(folder).arg(linger.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
    command.spawn().context("setsid; run `make setup`")?;
    // Until it holds its lock, nobody would end the server if we were killed now.
    let deadline = Instant::now() + PATIENCE;
    while keeper.try_lock_shared().is_ok() {
        keeper.unlock()?;
        if Instant::now() > deadline {
            bail!("the keeper of {} did not start; run `make setup`", folder.display());
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// What a killed server leaves, and what its next start would take for a server that runs as long as
/// the first process of the machine has not taken note of the dead one: its mark, and some bytes of
/// shared memory whose number is in it.
fn tidy(data: &Path) -> anyhow::Result<()> {
    let mark = data.join("postmaster.pid");
    let text = fs::read_to_string(&mark)?;
    let memory = text.lines().nth(6).and_then(|line| line.split_whitespace().nth(1));
    if let Some(memory) = memory {
        run(Command::new("ipcrm").args(["--shmem-id", memory]))?;
    }
    Ok(fs::remove_file(mark)?)
}

/// Ends servers that neither a user nor a keeper is left of.
fn sweep(folders: &Folders) -> anyhow::Result<()> {
    for folder in folders.private_servers()? {
        let users = lock_file(&folder.with_extension("users"))?;
        let keeper = lock_file(&folder.with_extension("keeper"))?;
        if users.try_lock().is_ok() && keeper.try_lock().is_ok() {
            remove(&folder)?;
            for file in ["users", "keeper"] {
                fs::remove_file(folder.with_extension(file))?;
            }
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    if processes::postmaster(&folder.join("data")).is_some() {
        processes::kill(&folder.join("data"))?;
        tidy(&folder.join("data"))?;
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| folder.display().to_string())
        }
        _ => Ok(()),
    }
}
