//! message-db, the event store that others measure themselves by: its own SQL, from npm.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha512};
use tokio_postgres::{Client, NoTls, Statement};

use crate::log_sqlite::workload::event_id;

const PACKAGE: &str = "@eventide/message-db@1.3.1";
const FILE: &str = "eventide-message-db-1.3.1.tgz";
/// SHA-512 of the package.
const DIGEST: &str = "9f785d13960064d5d3af61caf601b4189e9dbac81d139e382d3bd2fb6d7fc8e1\
                      0706f36e5333665d7c39bd2d39be97ba452ba1cd3472e56834abb73555f260f8";
/// Its files in the order in which its own script installs them.
const FILES: [&str; 22] = [
    "roles/message-store",
    "schema/message-store",
    "extensions/pgcrypto",
    "tables/messages",
    "types/message",
    "functions/message-store-version",
    "functions/hash-64",
    "functions/acquire-lock",
    "functions/category",
    "functions/is-category",
    "functions/id",
    "functions/cardinal-id",
    "functions/stream-version",
    "functions/write-message",
    "functions/get-stream-messages",
    "functions/get-category-messages",
    "functions/get-last-stream-message",
    "indexes/messages-id",
    "indexes/messages-stream",
    "indexes/messages-category",
    "views/stream-summary",
    "privileges/schema",
];

/// The package, fetched once and checked each time.
///
/// # Errors
/// That npm's registry cannot be reached, or that it has another package.
pub(crate) fn package(cache: &Path) -> anyhow::Result<PathBuf> {
    let file = cache.join(FILE);
    if !file.exists() {
        std::fs::create_dir_all(cache)?;
        let run = Command::new("npm").args(["pack", PACKAGE]).current_dir(cache).output();
        let run = run.context("npm")?;
        ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
    let digest = hex::encode(Sha512::digest(std::fs::read(&file)?));
    ensure!(digest == DIGEST, "{} is not the package that was measured before", file.display());
    Ok(file)
}

/// Connections to a database with message-db in it.
pub(crate) struct MessageDb {
    clients: Vec<(Arc<Client>, Statement)>,
    has_one_category: bool,
    turns: Vec<i64>,
}

impl MessageDb {
    /// Installs it.
    pub(crate) async fn open(
        url: &str,
        package: &Path,
        work: &Path,
        (clients, has_one_category): (usize, bool),
    ) -> anyhow::Result<Self> {
        let run = Command::new("tar").arg("xzf").arg(package).current_dir(work).status()?;
        ensure!(run.success(), "the package cannot be unpacked");
        let client = connect(url).await?;
        for file in FILES {
            let path = work.join("package/database").join(file).with_extension("sql");
            // Some of its files name its own things without their schema.
            let sql = format!(
                "SET client_min_messages = error; SET search_path = message_store, public; {}",
                std::fs::read_to_string(&path)?
            );
            client.batch_execute(&sql).await.with_context(|| file.to_owned())?;
        }
        let mut opened = Vec::new();
        for _ in 0..clients {
            let client = connect(url).await?;
            client.batch_execute("SET search_path = message_store, public").await?;
            let sql = "SELECT write_message($1::varchar, $2::varchar, $3::varchar, \
                       $4::text::jsonb, NULL, $5::bigint)";
            let statement = client.prepare(sql).await?;
            opened.push((Arc::new(client), statement));
        }
        Ok(Self { clients: opened, has_one_category, turns: vec![0; clients] })
    }

    /// Writes a slice with all connections at once, and gives how long that took.
    pub(crate) async fn slice(&mut self, messages: usize) -> anyhow::Result<Duration> {
        let each = messages / self.clients.len();
        let start = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for (index, (client, statement)) in self.clients.iter().enumerate() {
            let (client, statement) = (Arc::clone(client), statement.clone());
            let category =
                if self.has_one_category { "bench".to_owned() } else { format!("bench{index}") };
            let first = self.turns[index];
            self.turns[index] += i64::try_from(each)?;
            tasks.spawn(write(client, statement, category, (index, first, each)));
        }
        while let Some(finished) = tasks.join_next().await {
            finished??;
        }
        Ok(start.elapsed())
    }
}

/// One connection: 16 streams in turn, each write at its exact version.
async fn write(
    client: Arc<Client>,
    statement: Statement,
    category: String,
    (index, first, each): (usize, i64, usize),
) -> anyhow::Result<()> {
    let data = format!("{{\"p\":\"{}\"}}", "x".repeat(248));
    for turn in first..first + i64::try_from(each)? {
        let number = (index as u64) << 40 | turn.unsigned_abs();
        let id = event_id(number).0.to_string();
        let stream = format!("{category}-{index}x{}", turn % 16);
        let expected = turn / 16 - 1;
        client.query_one(&statement, &[&id, &stream, &"StepStarted", &data, &expected]).await?;
    }
    Ok(())
}

/// A connection without encryption, as all sides have here.
pub(crate) async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
