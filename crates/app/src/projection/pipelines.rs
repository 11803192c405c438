//! The pipeline status view.

use std::collections::BTreeSet;

use flexcore_domain::{PipelineDefinition, PipelineStatus, pipeline::PipelineEvent};
use flexcore_ports::{PipelineRow, RowKey, ViewRow};

use super::{
    Projection, View,
    fact::{DomainEvent, Fact},
    rows::Rows,
};

/// Folds pipelines.
pub(super) struct PipelineStatusProjection;

impl Projection for PipelineStatusProjection {
    fn name(&self) -> &'static str {
        View::Pipelines.name()
    }

    fn reads(&self, event_type: &str) -> bool {
        matches!(
            event_type,
            "PipelineCreated"
                | "PipelineUpdated"
                | "PipelineActivated"
                | "PipelineDeactivated"
                | "PipelineArchived"
        )
    }

    fn needs(&self, fact: &Fact<'_>, _rows: &Rows, keys: &mut BTreeSet<RowKey>) {
        if let DomainEvent::Pipeline(id, _) = fact.event {
            keys.insert(RowKey::Pipeline(*id));
        }
    }

    fn fold(&self, rows: &mut Rows, fact: &Fact<'_>) -> Result<(), String> {
        let DomainEvent::Pipeline(id, event) = fact.event else { return Ok(()) };
        if let PipelineEvent::Created { id, definition } = event {
            let row = PipelineRow {
                id: *id,
                tenant: fact.tenant(),
                name: definition.name.clone(),
                status: PipelineStatus::Draft.as_str().to_owned(),
                version: 1,
                description: None,
                owner: None,
                tags: vec![],
                steps: 0,
                created_at: fact.at(),
                updated_at: fact.at(),
            };
            rows.put(ViewRow::Pipeline(describe(row, definition)));
            return Ok(());
        }
        let row = rows.pipeline(*id).ok_or("its pipeline has no row")?;
        row.updated_at = fact.at();
        let status = match event {
            PipelineEvent::Created { .. } => return Ok(()),
            PipelineEvent::Updated { version, definition } => {
                row.version = *version;
                *row = describe(row.clone(), definition);
                return Ok(());
            }
            PipelineEvent::Activated => PipelineStatus::Active,
            PipelineEvent::Deactivated => PipelineStatus::Inactive,
            PipelineEvent::Archived => PipelineStatus::Archived,
        };
        status.as_str().clone_into(&mut row.status);
        Ok(())
    }
}

fn describe(row: PipelineRow, definition: &PipelineDefinition) -> PipelineRow {
    PipelineRow {
        description: definition.description.clone(),
        owner: definition.owner.clone(),
        tags: definition.tags.clone(),
        steps: u32::try_from(definition.steps.len()).unwrap_or(u32::MAX),
        ..row
    }
}
