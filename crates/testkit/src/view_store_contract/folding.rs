//! Folding: which are taken, which are refused.

use flexcore_domain::{ExecutionId, PipelineId};
use flexcore_eventsourcing::Epoch;
use flexcore_ports::{
    ApplyError, Checkpoint, Fold, NoteRow, PipelineFilter, ProjectionStatus, RowKey, Stopped,
    ViewRow, ViewStore,
};
use uuid::Uuid;

use super::{
    TENANT, apply, checkpoint, execution_row,
    more_views::{data_stream_row, metric_row, plugin_row},
    pipeline_row,
};

fn note(key: &str, value: Option<&str>) -> ViewRow {
    ViewRow::Note(NoteRow { key: key.to_owned(), value: value.map(str::to_owned) })
}

fn fold(after: Option<Checkpoint>, epoch: u64, position: u64, rows: Vec<ViewRow>) -> Fold {
    let (projection, checkpoint) = ("status".to_owned(), checkpoint(position));
    Fold { projection, after, epoch: Epoch(epoch), checkpoint, rows }
}

async fn names(views: &dyn ViewStore) -> Vec<String> {
    let page = views.list_pipelines(&PipelineFilter::of(TENANT), 100, None).await;
    page.expect("it can be read").items.iter().map(|row| row.name.to_string()).collect()
}

/// What was written comes back by its key, and only what there is.
pub async fn every_kind_of_row_is_loaded_by_its_key(views: &dyn ViewStore) {
    let mut rows = vec![
        ViewRow::Pipeline(pipeline_row(1, "flights")),
        ViewRow::Execution(execution_row(1, "flights", 5)),
        ViewRow::Plugin(plugin_row("tap-csv")),
        ViewRow::DataStream(data_stream_row("flights", "load", None)),
        ViewRow::DataStream(data_stream_row("flights", "load", Some("a/b"))),
        ViewRow::Metric(metric_row("executions", &[("status", "failed")], 4)),
        ViewRow::Metric(metric_row("executions", &[], 4)),
        note("execution/1", Some("{\"it's\": \"ä\"}")),
    ];
    let mut keys: Vec<RowKey> = rows.iter().map(ViewRow::key).collect();
    keys.extend([
        RowKey::Pipeline(PipelineId(Uuid::from_u128(9))),
        RowKey::Execution(ExecutionId(Uuid::from_u128(9))),
        RowKey::Note("execution/2".to_owned()),
    ]);
    let load = async || {
        let mut rows = views.load("status", keys.clone()).await.expect("it can be read");
        rows.sort_by_key(ViewRow::key);
        rows
    };
    assert_eq!(load().await, []);
    apply(views, 1, rows.clone()).await;
    rows.sort_by_key(ViewRow::key);
    assert_eq!(load().await, rows);
    apply(views, 2, rows.clone()).await;
    assert_eq!(load().await, rows, "the same again changes nothing");
    assert_eq!(views.load("status", vec![]).await.expect("it can be read"), []);
}

/// A note is read by the projection that wrote it, replaced and forgotten.
pub async fn notes_belong_to_their_projection(views: &dyn ViewStore) {
    let load = async |projection: &str| {
        let keys = vec![RowKey::Note("a".to_owned())];
        views.load(projection, keys).await.expect("it can be read")
    };
    apply(views, 1, vec![note("a", Some("1"))]).await;
    assert_eq!(load("status").await, [note("a", Some("1"))]);
    assert_eq!(load("other").await, []);
    apply(views, 2, vec![note("a", Some("2")), note("b", None)]).await;
    assert_eq!(load("status").await, [note("a", Some("2"))]);
    apply(views, 3, vec![note("a", None)]).await;
    assert_eq!(load("status").await, []);
}

