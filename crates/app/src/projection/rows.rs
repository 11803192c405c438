//! The rows of one page: read from the views once, changed in memory, written together.

use std::collections::BTreeMap;

use flexcore_domain::{ExecutionId, PipelineId};
use flexcore_ports::{ExecutionRow, PipelineRow, StoreError, ViewStore, ViewUpdate};

pub(super) struct Rows<'a> {
    views: &'a dyn ViewStore,
    pipelines: BTreeMap<PipelineId, PipelineRow>,
    executions: BTreeMap<ExecutionId, ExecutionRow>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(views: &'a dyn ViewStore) -> Self {
        Self { views, pipelines: BTreeMap::new(), executions: BTreeMap::new() }
    }

    /// A pipeline's row, to be changed; `None` if there is none.
    pub(super) async fn pipeline(
        &mut self,
        id: PipelineId,
    ) -> Result<Option<&mut PipelineRow>, StoreError> {
        if !self.pipelines.contains_key(&id)
            && let Some(row) = self.views.find_pipeline_by_id(id).await?
        {
            self.pipelines.insert(id, row);
        }
        Ok(self.pipelines.get_mut(&id))
    }

    /// An execution's row, to be changed; `None` if there is none.
    pub(super) async fn execution(
        &mut self,
        id: ExecutionId,
    ) -> Result<Option<&mut ExecutionRow>, StoreError> {
        if !self.executions.contains_key(&id)
            && let Some(row) = self.views.find_execution(id).await?
        {
            self.executions.insert(id, row);
        }
        Ok(self.executions.get_mut(&id))
    }

    pub(super) fn put_pipeline(&mut self, row: PipelineRow) {
        self.pipelines.insert(row.id, row);
    }

    pub(super) fn put_execution(&mut self, row: ExecutionRow) {
        self.executions.insert(row.id, row);
    }

    pub(super) fn into_updates(self) -> Vec<ViewUpdate> {
        let pipelines = self.pipelines.into_values().map(ViewUpdate::Pipeline);
        pipelines.chain(self.executions.into_values().map(ViewUpdate::Execution)).collect()
    }
}
