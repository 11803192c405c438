//! The rows as projections read and write them.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use async_trait::async_trait;
use deadpool_postgres::{Object, Transaction};
use flexcore_eventsourcing::{Epoch, Hash};
use flexcore_ports::{
    ApplyError, Checkpoint, Fold, ProjectedRows, ProjectionStatus, RowKey, Stopped, StoreError,
    ViewRow,
};
use futures_util::future::try_join_all;
use tokio_postgres::{Error, Row};

use super::{
    GENERATION, PostgresViewStore, borrow,
    columns::{count, get, text},
    data_streams, executions, metrics, notes, pipelines, placed, plugins,
    upsert::Change,
};
use crate::error::{corrupt, store_error};

/// Rows of one kind, to be read or written together.
macro_rules! of_kind {
    ($all:expr, $kind:path) => {
        $all.iter().filter_map(|one| if let $kind(inner) = one { Some(inner) } else { None })
    };
}

/// A day, in microseconds.
const DAY: i64 = 86_400_000_000;

#[async_trait]
impl ProjectedRows for PostgresViewStore {
    async fn projections(&self) -> Result<Vec<ProjectionStatus>, StoreError> {
        let sql = "SELECT name, position, hash, epoch, stopped_position, stopped_reason \
                   FROM flexcore.view_#_projection ORDER BY name";
        self.rows(sql, &[]).await?.iter().map(status).collect()
    }

    async fn load(&self, projection: &str, keys: Vec<RowKey>) -> Result<Vec<ViewRow>, StoreError> {
        let mut rows = Vec::new();
        let ids: Vec<_> = of_kind!(keys, RowKey::Pipeline).map(|id| id.0).collect();
        if !ids.is_empty() {
            rows.extend(
                pipelines::find_by_ids(self, ids).await?.into_iter().map(ViewRow::Pipeline),
            );
        }
        let ids: Vec<_> = of_kind!(keys, RowKey::Execution).map(|id| id.0).collect();
        if !ids.is_empty() {
            let found = executions::find_by_ids(self, ids).await?;
            rows.extend(found.into_iter().map(ViewRow::Execution));
        }
        let plugins: Vec<_> = of_kind!(keys, RowKey::Plugin).cloned().collect();
        if !plugins.is_empty() {
            let found = plugins::find_by_keys(self, &plugins).await?;
            rows.extend(found.into_iter().map(ViewRow::Plugin));
        }
        let names: Vec<_> = of_kind!(keys, RowKey::DataStream).cloned().collect();
        if !names.is_empty() {
            let found = data_streams::find_by_names(self, &names).await?;
            rows.extend(found.into_iter().map(ViewRow::DataStream));
        }
        let metrics: Vec<_> = of_kind!(keys, RowKey::Metric).cloned().collect();
        if !metrics.is_empty() {
            let found = metrics::find_by_keys(self, &metrics).await?;
            rows.extend(found.into_iter().map(ViewRow::Metric));
        }
        let notes: Vec<_> = of_kind!(keys, RowKey::Note).cloned().collect();
        if !notes.is_empty() {
            let found = notes::find_by_keys(self, projection, &notes).await?;
            rows.extend(found.into_iter().map(ViewRow::Note));
        }
        Ok(rows)
    }

    async fn apply(&self, fold: Fold) -> Result<(), ApplyError> {
        let Fold { projection, after, epoch, checkpoint, rows } = fold;
        let changes = changes(&projection, rows.iter());
        let times = of_kind!(rows, ViewRow::Execution).map(|row| row.created_at.as_micros());
        let times: Vec<i64> = times.collect();
        let to = Standing { checkpoint: Some(checkpoint), epoch, stopped: None };
        let moved = self.move_on(&projection, after, to, changes, times).await;
        self.or_swapped(&projection, moved).await
    }

    async fn stop(
        &self,
        projection: &str,
        after: Option<Checkpoint>,
        epoch: Epoch,
        stopped: Stopped,
    ) -> Result<(), ApplyError> {
        let to = Standing { checkpoint: after, epoch, stopped: Some(stopped) };
        let moved = self.move_on(projection, after, to, Vec::new(), Vec::new()).await;
        self.or_swapped(projection, moved).await
    }
}

