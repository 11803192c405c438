//! Views files: replaced where that is safe, rebuilt beside the one in use.

use std::fs;

use flexcore_eventsourcing::Epoch;
use flexcore_ports::{
    ApplyError, Checkpoint, EventStore, Fold, PipelineFilter, ProjectedRows, Snapshot, Snapshots,
    StoreError, ViewRow, ViewStore,
};
use flexcore_store_sqlite::{OpenError, SqliteStore};
use flexcore_testkit::{
    stream,
    view_store_contract::{checkpoint, fold_at, pipeline_row},
};
use rusqlite::Connection;

use crate::support::{fill, folder, reader, writer};

/// Folds the whole log into one row.
async fn catch_up(store: &SqliteStore, views: &dyn ViewStore, name: &str) {
    let head = store.events().head().await.unwrap();
    let checkpoint = Checkpoint { position: head.position, hash: head.hash };
    let row = ViewRow::Pipeline(pipeline_row(1, name));
    fold_at(views, checkpoint, vec![row]).await.unwrap();
}

async fn names(views: &dyn ViewStore) -> Vec<String> {
    let page = views.list_pipelines(&PipelineFilter::of("default"), 10, None).await.unwrap();
    page.items.iter().map(|row| row.name.to_string()).collect()
}

async fn is_new(store: &SqliteStore) -> bool {
    store.views().checkpoint("status").await.unwrap().is_none()
}

async fn closed() -> tempfile::TempDir {
    let folder = folder();
    let store = writer(folder.path()).unwrap();
    fill(&store, 5).await;
    catch_up(&store, &*store.views(), "flights").await;
    store.close().await.unwrap();
    folder
}

#[tokio::test]
async fn views_are_kept_over_a_restart() {
    let folder = closed().await;
    let store = writer(folder.path()).unwrap();
    assert_eq!(names(&*store.views()).await, ["flights"]);
    assert_eq!(names(&*reader(folder.path()).unwrap().views()).await, ["flights"]);
}

#[tokio::test]
async fn views_that_cannot_be_used_begin_anew() {
    let garbage = |folder: &std::path::Path| {
        fs::write(folder.join("views-1.db"), vec![7; 20_000]).unwrap();
    };
    let newer = |folder: &std::path::Path| {
        let views = Connection::open(folder.join("views-1.db")).unwrap();
        views.execute_batch("PRAGMA user_version = 9").unwrap();
    };
    let unsealed = |folder: &std::path::Path| {
        let views = Connection::open(folder.join("views-1.db")).unwrap();
        views.execute_batch("UPDATE checkpoint SET position = position + 1000").unwrap();
    };
    let missing = |folder: &std::path::Path| fs::remove_file(folder.join("views-1.db")).unwrap();
    let unnamed = |folder: &std::path::Path| fs::remove_file(folder.join("views.current")).unwrap();
    let damages: [&dyn Fn(&std::path::Path); 5] = [&garbage, &newer, &unsealed, &missing, &unnamed];
    for (index, damage) in damages.into_iter().enumerate() {
        let folder = closed().await;
        damage(folder.path());
        if index < 2 {
            // A reader cannot replace them: its own begin in memory, and can be filled.
            let store = reader(folder.path()).unwrap();
            assert!(is_new(&store).await, "damage {index}");
            catch_up(&store, &*store.views(), "weather").await;
            assert_eq!(names(&*store.views()).await, ["weather"]);
        }
        let store = writer(folder.path()).unwrap();
        assert!(is_new(&store).await, "damage {index}");
        catch_up(&store, &*store.views(), "weather").await;
        store.close().await.unwrap();
        let store = writer(folder.path()).unwrap();
        assert_eq!(names(&*store.views()).await, ["weather"], "damage {index}");
    }
}

#[tokio::test]
async fn views_of_another_history_are_not_built_again() {
    let folder = closed().await;
    let other = crate::support::folder();
    let store = writer(other.path()).unwrap();
    fill(&store, 4).await;
    fill_other(&store).await;
    store.close().await.unwrap();
    fs::copy(other.path().join("log.db"), folder.path().join("log.db")).unwrap();
    let refused = writer(folder.path()).unwrap_err();
    assert!(
        matches!(&refused, OpenError::LogBehindViews { projection, .. } if projection == "status"),
        "{refused}"
    );
    assert!(refused.to_string().contains("another history"), "{refused}");
}

/// A fifth batch with the positions of the one that `fill` makes, and other events.
async fn fill_other(store: &SqliteStore) {
    let events = (500..505).map(flexcore_testkit::event).collect();
    let append = flexcore_eventsourcing::Append::to(stream("other"), 0, events);
    store.events().append(append).await.unwrap();
}

#[tokio::test]
async fn a_rebuild_takes_the_place_of_the_views_in_use() {
    let folder = closed().await;
    let store = writer(folder.path()).unwrap();
    let views = store.views();
    let rebuild = store.begin_views_rebuild().unwrap();
    catch_up(&store, &*rebuild.views(), "weather").await;
    assert_eq!(names(&*views).await, ["flights"], "the former ones stay in use meanwhile");
    rebuild.publish().unwrap();
    assert_eq!(names(&*views).await, ["weather"], "every handle sees the new ones");
    assert!(!folder.path().join("views-1.db").exists());
    store.close().await.unwrap();
    let store = writer(folder.path()).unwrap();
    assert_eq!(names(&*store.views()).await, ["weather"]);
}

#[tokio::test]
async fn a_rebuild_that_is_given_up_leaves_nothing() {
    let folder = closed().await;
    let store = writer(folder.path()).unwrap();
    let rebuild = store.begin_views_rebuild().unwrap();
    assert!(folder.path().join("views-2.db").exists());
    drop(rebuild);
    assert!(!folder.path().join("views-2.db").exists());
    assert_eq!(names(&*store.views()).await, ["flights"]);
    let beside = reader(folder.path()).unwrap();
    assert!(beside.begin_views_rebuild().is_err());
    let (projection, checkpoint) = ("status".to_owned(), checkpoint(1));
    let fold = Fold { projection, after: None, epoch: Epoch(0), checkpoint, rows: vec![] };
    let refused = beside.views().apply(fold).await;
    let is_refused = matches!(refused, Err(ApplyError::Store(StoreError::Unavailable(_))));
    assert!(is_refused, "{refused:?}");
}

#[tokio::test]
async fn a_snapshot_of_another_history_or_with_a_flipped_bit_is_not_used() {
    let folder = closed().await;
    let store = writer(folder.path()).unwrap();
    let key = stream("1");
    let snapshot =
        Snapshot { stream: key.clone(), version: 2, schema_version: 1, payload: vec![1, 2, 3] };
    store.snapshots().save(snapshot.clone()).await.unwrap();
    assert_eq!(store.snapshots().load(&key).await.unwrap(), Some(snapshot));
    store.close().await.unwrap();
    for change in ["payload = x'010203ff'", "batch_hash = zeroblob(32)", "version = 1"] {
        let views = Connection::open(folder.path().join("views-1.db")).unwrap();
        views.execute_batch("SAVEPOINT before").unwrap();
        views.execute(&format!("UPDATE snapshot SET {change}"), []).unwrap();
        views.execute_batch("RELEASE before").unwrap();
        drop(views);
        let store = writer(folder.path()).unwrap();
        assert_eq!(store.snapshots().load(&key).await.unwrap(), None, "{change}");
        let snapshot =
            Snapshot { stream: key.clone(), version: 2, schema_version: 1, payload: vec![4] };
        store.snapshots().save(snapshot).await.unwrap();
        store.close().await.unwrap();
    }
}