/// Whoever read its rows at another checkpoint would write over what others wrote.
pub async fn a_fold_that_read_another_checkpoint_is_refused(views: &dyn ViewStore) {
    let row = |name| vec![ViewRow::Pipeline(pipeline_row(1, name))];
    let early = views.apply(fold(Some(checkpoint(1)), 0, 2, row("early"))).await;
    assert!(matches!(early, Err(ApplyError::Moved { .. })), "{early:?}");
    views.apply(fold(None, 0, 3, row("first"))).await.expect("nothing was there");
    let again = views.apply(fold(None, 0, 3, row("again"))).await;
    assert!(matches!(again, Err(ApplyError::Moved { .. })), "{again:?}");
    let mut forked = checkpoint(3);
    forked.hash.0[0] ^= 1;
    let forked = views.apply(fold(Some(forked), 0, 4, row("forked"))).await;
    assert!(matches!(forked, Err(ApplyError::Moved { .. })), "{forked:?}");
    assert_eq!(names(views).await, ["first"]);
    views.apply(fold(Some(checkpoint(3)), 0, 4, row("second"))).await.expect("it follows");
    assert_eq!(names(views).await, ["second"]);
    let other = Fold { projection: "other".to_owned(), ..fold(None, 0, 1, vec![]) };
    views.apply(other).await.expect("each projection has its own");
}

/// Folds that are written together are taken and refused each for itself.
pub async fn of_several_folds_each_is_taken_or_refused(views: &dyn ViewStore) {
    let row = |number, name| vec![ViewRow::Pipeline(pipeline_row(number, name))];
    let of = |projection: &str, fold: Fold| Fold { projection: projection.to_owned(), ..fold };
    let first = vec![
        of("b", fold(None, 0, 3, row(1, "first"))),
        of("a", fold(None, 4, 3, vec![note("n", Some("1"))])),
    ];
    let outcomes = views.apply_all(first).await;
    assert!(matches!(outcomes.as_slice(), [Ok(()), Ok(())]), "{outcomes:?}");
    let second = vec![
        of("a", fold(Some(checkpoint(3)), 3, 5, vec![note("n", Some("2"))])),
        of("b", fold(Some(checkpoint(3)), 0, 5, row(1, "second"))),
        of("c", fold(Some(checkpoint(3)), 0, 5, row(2, "third"))),
    ];
    let outcomes = views.apply_all(second).await;
    let are_right = matches!(
        outcomes.as_slice(),
        [Err(ApplyError::Fenced { .. }), Ok(()), Err(ApplyError::Moved { projection })]
            if projection == "c"
    );
    assert!(are_right, "{outcomes:?}");
    assert_eq!(names(views).await, ["second"]);
    let kept = views.load("a", vec![RowKey::Note("n".to_owned())]).await;
    assert_eq!(kept.expect("it can be read"), [note("n", Some("1"))]);
    let at = async |name| views.checkpoint(name).await.expect("it can be read");
    assert_eq!(at("a").await, Some(checkpoint(3)));
    assert_eq!(at("b").await, Some(checkpoint(5)));
    assert_eq!(at("c").await, None);
    assert!(views.apply_all(vec![]).await.is_empty());
}

/// An owner that lost its lease is told.
pub async fn a_fold_of_a_smaller_epoch_is_refused(views: &dyn ViewStore) {
    let row = |name| vec![ViewRow::Pipeline(pipeline_row(1, name))];
    views.apply(fold(None, 7, 1, row("seven"))).await.expect("nothing was there");
    let late = views.apply(fold(Some(checkpoint(1)), 6, 2, row("six"))).await;
    let is_fenced = matches!(
        &late,
        Err(ApplyError::Fenced { epoch: Epoch(6), owner: Epoch(7), projection })
            if projection == "status"
    );
    assert!(is_fenced, "{late:?}");
    let stopped = Stopped { position: 2, reason: "late".to_owned() };
    let late = views.stop("status", Some(checkpoint(1)), Epoch(6), stopped).await;
    assert!(matches!(late, Err(ApplyError::Fenced { .. })), "{late:?}");
    assert_eq!(names(views).await, ["seven"]);
    views.apply(fold(Some(checkpoint(1)), 7, 2, vec![])).await.expect("it owns the projection");
    views.apply(fold(Some(checkpoint(2)), 9, 3, row("nine"))).await.expect("a newer owner");
    assert_eq!(names(views).await, ["nine"]);
    let statuses = views.projections().await.expect("it can be read");
    assert_eq!(statuses[0].epoch, Epoch(9));
}