/// Where a projection is to stand.
struct Standing {
    checkpoint: Option<Checkpoint>,
    epoch: Epoch,
    stopped: Option<Stopped>,
}

impl PostgresViewStore {
    /// Writes changes and where the projection stands then, in one transaction, if it stands at
    /// `after` and belongs to nobody newer.
    async fn move_on(
        &self,
        projection: &str,
        after: Option<Checkpoint>,
        to: Standing,
        mut changes: Vec<Change>,
        times: Vec<i64>,
    ) -> Result<(), ApplyError> {
        let failed = |error: Error| ApplyError::Store(store_error(&error));
        let mut client = self.pool.get().await?;
        let generation = self.known_generation(&client).await.map_err(failed)?;
        self.ensure_months(&client, generation, times).await.map_err(failed)?;
        let projection = text(projection);
        changes.push(move_to(&projection, &to));
        let transaction = client.transaction().await.map_err(failed)?;
        let found = self.lock(&transaction, generation, &projection).await.map_err(failed)?;
        let refusal = match found {
            None => Some(ApplyError::Moved { projection: projection.clone() }),
            Some(row) => refusal(&status(&row)?, after, to.epoch),
        };
        if let Some(refusal) = refusal {
            transaction.rollback().await.map_err(failed)?;
            return Err(refusal);
        }
        write(&transaction, generation, &changes).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// A statement fails if the tables that it names went with a swap of the views: then what was
    /// read is not what is in use now.
    async fn or_swapped(
        &self,
        projection: &str,
        moved: Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        let Err(ApplyError::Store(error)) = moved else { return moved };
        let known = self.generation.load(Ordering::Relaxed);
        let present = match self.pool.get().await {
            Ok(client) => self.ask_generation(&client).await.ok(),
            Err(_) => None,
        };
        if present.is_none_or(|present| present == known) {
            return Err(ApplyError::Store(error));
        }
        Err(ApplyError::Moved { projection: projection.to_owned() })
    }

    /// Keeps the views in use where they are and the projection for this transaction, which need
    /// not survive a crash of the server: the log does, and the checkpoint goes with the rows.
    /// `None`: other views are in use now.
    async fn lock(
        &self,
        transaction: &Transaction<'_>,
        generation: i32,
        projection: &str,
    ) -> Result<Option<Row>, Error> {
        let insert = "INSERT INTO flexcore.view_#_projection (name, position, hash, epoch) \
                      VALUES ($1, 0, ''::bytea, 0) ON CONFLICT DO NOTHING";
        let select = "SELECT name, position, hash, epoch, stopped_position, stopped_reason \
                      FROM flexcore.view_#_projection WHERE name = $1 FOR UPDATE";
        let insert = transaction.prepare_cached(&placed(insert, generation)).await?;
        let select = transaction.prepare_cached(&placed(select, generation)).await?;
        let pointer = transaction.prepare_cached(GENERATION).await?;
        let begin =
            "SET LOCAL synchronous_commit = off; SELECT pg_advisory_xact_lock_shared(7021438)";
        let name = [&projection as &(dyn tokio_postgres::types::ToSql + Sync)];
        // Sent at once; the server carries them out in this order.
        let (locked, present, inserted, row) = tokio::join!(
            transaction.batch_execute(begin),
            transaction.query_one(&pointer, &[]),
            transaction.execute(&insert, &name),
            transaction.query_one(&select, &name),
        );
        locked?;
        let present: i32 = present?.get(0);
        if !self.is_fixed && present != generation {
            self.generation.store(present, Ordering::Relaxed);
            return Ok(None);
        }
        inserted?;
        row.map(Some)
    }

    /// Makes the partitions that these times need.
    async fn ensure_months(
        &self,
        client: &Object,
        generation: i32,
        times: Vec<i64>,
    ) -> Result<(), Error> {
        // Days are told apart without a calendar, and a month has few.
        let days: BTreeMap<i64, i64> =
            times.into_iter().map(|time| (time.div_euclid(DAY), time)).collect();
        let unknown: Vec<(i64, i64)> = {
            let known = self.months();
            days.into_iter().filter(|(day, _)| !known.contains(&(generation, *day))).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let times: Vec<i64> = unknown.iter().map(|(_, time)| *time).collect();
        client
            .query_one("SELECT flexcore.views_ensure_months($1, $2)", &[&generation, &times])
            .await?;
        self.months().extend(unknown.iter().map(|(day, _)| (generation, *day)));
        Ok(())
    }
}

async fn write(
    transaction: &Transaction<'_>,
    generation: i32,
    changes: &[Change],
) -> Result<(), Error> {
    let mut prepared = Vec::with_capacity(changes.len());
    for change in changes {
        let statement = transaction.prepare_cached(&placed(&change.sql, generation)).await?;
        prepared.push((statement, borrow(&change.parameters)));
    }
    let run = prepared
        .iter()
        .map(|(statement, parameters)| transaction.execute(statement, parameters.as_slice()));
    try_join_all(run).await.map(drop)
}

/// The statements that write rows: one for each table. Of two rows with one key the last counts.
fn changes<'a>(projection: &str, rows: impl Iterator<Item = &'a ViewRow>) -> Vec<Change> {
    let rows: BTreeMap<RowKey, &ViewRow> = rows.map(|row| (row.key(), row)).collect();
    let rows: Vec<&ViewRow> = rows.into_values().collect();
    let mut changes = Vec::new();
    macro_rules! of_table {
        ($kind:path, $module:ident) => {
            let some: Vec<_> = of_kind!(rows, $kind).collect();
            if !some.is_empty() {
                changes.push($module::write(&some));
            }
        };
    }
    of_table!(ViewRow::Pipeline, pipelines);
    of_table!(ViewRow::Execution, executions);
    of_table!(ViewRow::Plugin, plugins);
    of_table!(ViewRow::DataStream, data_streams);
    of_table!(ViewRow::Metric, metrics);
    let some: Vec<_> = of_kind!(rows, ViewRow::Note).collect();
    changes.extend(notes::write(&text(projection), &some).into_iter().flatten());
    changes
}

fn move_to(projection: &str, to: &Standing) -> Change {
    let none = Checkpoint { position: 0, hash: Hash::ZERO };
    let Checkpoint { position, hash } = to.checkpoint.unwrap_or(none);
    let stopped = to.stopped.as_ref();
    Change {
        sql: "UPDATE flexcore.view_#_projection SET position = $2, hash = $3, epoch = $4, \
              stopped_position = $5, stopped_reason = $6 WHERE name = $1"
            .to_owned(),
        parameters: vec![
            Box::new(projection.to_owned()),
            Box::new(position.cast_signed()),
            Box::new(hash.0.to_vec()),
            Box::new(to.epoch.0.cast_signed()),
            Box::new(stopped.map(|stopped| stopped.position.cast_signed())),
            Box::new(stopped.map(|stopped| text(&stopped.reason))),
        ],
    }
}

/// Why a fold comes too late; `None`: it does not.
fn refusal(
    found: &ProjectionStatus,
    after: Option<Checkpoint>,
    epoch: Epoch,
) -> Option<ApplyError> {
    let projection = found.name.clone();
    if epoch < found.epoch {
        Some(ApplyError::Fenced { projection, epoch, owner: found.epoch })
    } else if found.checkpoint != after {
        Some(ApplyError::Moved { projection })
    } else {
        None
    }
}

fn status(row: &Row) -> Result<ProjectionStatus, StoreError> {
    let name: String = get(row, "name")?;
    let position = count(row, "position")?;
    let hash: &[u8] = get(row, "hash")?;
    let checkpoint = match (position, <[u8; 32]>::try_from(hash)) {
        (0, _) => None,
        (_, Ok(hash)) => Some(Checkpoint { position, hash: Hash(hash) }),
        (_, Err(error)) => {
            return Err(corrupt(format!("the checkpoint of view `{name}`"), error.to_string()));
        }
    };
    let stopped: Option<i64> = get(row, "stopped_position")?;
    let reason: Option<String> = get(row, "stopped_reason")?;
    let stopped = stopped
        .zip(reason)
        .map(|(position, reason)| Stopped { position: position.cast_unsigned(), reason });
    Ok(ProjectionStatus { name, checkpoint, epoch: Epoch(count(row, "epoch")?), stopped })
}
