//! The pipeline status view.

use flexcore_domain::{Pipeline, PipelineDefinition, PipelineStatus, pipeline::PipelineEvent};
use flexcore_event_codec::StoredEvent;
use flexcore_eventsourcing::{Aggregate, RecordedEvent};
use flexcore_ports::PipelineRow;

use super::{ProjectionError, poisoned, rows::Rows};

pub(super) async fn fold(
    rows: &mut Rows<'_>,
    recorded: &RecordedEvent,
) -> Result<(), ProjectionError> {
    let stored = &recorded.event;
    if recorded.stream.category() != Pipeline::CATEGORY {
        return Ok(());
    }
    let event = PipelineEvent::decode(&stored.type_name, stored.schema_version, &stored.payload)
        .map_err(|error| poisoned(recorded, &error))?;
    if let PipelineEvent::Created { id, definition } = event {
        let row = PipelineRow {
            id,
            name: definition.name.clone(),
            status: PipelineStatus::Draft.as_str().to_owned(),
            version: 1,
            description: None,
            owner: None,
            tags: vec![],
            steps: 0,
            created_at: stored.occurred_at,
            updated_at: stored.occurred_at,
        };
        rows.put_pipeline(describe(row, definition));
        return Ok(());
    }
    let key = recorded.stream.parts().nth(2).unwrap_or_default();
    let id =
        key.parse().map_err(|error: flexcore_domain::InvalidName| poisoned(recorded, &error))?;
    let row =
        rows.pipeline(id).await?.ok_or_else(|| poisoned(recorded, &"its pipeline has no row"))?;
    row.updated_at = stored.occurred_at;
    match event {
        PipelineEvent::Created { .. } => {}
        PipelineEvent::Updated { version, definition } => {
            row.version = version;
            *row = describe(row.clone(), definition);
        }
        PipelineEvent::Activated => row.status = PipelineStatus::Active.as_str().to_owned(),
        PipelineEvent::Deactivated => row.status = PipelineStatus::Inactive.as_str().to_owned(),
        PipelineEvent::Archived => row.status = PipelineStatus::Archived.as_str().to_owned(),
    }
    Ok(())
}

fn describe(row: PipelineRow, definition: PipelineDefinition) -> PipelineRow {
    PipelineRow {
        description: definition.description,
        owner: definition.owner,
        tags: definition.tags,
        steps: u32::try_from(definition.steps.len()).unwrap_or(u32::MAX),
        ..row
    }
}
