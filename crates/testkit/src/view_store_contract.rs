//! What every store of views does.

mod folding;
mod more_views;
mod tenants;

use flexcore_domain::{EnvironmentName, ExecutionId, PipelineId, PipelineName};
use flexcore_eventsourcing::{Epoch, Hash, Timestamp};
use flexcore_ports::{
    ApplyError, Checkpoint, ExecutionFilter, ExecutionRow, Fold, PipelineFilter, PipelineRow,
    ViewRow, ViewStore,
};
use uuid::Uuid;

pub use folding::{
    a_fold_of_a_smaller_epoch_is_refused, a_fold_that_read_another_checkpoint_is_refused,
    a_refused_fold_changes_nothing, a_stopped_projection_is_remembered_until_it_goes_on,
    every_kind_of_row_is_loaded_by_its_key, notes_belong_to_their_projection,
    of_several_folds_each_is_taken_or_refused, of_two_folds_at_once_one_is_written,
};
pub use more_views::{
    a_list_of_several_statuses_is_in_order, an_id_prefix_gives_pages_too, data_stream_row,
    data_streams_are_listed_by_pipeline, executions_that_ended_long_ago_are_removed, metric_row,
    metrics_are_listed_by_name, pages_continue_where_they_ended_while_rows_come, plugin_row,
    plugins_are_listed_by_name,
};
pub use tenants::{
    old_executions_of_one_pipeline_are_removed, tenants_with_the_same_names_see_their_own,
    unfinished_executions_of_all_tenants_are_found,
};

/// Calls a macro with every case of this suite, each a function of the views.
#[macro_export]
macro_rules! for_each_view_case {
    ($callback:ident) => {
        $callback! {
            rows_and_checkpoint_are_replaced,
            a_name_belongs_to_the_pipeline_that_is_not_archived,
            pipelines_are_listed_by_name,
            executions_are_listed_newest_first,
            a_list_of_several_statuses_is_in_order,
            an_id_prefix_gives_pages_too,
            pages_continue_where_they_ended_while_rows_come,
            executions_that_ended_long_ago_are_removed,
            plugins_are_listed_by_name,
            data_streams_are_listed_by_pipeline,
            metrics_are_listed_by_name,
            every_kind_of_row_is_loaded_by_its_key,
            notes_belong_to_their_projection,
            a_fold_that_read_another_checkpoint_is_refused,
            a_fold_of_a_smaller_epoch_is_refused,
            a_refused_fold_changes_nothing,
            of_several_folds_each_is_taken_or_refused,
            of_two_folds_at_once_one_is_written,
            a_stopped_projection_is_remembered_until_it_goes_on,
            tenants_with_the_same_names_see_their_own,
            unfinished_executions_of_all_tenants_are_found,
            old_executions_of_one_pipeline_are_removed,
        }
    };
}

/// Whose the rows of tests are unless they say otherwise.
pub const TENANT: &str = "default";

/// A row of the pipeline status view.
pub fn pipeline_row(number: u128, name: &str) -> PipelineRow {
    PipelineRow {
        id: PipelineId(Uuid::from_u128(number)),
        tenant: TENANT.into(),
        name: pipeline_name(name),
        status: "active".to_owned(),
        version: 1,
        description: Some(format!("Füllt {name}")),
        owner: None,
        tags: vec!["daily".to_owned(), "it's \"quoted\"".to_owned()],
        steps: 3,
        created_at: Timestamp::from_micros(1),
        updated_at: Timestamp::from_micros(2),
    }
}

/// A row of the execution history view, created at `time`.
pub fn execution_row(number: u128, pipeline: &str, time: i64) -> ExecutionRow {
    ExecutionRow {
        id: ExecutionId(Uuid::from_u128(number)),
        tenant: TENANT.into(),
        pipeline_id: PipelineId(Uuid::from_u128(1)),
        pipeline: pipeline_name(pipeline),
        version: 1,
        status: "running".to_owned(),
        environment: EnvironmentName::default(),
        run_key: None,
        created_at: Timestamp::from_micros(time),
        started_at: Some(Timestamp::from_micros(time + 1)),
        ended_at: None,
        error: None,
    }
}

fn pipeline_name(name: &str) -> PipelineName {
    name.parse().expect("a name in a test is legal")
}

/// A checkpoint of the history that tests use.
pub fn checkpoint(position: u64) -> Checkpoint {
    Checkpoint { position, hash: Hash([7; 32]) }
}

/// A fold into the projection `status`, on whatever is there.
pub async fn fold_at(
    views: &dyn ViewStore,
    checkpoint: Checkpoint,
    rows: Vec<ViewRow>,
) -> Result<(), ApplyError> {
    let projection = "status".to_owned();
    let after = views.checkpoint(&projection).await?;
    views.apply(Fold { projection, after, epoch: Epoch(0), checkpoint, rows }).await
}

async fn apply(views: &dyn ViewStore, position: u64, rows: Vec<ViewRow>) {
    fold_at(views, checkpoint(position), rows).await.expect("it can be written");
}

