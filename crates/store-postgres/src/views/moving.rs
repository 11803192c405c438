//! Moving projections on: rows and checkpoints in one transaction.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use deadpool_postgres::Object;
use flexcore_eventsourcing::{Epoch, Hash};
use flexcore_ports::{ApplyError, Checkpoint, ProjectionStatus, Stopped, StoreError};
use futures_util::future::join_all;
use tokio_postgres::{Error, Row, Statement, types::ToSql};

use super::{
    GENERATION, PostgresViewStore, borrow,
    columns::{count, get, text},
    placed,
    upsert::Change,
};
use crate::error::{corrupt, store_error};

/// A day, in microseconds.
const DAY: i64 = 86_400_000_000;

/// Where a projection is to stand.
pub(super) struct Standing {
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) epoch: Epoch,
    pub(super) stopped: Option<Stopped>,
}

/// One projection's way from one checkpoint to the next.
pub(super) struct Move {
    pub(super) projection: String,
    pub(super) after: Option<Checkpoint>,
    pub(super) to: Standing,
    pub(super) changes: Vec<Change>,
    /// When the executions among its rows were created.
    pub(super) times: Vec<i64>,
}

impl PostgresViewStore {
    pub(super) async fn move_one(&self, one: Move) -> Result<(), ApplyError> {
        let projection = one.projection.clone();
        let moved = match self.move_on(vec![one]).await {
            Ok(mut outcomes) => outcomes.pop().unwrap_or(Ok(())),
            Err(error) => Err(error.into()),
        };
        self.or_swapped(&projection, moved).await
    }

