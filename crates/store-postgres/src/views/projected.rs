//! The rows as projections read and write them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use flexcore_eventsourcing::Epoch;
use flexcore_ports::{
    ApplyError, Checkpoint, Fold, ProjectedRows, ProjectionStatus, RowKey, Stopped, StoreError,
    ViewRow,
};

use super::{
    PostgresViewStore,
    columns::text,
    data_streams, executions, metrics,
    moving::{Move, Standing, status},
    notes, pipelines, plugins,
    upsert::Change,
};

/// Rows of one kind, to be read or written together.
macro_rules! of_kind {
    ($all:expr, $kind:path) => {
        $all.iter().filter_map(|one| if let $kind(inner) = one { Some(inner) } else { None })
    };
}

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
        self.move_one(Move::from(fold)).await
    }

    async fn apply_all(&self, folds: Vec<Fold>) -> Vec<Result<(), ApplyError>> {
        if folds.is_empty() {
            return Vec::new();
        }
        let moves = folds.iter().cloned().map(Move::from).collect();
        match self.move_on(moves).await {
            Ok(outcomes) => outcomes,
            Err(error @ StoreError::Unavailable(_)) => {
                folds.iter().map(|_| Err(ApplyError::Store(error.clone()))).collect()
            }
            // One of them cannot be written: by itself, each tells.
            Err(_) => {
                let mut outcomes = Vec::with_capacity(folds.len());
                for fold in folds {
                    outcomes.push(self.apply(fold).await);
                }
                outcomes
            }
        }
    }

    async fn stop(
        &self,
        projection: &str,
        after: Option<Checkpoint>,
        epoch: Epoch,
        stopped: Stopped,
    ) -> Result<(), ApplyError> {
        let to = Standing { checkpoint: after, epoch, stopped: Some(stopped) };
        let projection = projection.to_owned();
        self.move_one(Move { projection, after, to, changes: Vec::new(), times: Vec::new() }).await
    }
}

impl From<Fold> for Move {
    fn from(fold: Fold) -> Self {
        let Fold { projection, after, epoch, checkpoint, rows } = fold;
        let changes = changes(&projection, rows.iter());
        let times = of_kind!(rows, ViewRow::Execution).map(|row| row.created_at.as_micros());
        let times: Vec<i64> = times.collect();
        let to = Standing { checkpoint: Some(checkpoint), epoch, stopped: None };
        Self { projection, after, to, changes, times }
    }
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