/// Rows and checkpoint are written together, and replaced by the next fold.
pub async fn rows_and_checkpoint_are_replaced(views: &dyn ViewStore) {
    let checkpoint = async |name| views.checkpoint(name).await.expect("it can be read");
    assert_eq!(checkpoint("status").await, None);
    let mut pipeline = pipeline_row(1, "flights");
    let execution = execution_row(1, "flights", 5);
    let updates = vec![ViewRow::Pipeline(pipeline.clone()), ViewRow::Execution(execution.clone())];
    apply(views, 10, updates).await;
    assert_eq!(checkpoint("status").await, Some(Checkpoint { position: 10, hash: Hash([7; 32]) }));
    assert_eq!(checkpoint("other").await, None);
    let found = views.find_pipeline(TENANT, &pipeline.name).await.expect("it can be read");
    assert_eq!(found.as_ref(), Some(&pipeline));
    pipeline.version = 2;
    pipeline.tags.clear();
    pipeline.description = None;
    apply(views, 11, vec![ViewRow::Pipeline(pipeline.clone())]).await;
    let found = views.find_pipeline_by_id(TENANT, pipeline.id).await.expect("it can be read");
    assert_eq!(found, Some(pipeline));
    let found = views.find_execution(TENANT, execution.id).await.expect("it can be read");
    assert_eq!(found, Some(execution));
    let absent = views.find_execution(TENANT, ExecutionId(Uuid::from_u128(9))).await;
    assert_eq!(absent.expect("it can be read"), None);
}

/// Names that were given up and taken again.
pub async fn a_name_belongs_to_the_pipeline_that_is_not_archived(views: &dyn ViewStore) {
    let former = PipelineRow { status: "archived".to_owned(), ..pipeline_row(1, "flights") };
    let present = pipeline_row(2, "flights");
    let updates = [present.clone(), former].map(ViewRow::Pipeline).to_vec();
    apply(views, 1, updates).await;
    let found = views.find_pipeline(TENANT, &present.name).await.expect("it can be read");
    assert_eq!(found, Some(present));
}

/// Filters, order and pages of pipelines.
pub async fn pipelines_are_listed_by_name(views: &dyn ViewStore) {
    let mut rows: Vec<PipelineRow> = ["delta", "alpha", "charlie", "bravo"]
        .into_iter()
        .zip(1..)
        .map(|(name, number)| pipeline_row(number, name))
        .collect();
    rows[0].status = "archived".to_owned();
    rows[1].owner = Some("data-team".to_owned());
    rows[2].tags = vec!["hourly".to_owned()];
    apply(views, 1, rows.into_iter().map(ViewRow::Pipeline).collect()).await;
    let names = async |filter: PipelineFilter| {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = views.list_pipelines(&filter, 2, after.as_deref()).await;
            let page = page.expect("it can be read");
            names.extend(page.items.iter().map(|row| row.name.to_string()));
            after = page.next;
            if after.is_none() {
                return names;
            }
        }
    };
    let all = PipelineFilter::of(TENANT);
    assert_eq!(names(all.clone()).await, ["alpha", "bravo", "charlie", "delta"]);
    let active = PipelineFilter { statuses: vec!["active".into(), "draft".into()], ..all.clone() };
    assert_eq!(names(active).await, ["alpha", "bravo", "charlie"]);
    let owned = PipelineFilter { owner: Some("data-team".into()), ..all.clone() };
    assert_eq!(names(owned).await, ["alpha"]);
    let tagged = PipelineFilter { tag: Some("it's \"quoted\"".into()), ..all.clone() };
    assert_eq!(names(tagged).await, ["alpha", "bravo", "delta"]);
    let text = PipelineFilter { text: Some("FÜLLT C".into()), ..all.clone() };
    assert_eq!(names(text).await, ["charlie"]);
    let percent = PipelineFilter { text: Some("%".into()), ..all.clone() };
    assert_eq!(names(percent).await, [""; 0]);
    assert!(views.list_pipelines(&all, 2, Some("garbage")).await.is_err());
}

/// Filters, order and pages of executions.
pub async fn executions_are_listed_newest_first(views: &dyn ViewStore) {
    let mut rows: Vec<ExecutionRow> = (1..=5_u8)
        .map(|number| execution_row(number.into(), "flights", i64::from(number / 2)))
        .collect();
    rows[4].pipeline = pipeline_name("weather");
    rows[3].status = "failed".to_owned();
    rows[2].run_key = Some("nightly".to_owned());
    apply(views, 1, rows.into_iter().map(ViewRow::Execution).collect()).await;
    let list = async |filter: ExecutionFilter| {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = views.list_executions(&filter, 2, after.as_deref()).await;
            let page = page.expect("it can be read");
            ids.extend(page.items.iter().map(|row| row.id.0.as_u128()));
            after = page.next;
            if after.is_none() {
                return ids;
            }
        }
    };
    let all = ExecutionFilter::of(TENANT);
    assert_eq!(list(all.clone()).await, [5, 4, 3, 2, 1]);
    let pipeline = Some(pipeline_name("flights"));
    assert_eq!(list(ExecutionFilter { pipeline, ..all.clone() }).await, [4, 3, 2, 1]);
    let statuses = vec!["failed".to_owned()];
    assert_eq!(list(ExecutionFilter { statuses, ..all.clone() }).await, [4]);
    let run_key = Some("nightly".to_owned());
    assert_eq!(list(ExecutionFilter { run_key, ..all.clone() }).await, [3]);
    let id_prefix = Some(ExecutionId(Uuid::from_u128(2)).to_string());
    assert_eq!(list(ExecutionFilter { id_prefix, ..all.clone() }).await, [2]);
    let id_prefix = Some("ex_00".to_owned());
    assert_eq!(list(ExecutionFilter { id_prefix, ..all.clone() }).await, [5, 4, 3, 2, 1]);
    let id_prefix = Some("garbage".to_owned());
    assert_eq!(list(ExecutionFilter { id_prefix, ..all.clone() }).await, [0; 0]);
    assert!(views.list_executions(&all, 2, Some("garbage")).await.is_err());
}