    /// Writes changes and where the projections stand then, in one transaction: of those that stand
    /// where they are expected and belong to nobody newer. The transaction need not survive a crash
    /// of the server: the log does, and checkpoints go with their rows.
    pub(super) async fn move_on(
        &self,
        moves: Vec<Move>,
    ) -> Result<Vec<Result<(), ApplyError>>, StoreError> {
        let failed = |error: Error| store_error(&error);
        let client = self.pool.get().await?;
        let generation = self.known_generation(&client).await.map_err(failed)?;
        let times = moves.iter().flat_map(|one| one.times.iter().copied()).collect();
        self.ensure_months(&client, generation, times).await.map_err(failed)?;
        let transaction = InTransaction(Some(client));
        let names: Vec<String> = moves.iter().map(|one| text(&one.projection)).collect();
        let found = self.lock(&transaction, generation, &names).await.map_err(failed)?;
        let found: Option<Vec<_>> =
            found.map(|rows| rows.iter().map(status).collect::<Result<_, _>>()).transpose()?;
        let mut outcomes = Vec::with_capacity(moves.len());
        let (mut changes, mut standings) = (Vec::new(), Vec::new());
        for (one, name) in moves.into_iter().zip(names) {
            let status = found.iter().flatten().find(|status| status.name == name);
            let refusal = match status {
                None => Some(ApplyError::Moved { projection: name.clone() }),
                Some(status) => refusal(status, one.after, one.to.epoch),
            };
            if refusal.is_none() {
                changes.extend(one.changes);
                standings.push((name, one.to));
            }
            outcomes.push(refusal.map_or(Ok(()), Err));
        }
        if standings.is_empty() {
            transaction.end("ROLLBACK", &[]).await.map_err(failed)?;
            return Ok(outcomes);
        }
        changes.push(move_to(standings));
        let mut prepared = Vec::with_capacity(changes.len());
        for change in &changes {
            let sql = placed(&change.sql, generation);
            let statement = transaction.prepare_cached(&sql).await.map_err(failed)?;
            prepared.push((statement, borrow(&change.parameters)));
        }
        transaction.end("COMMIT", &prepared).await.map_err(failed)?;
        Ok(outcomes)
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

    /// Begins a transaction, keeps the views in use where they are and the projections for it, and
    /// gives their rows. `None`: other views are in use now.
    async fn lock(
        &self,
        transaction: &InTransaction,
        generation: i32,
        projections: &[String],
    ) -> Result<Option<Vec<Row>>, Error> {
        // In order, so that two who want the same ones wait for each other in one direction only.
        let insert = "INSERT INTO flexcore.view_#_projection (name, position, hash, epoch) \
                      SELECT name, 0, ''::bytea, 0 FROM unnest($1::text[]) name ORDER BY name \
                      ON CONFLICT DO NOTHING";
        let select = "SELECT name, position, hash, epoch, stopped_position, stopped_reason \
                      FROM flexcore.view_#_projection WHERE name = ANY ($1) ORDER BY name \
                      FOR UPDATE";
        let insert = transaction.prepare_cached(&placed(insert, generation)).await?;
        let select = transaction.prepare_cached(&placed(select, generation)).await?;
        let pointer = transaction.prepare_cached(GENERATION).await?;
        let begin = "BEGIN; SET LOCAL synchronous_commit = off; \
                     SELECT pg_advisory_xact_lock_shared(7021438)";
        let names = [&projections as &(dyn ToSql + Sync)];
        // Sent at once; the server carries them out in this order.
        let (locked, present, inserted, rows) = tokio::join!(
            transaction.batch_execute(begin),
            transaction.query_one(&pointer, &[]),
            transaction.execute(&insert, &names),
            transaction.query(&select, &names),
        );
        locked?;
        let present: i32 = present?.get(0);
        if !self.is_fixed && present != generation {
            self.generation.store(present, Ordering::Relaxed);
            return Ok(None);
        }
        inserted?;
        rows.map(Some)
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

/// A connection with a transaction on it. One that is dropped before its end is closed: nobody
/// else may find it in the middle of something.
struct InTransaction(Option<Object>);

impl std::ops::Deref for InTransaction {
    type Target = Object;

    fn deref(&self) -> &Object {
        self.0.as_ref().expect("only its end takes the connection out")
    }
}

impl Drop for InTransaction {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

impl InTransaction {
    /// Runs statements and ends the transaction, in one round trip. After a statement that failed
    /// the server takes a `COMMIT` for a `ROLLBACK`.
    async fn end(
        mut self,
        how: &str,
        statements: &[(Statement, Vec<&(dyn ToSql + Sync)>)],
    ) -> Result<(), Error> {
        let run = statements
            .iter()
            .map(|(statement, parameters)| self.execute(statement, parameters.as_slice()));
        // Fewer than thirty: those are polled, and so sent, in order.
        let (ran, ended) = tokio::join!(join_all(run), self.batch_execute(how));
        if ended.is_ok() {
            drop(self.0.take());
        }
        ran.into_iter().collect::<Result<Vec<_>, _>>()?;
        ended
    }
}

fn move_to(standings: Vec<(String, Standing)>) -> Change {
    let none = Checkpoint { position: 0, hash: Hash::ZERO };
    let (mut names, mut positions, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut epochs, mut stops, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for (name, to) in standings {
        let Checkpoint { position, hash } = to.checkpoint.unwrap_or(none);
        names.push(name);
        positions.push(position.cast_signed());
        hashes.push(hash.0.to_vec());
        epochs.push(to.epoch.0.cast_signed());
        stops.push(to.stopped.as_ref().map(|stopped| stopped.position.cast_signed()));
        reasons.push(to.stopped.map(|stopped| text(&stopped.reason)));
    }
    Change {
        sql: "UPDATE flexcore.view_#_projection p SET position = u.position, hash = u.hash, \
              epoch = u.epoch, stopped_position = u.stopped_position, \
              stopped_reason = u.stopped_reason FROM unnest($1::text[], $2::bigint[], \
              $3::bytea[], $4::bigint[], $5::bigint[], $6::text[]) u (name, position, hash, \
              epoch, stopped_position, stopped_reason) WHERE p.name = u.name"
            .to_owned(),
        parameters: vec![
            Box::new(names),
            Box::new(positions),
            Box::new(hashes),
            Box::new(epochs),
            Box::new(stops),
            Box::new(reasons),
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

pub(super) fn status(row: &Row) -> Result<ProjectionStatus, StoreError> {
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
