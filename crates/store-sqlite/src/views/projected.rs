//! The rows as projections read and write them.

use async_trait::async_trait;
use flexcore_eventsourcing::Epoch;
use flexcore_ports::{
    ApplyError, Checkpoint, Fold, ProjectedRows, ProjectionStatus, RowKey, Stopped, StoreError,
    ViewRow,
};
use rusqlite::Connection;

use super::{
    SqliteViewStore, checkpoints, data_streams, executions, metrics, notes, pipelines, plugins,
};

#[async_trait]
impl ProjectedRows for SqliteViewStore {
    async fn projections(&self) -> Result<Vec<ProjectionStatus>, StoreError> {
        self.read(checkpoints::statuses).await
    }

    async fn load(&self, projection: &str, keys: Vec<RowKey>) -> Result<Vec<ViewRow>, StoreError> {
        let projection = projection.to_owned();
        let find = move |connection: &Connection| {
            let found =
                keys.iter().filter_map(|key| find(connection, &projection, key).transpose());
            found.collect()
        };
        self.read(find).await
    }

    async fn apply(&self, fold: Fold) -> Result<(), ApplyError> {
        let result = self.place().write(move |connection| write_fold(connection, &fold)).await;
        self.heal(result)?
    }

    async fn apply_all(&self, folds: Vec<Fold>) -> Vec<Result<(), ApplyError>> {
        if folds.is_empty() {
            return Vec::new();
        }
        let kept = folds.clone();
        let write = move |connection: &Connection| -> rusqlite::Result<Vec<_>> {
            folds.iter().map(|fold| write_fold(connection, fold)).collect()
        };
        if let Ok(outcomes) = self.place().write(write).await {
            return outcomes;
        }
        // One of them cannot be written: by itself, each tells.
        let mut outcomes = Vec::with_capacity(kept.len());
        for fold in kept {
            outcomes.push(self.apply(fold).await);
        }
        outcomes
    }

    async fn stop(
        &self,
        projection: &str,
        after: Option<Checkpoint>,
        epoch: Epoch,
        stopped: Stopped,
    ) -> Result<(), ApplyError> {
        let name = projection.to_owned();
        let write = move |connection: &Connection| {
            if let Some(refusal) = checkpoints::refusal(connection, &name, after, epoch)? {
                return Ok(Err(refusal));
            }
            let stopped = Some(stopped);
            let status = ProjectionStatus { name, checkpoint: after, epoch, stopped };
            checkpoints::write(connection, &status).map(Ok)
        };
        let result = self.place().write(write).await;
        self.heal(result)?
    }
}

/// Writes a fold unless it is refused; then nothing of it.
fn write_fold(connection: &Connection, fold: &Fold) -> rusqlite::Result<Result<(), ApplyError>> {
    let Fold { projection: name, after, epoch, checkpoint, rows } = fold;
    if let Some(refusal) = checkpoints::refusal(connection, name, *after, *epoch)? {
        return Ok(Err(refusal));
    }
    for row in rows {
        write(connection, name, row)?;
    }
    let (name, checkpoint) = (name.clone(), Some(*checkpoint));
    let status = ProjectionStatus { name, checkpoint, epoch: *epoch, stopped: None };
    checkpoints::write(connection, &status).map(Ok)
}

fn find(
    connection: &Connection,
    projection: &str,
    key: &RowKey,
) -> Result<Option<ViewRow>, StoreError> {
    Ok(match key {
        RowKey::Pipeline(id) => pipelines::find_by_id(connection, *id)?.map(ViewRow::Pipeline),
        RowKey::Execution(id) => executions::find(connection, *id)?.map(ViewRow::Execution),
        RowKey::Plugin(key) => plugins::find(connection, key)?.map(ViewRow::Plugin),
        RowKey::DataStream(name) => data_streams::find(connection, name)?.map(ViewRow::DataStream),
        RowKey::Metric(key) => metrics::find(connection, key)?.map(ViewRow::Metric),
        RowKey::Note(key) => notes::find(connection, projection, key)?.map(ViewRow::Note),
    })
}

fn write(connection: &Connection, projection: &str, row: &ViewRow) -> rusqlite::Result<()> {
    match row {
        ViewRow::Pipeline(row) => pipelines::write(connection, row),
        ViewRow::Execution(row) => executions::write(connection, row),
        ViewRow::Plugin(row) => plugins::write(connection, row),
        ViewRow::DataStream(row) => data_streams::write(connection, row),
        ViewRow::Metric(row) => metrics::write(connection, row),
        ViewRow::Note(row) => notes::write(connection, projection, row),
    }
}