/// Rows, notes and checkpoint stay as they were.
pub async fn a_refused_fold_changes_nothing(views: &dyn ViewStore) {
    apply(views, 1, vec![ViewRow::Pipeline(pipeline_row(1, "flights")), note("a", Some("1"))])
        .await;
    let before = views.projections().await.expect("it can be read");
    let rows = vec![
        ViewRow::Pipeline(pipeline_row(1, "other")),
        ViewRow::Execution(execution_row(1, "other", 1)),
        note("a", None),
    ];
    assert!(views.apply(fold(None, 0, 9, rows)).await.is_err());
    assert_eq!(names(views).await, ["flights"]);
    let kept = views.load("status", vec![RowKey::Note("a".to_owned())]).await;
    assert_eq!(kept.expect("it can be read"), [note("a", Some("1"))]);
    let row = views.find_execution(TENANT, ExecutionId(Uuid::from_u128(1))).await;
    assert_eq!(row.expect("it can be read"), None);
    assert_eq!(views.projections().await.expect("it can be read"), before);
}

/// Two that read the same checkpoint: the rows of exactly one are there.
pub async fn of_two_folds_at_once_one_is_written(views: &dyn ViewStore) {
    let mut after = None;
    for round in 1..=20_u64 {
        let attempt = async |number: u128| {
            let row = ViewRow::Pipeline(pipeline_row(number, &format!("p{number}")));
            let done = note("winner", Some(&number.to_string()));
            views.apply(fold(after, 0, round, vec![row, done])).await
        };
        let (one, two) = tokio::join!(attempt(1), attempt(2));
        let (winner, loser) = if one.is_ok() { ("1", &two) } else { ("2", &one) };
        assert!(one.is_ok() != two.is_ok(), "round {round}: {one:?}, {two:?}");
        assert!(matches!(loser, Err(ApplyError::Moved { .. })), "round {round}: {loser:?}");
        let noted = views.load("status", vec![RowKey::Note("winner".to_owned())]).await;
        assert_eq!(noted.expect("it can be read"), [note("winner", Some(winner))]);
        after = Some(checkpoint(round));
    }
}

/// The event and the reason stay until the projection goes on.
pub async fn a_stopped_projection_is_remembered_until_it_goes_on(views: &dyn ViewStore) {
    let stopped = Stopped { position: 5, reason: "event 5 is not JSON".to_owned() };
    let stop = async |after| views.stop("status", after, Epoch(0), stopped.clone()).await;
    let status = async || {
        let mut statuses = views.projections().await.expect("it can be read");
        assert_eq!(statuses.len(), 1);
        statuses.remove(0)
    };
    stop(None).await.expect("nothing was there");
    let expected = ProjectionStatus {
        name: "status".to_owned(),
        checkpoint: None,
        epoch: Epoch(0),
        stopped: Some(stopped.clone()),
    };
    assert_eq!(status().await, expected);
    let moved = stop(Some(checkpoint(4))).await;
    assert!(matches!(moved, Err(ApplyError::Moved { .. })), "{moved:?}");
    views.apply(fold(None, 0, 4, vec![])).await.expect("a stopped projection may go on");
    assert_eq!(status().await.stopped, None);
    stop(Some(checkpoint(4))).await.expect("it stands there");
    let at_four = ProjectionStatus { checkpoint: Some(checkpoint(4)), ..expected };
    assert_eq!(status().await, at_four);
    views.apply(fold(Some(checkpoint(4)), 0, 9, vec![])).await.expect("it may go on");
    let on = ProjectionStatus { checkpoint: Some(checkpoint(9)), stopped: None, ..at_four };
    assert_eq!(status().await, on);
}
