//! The other side: the same rows into a table with the same columns and indexes, and nothing else.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_postgres::{
    Client, Statement,
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};

use super::message_db::connect;
use crate::log_sqlite::workload::{event_id, occurred_at, payload};

/// The columns and indexes of the event log, by itself.
const TABLE: &str = "CREATE TABLE bare (position bigserial PRIMARY KEY, stream_id bigint NOT NULL, \
    version bigint NOT NULL, occurred_at bigint NOT NULL, committed_at bigint NOT NULL, \
    type_id int NOT NULL, context_id int NOT NULL, id uuid NOT NULL, correlation uuid, \
    causation uuid, sealing_key uuid, leaf bytea NOT NULL, payload bytea NOT NULL, \
    UNIQUE (stream_id, version)); \
    ALTER TABLE bare ALTER leaf SET STORAGE PLAIN, ALTER payload SET STORAGE EXTERNAL";
const INSERT: &str = "INSERT INTO bare (stream_id, version, occurred_at, committed_at, type_id, \
    context_id, id, leaf, payload) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const COPY: &str = "COPY bare (position, stream_id, version, occurred_at, committed_at, type_id, \
    context_id, id, correlation, causation, sealing_key, leaf, payload) FROM STDIN BINARY";

/// Connections to a database with that table.
pub(crate) struct Bare {
    clients: Vec<(Arc<Client>, Statement)>,
    turns: Vec<i64>,
    copied: i64,
}

impl Bare {
    pub(crate) async fn open(url: &str, clients: usize) -> anyhow::Result<Self> {
        connect(url).await?.batch_execute(TABLE).await?;
        let mut opened = Vec::new();
        for _ in 0..clients {
            let client = connect(url).await?;
            let statement = client.prepare(INSERT).await?;
            opened.push((Arc::new(client), statement));
        }
        Ok(Self { clients: opened, turns: vec![0; clients], copied: 0 })
    }

    /// One row per commit with all connections at once; gives how long each took, and all.
    pub(crate) async fn slice(&mut self, rows: usize) -> anyhow::Result<(Duration, Vec<f64>)> {
        let each = rows / self.clients.len();
        let start = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for (index, (client, statement)) in self.clients.iter().enumerate() {
            let (client, statement) = (Arc::clone(client), statement.clone());
            let first = self.turns[index];
            self.turns[index] += i64::try_from(each)?;
            tasks.spawn(insert(client, statement, i64::try_from(index)?, (first, each)));
        }
        let mut latencies = Vec::new();
        while let Some(finished) = tasks.join_next().await {
            latencies.extend(finished??);
        }
        Ok((start.elapsed(), latencies))
    }

    /// One binary COPY of so many rows, in runs of `run` rows of one of 1,000 streams.
    pub(crate) async fn copy(&mut self, rows: usize, run: usize) -> anyhow::Result<Duration> {
        let types = [
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT4,
            Type::INT4,
            Type::UUID,
            Type::UUID,
            Type::UUID,
            Type::UUID,
            Type::BYTEA,
            Type::BYTEA,
        ];
        let client = &self.clients[0].0;
        let run = i64::try_from(run)?;
        let start = Instant::now();
        let mut writer = pin!(BinaryCopyInWriter::new(client.copy_in(COPY).await?, &types));
        for number in self.copied..self.copied + i64::try_from(rows)? {
            let (turn, offset) = (number / run, number % run);
            let (stream, version) = (1 + turn % 1_000, turn / 1_000 * run + offset + 1);
            let (position, at) = (number + 1, occurred_at(number.unsigned_abs()).as_micros());
            let (id, leaf) = (event_id(number.unsigned_abs()).0, [0x5a_u8; 32]);
            let none = None::<uuid::Uuid>;
            let row: [&(dyn ToSql + Sync); 13] = [
                &position,
                &stream,
                &version,
                &at,
                &at,
                &1_i32,
                &1_i32,
                &id,
                &none,
                &none,
                &none,
                &leaf.as_slice(),
                &payload(number.unsigned_abs()),
            ];
            writer.as_mut().write(&row).await?;
        }
        writer.finish().await?;
        self.copied += i64::try_from(rows)?;
        Ok(start.elapsed())
    }
}

async fn insert(
    client: Arc<Client>,
    statement: Statement,
    index: i64,
    (first, each): (i64, usize),
) -> anyhow::Result<Vec<f64>> {
    let mut latencies = Vec::new();
    for turn in first..first + i64::try_from(each)? {
        let number = (index << 40 | turn).unsigned_abs();
        let (stream, version) = (index * 16 + turn % 16, turn / 16 + 1);
        let (at, id, leaf) = (occurred_at(number).as_micros(), event_id(number).0, [0x5a_u8; 32]);
        let payload = payload(number);
        let start = Instant::now();
        let row: [&(dyn ToSql + Sync); 9] =
            [&stream, &version, &at, &at, &1_i32, &1_i32, &id, &leaf.as_slice(), &payload];
        client.execute(&statement, &row).await?;
        latencies.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(latencies)
}
