//! The rows of one page: read from the views in a few goes, changed in memory, written together.

use std::collections::{BTreeMap, BTreeSet};

use flexcore_domain::{ExecutionId, PipelineId};
use flexcore_eventsourcing::{StreamName, Timestamp};
use flexcore_ports::{
    DataStreamRow, ExecutionRow, MetricKey, MetricRow, NoteRow, PipelineRow, PluginKey, PluginRow,
    RowKey, StoreError, ViewRow, ViewStore,
};

use super::notes::Note;

/// What is known of the rows that a page touches.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    rows: BTreeMap<RowKey, Option<ViewRow>>,
    notes: BTreeMap<String, Option<Note>>,
    changed: BTreeSet<RowKey>,
    /// What is added to metrics, whatever they were before.
    added: BTreeMap<MetricKey, (i64, Timestamp)>,
}

macro_rules! row_of {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $key:ty, $row:ty) => {
        $(#[$doc])*
        pub(super) fn $name(&mut self, key: $key) -> Option<&mut $row> {
            let key = RowKey::$variant(key);
            match self.rows.get_mut(&key) {
                Some(Some(ViewRow::$variant(row))) => {
                    self.changed.insert(key);
                    Some(row)
                }
                _ => None,
            }
        }
    };
}

impl Rows {
    row_of!(
        /// A pipeline's row, to be changed; `None` if there is none.
        pipeline, Pipeline, PipelineId, PipelineRow
    );
    row_of!(
        /// An execution's row, to be changed; `None` if there is none.
        execution, Execution, ExecutionId, ExecutionRow
    );
    row_of!(
        /// A plugin's row, to be changed; `None` if there is none.
        plugin, Plugin, PluginKey, PluginRow
    );
    row_of!(
        /// A data stream's row, to be changed; `None` if there is none.
        data_stream, DataStream, StreamName, DataStreamRow
    );

    /// Inserts or replaces a row.
    pub(super) fn put(&mut self, row: ViewRow) {
        let key = row.key();
        self.changed.insert(key.clone());
        self.rows.insert(key, Some(row));
    }

    /// A note that was asked for.
    pub(super) fn note(&self, key: &str) -> Option<&Note> {
        self.notes.get(key)?.as_ref()
    }

    /// A note, to be changed.
    pub(super) fn note_mut(&mut self, key: &str) -> Option<&mut Note> {
        let note = self.notes.get_mut(key)?.as_mut()?;
        self.changed.insert(RowKey::Note(key.to_owned()));
        Some(note)
    }

    /// Remembers or forgets.
    pub(super) fn put_note(&mut self, key: String, note: Option<Note>) {
        self.changed.insert(RowKey::Note(key.clone()));
        self.notes.insert(key, note);
    }

    /// Adds to a metric; nothing needs to be known of it.
    pub(super) fn add(&mut self, key: MetricKey, more: i64, at: Timestamp) {
        let (sum, time) = self.added.entry(key).or_insert((0, at));
        *sum = sum.saturating_add(more);
        *time = (*time).max(at);
    }

    /// Whether a row was asked for or made already.
    pub(super) fn knows(&self, key: &RowKey) -> bool {
        match key {
            RowKey::Note(key) => self.notes.contains_key(key),
            key => self.rows.contains_key(key),
        }
    }

    /// Asks the views for rows.
    pub(super) async fn load(
        &mut self,
        views: &dyn ViewStore,
        projection: &str,
        keys: BTreeSet<RowKey>,
    ) -> Result<(), StoreError> {
        let found = views.load(projection, keys.iter().cloned().collect()).await?;
        for key in keys {
            match key {
                RowKey::Note(key) => drop(self.notes.insert(key, None)),
                key => drop(self.rows.insert(key, None)),
            }
        }
        for row in found {
            match row {
                ViewRow::Note(NoteRow { key, value: Some(value) }) => {
                    let note = Note::read(&key, &value).ok_or_else(|| StoreError::Corrupt {
                        place: format!("note `{key}` of the projection {projection}"),
                        reason: "it is not what was written".to_owned(),
                    })?;
                    self.notes.insert(key, Some(note));
                }
                row => drop(self.rows.insert(row.key(), Some(row))),
            }
        }
        Ok(())
    }

    /// What is to be written.
    pub(super) async fn into_changed(
        mut self,
        views: &dyn ViewStore,
        projection: &str,
    ) -> Result<Vec<ViewRow>, StoreError> {
        let metrics: BTreeSet<_> = self.added.keys().cloned().map(RowKey::Metric).collect();
        if !metrics.is_empty() {
            self.load(views, projection, metrics).await?;
        }
        for (key, (more, at)) in std::mem::take(&mut self.added) {
            let row_key = RowKey::Metric(key.clone());
            let (value, updated_at) = match self.rows.get(&row_key) {
                Some(Some(ViewRow::Metric(row))) => (row.value, row.updated_at.max(at)),
                _ => (0, at),
            };
            let value = value.saturating_add(more);
            self.put(ViewRow::Metric(MetricRow { key, value, updated_at }));
        }
        let Self { mut rows, mut notes, changed, .. } = self;
        let changed = changed.into_iter().filter_map(|key| match key {
            RowKey::Note(key) => {
                let value = notes.remove(&key)?.map(|note| note.text());
                Some(ViewRow::Note(NoteRow { key, value }))
            }
            key => rows.remove(&key)?,
        });
        Ok(changed.collect())
    }
}
