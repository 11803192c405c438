//! Real PostgreSQL servers for tests, from Debian's package.
//!
//! [`Server`] is one of a test's own, to be killed, paused and restarted. [`SharedServer`] is one
//! for all tests of a run, for those that only need a database: starting a server takes half a
//! second, and most test runners give each test a process of its own.
//!
//! Servers live in the temporary folder, listen on a free port of the loopback interface, ask for a
//! password, and are as durable as any other: `fsync` and what belongs to it are left as they are.
//! They run as user `postgres` where the tests run as root. Whatever ends the tests, a keeper ends
//! their servers.

mod cluster;
mod folders;
mod installation;
mod processes;

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use cluster::Cluster;
use tokio::sync::OnceCell;

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Connections are broken off, transactions rolled back, files left in order.
    Fast,
    /// At once, as by a loss of power: the next start recovers from the write-ahead log.
    Immediate,
}

impl Shutdown {
    fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Immediate => "immediate",
        }
    }
}

/// How to connect to a database with separate roles.
#[derive(Debug, Clone)]
pub struct RoleUrls {
    /// The role that the database belongs to.
    pub owner: String,
    /// A role that may connect, and nothing else yet.
    pub app: String,
    /// The name of that role.
    pub app_role: String,
}

/// A server of a test's own. It ends when this is dropped, or the process is.
#[derive(Debug)]
pub struct Server {
    cluster: Arc<Cluster>,
}

impl Server {
    /// Starts one.
    ///
    /// # Errors
    /// What is missing on this machine, or what the server said.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts one with settings of its own, as in `postgresql.conf`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let settings: Vec<_> = settings.iter().map(own).collect();
        let cluster = blocking(move || Cluster::private(&settings)).await?;
        Ok(Self { cluster: Arc::new(cluster) })
    }

    /// The server that all tests of a run share.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn shared() -> anyhow::Result<SharedServer> {
        // One user per process, for as long as the process lives: a database may well be used after
        // whoever asked for it has let go of the server.
        static SHARED: OnceCell<Arc<Cluster>> = OnceCell::const_new();
        let start = || async { blocking(Cluster::shared).await.map(Arc::new) };
        let cluster = SHARED.get_or_try_init(start).await?;
        Ok(SharedServer { cluster: Arc::clone(cluster) })
    }

    /// The URL of the database `postgres`, with a superuser.
    pub fn url(&self) -> String {
        self.cluster.url("postgres")
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.cluster.port()
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.cluster.data()
    }

    /// The file that it logs to.
    pub fn log(&self) -> PathBuf {
        self.cluster.log()
    }

    /// The URL of a new, empty database, with a superuser.
    ///
    /// # Errors
    /// What the server said.
    pub async fn database(&self) -> anyhow::Result<String> {
        let cluster = Arc::clone(&self.cluster);
        blocking(move || cluster.create_database()).await
    }

    /// A new, empty database with an owner and a role for the application.
    ///
    /// # Errors
    /// What the server said.
    pub async fn database_with_roles(&self) -> anyhow::Result<RoleUrls> {
        let cluster = Arc::clone(&self.cluster);
        blocking(move || cluster.create_database_with_roles()).await
    }

    /// Runs statements as the superuser in the database of `url`; gives the rows of queries, one
    /// per line, columns separated by `|`.
    ///
    /// # Errors
    /// What the server said.
    pub async fn sql(&self, url: &str, statements: &str) -> anyhow::Result<String> {
        sql(&self.cluster, url, statements).await
    }

    /// Kills all of its processes, as a loss of power does but for the disk.
    ///
    /// # Errors
    /// That it does not run.
    pub async fn kill(&self) -> anyhow::Result<()> {
        let cluster = Arc::clone(&self.cluster);
        blocking(move || cluster.kill()).await
    }

    /// Stops all of its processes where they are (SIGSTOP): connections stay, nobody answers.
    ///
    /// # Errors
    /// That it does not run.
    pub async fn pause(&self) -> anyhow::Result<()> {
        let cluster = Arc::clone(&self.cluster);
        blocking(move || cluster.pause()).await
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// That it does not run.
    pub async fn resume(&self) -> anyhow::Result<()> {
        let cluster = Arc::clone(&self.cluster);
        blocking(move || cluster.resume()).await
    }

    /// Stops it; [`Server::restart`] starts it again.
    ///
    /// # Errors
    /// What `pg_ctl` said.
    pub async fn stop(&self, how: Shutdown) -> anyhow::Result<()> {
        let cluster = Arc::clone(&self.cluster);
        blocking(move || cluster.stop(how)).await
    }

    /// Stops it if it runs, and starts it on the same port. Returns once it accepts connections.
    ///
    /// # Errors
    /// What the server said.
    pub async fn restart(&self, how: Shutdown) -> anyhow::Result<()> {
        let cluster = Arc::clone(&self.cluster);
        blocking(move || cluster.stop(how).and_then(|()| cluster.start())).await
    }
}

/// A server that other tests use as well, so that nobody may hurt it. It ends some seconds after
/// its last user.
#[derive(Debug, Clone)]
pub struct SharedServer {
    cluster: Arc<Cluster>,
}

impl SharedServer {
    /// The URL of a new, empty database, with a superuser.
    ///
    /// # Errors
    /// What the server said.
    pub async fn database(&self) -> anyhow::Result<String> {
        let cluster = Arc::clone(&self.cluster);
        blocking(move || cluster.create_database()).await
    }

    /// A new, empty database with an owner and a role for the application.
    ///
    /// # Errors
    /// What the server said.
    pub async fn database_with_roles(&self) -> anyhow::Result<RoleUrls> {
        let cluster = Arc::clone(&self.cluster);
        blocking(move || cluster.create_database_with_roles()).await
    }

    /// As [`Server::sql`].
    ///
    /// # Errors
    /// What the server said.
    pub async fn sql(&self, url: &str, statements: &str) -> anyhow::Result<String> {
        sql(&self.cluster, url, statements).await
    }
}

async fn sql(cluster: &Arc<Cluster>, url: &str, statements: &str) -> anyhow::Result<String> {
    let (cluster, statements) = (Arc::clone(cluster), statements.to_owned());
    let database = url.rsplit('/').next().unwrap_or_default().to_owned();
    blocking(move || cluster.sql(&database, &statements)).await
}

/// All of this waits for files and processes.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("the work on the server panicked")?
}

#[cfg(test)]
mod tests;
