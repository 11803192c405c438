//! Disks that are full or cannot be written. The mounts need root, as the tests of this project do.

use std::path::Path;

use flexcore_eventsourcing::{Append, EventData};
use flexcore_ports::{
    AppendError, Checkpoint, EventStore, LogTransfer, PipelineFilter, PipelineViews, ReadFilter,
    StoreError, TransferError, ViewRow,
};
use flexcore_store_sqlite::OpenError;
use flexcore_testkit::{
    event, payload, stream,
    view_store_contract::{fold_at, pipeline_row},
};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_remount, unmount};

use crate::support::{assert_whole, fill, folder, reader, writer};

/// A mounted folder, unmounted when the test ends.
struct Mount<'a>(&'a Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = unmount(self.0, UnmountFlags::DETACH);
    }
}

fn append(expected: u64) -> Append {
    let large = EventData { payload: payload(expected, 200_000), ..event(expected) };
    Append::to(stream("a"), expected, vec![large])
}

#[tokio::test]
async fn a_full_disk_refuses_appends_and_loses_nothing() {
    let folder = folder();
    mount("tmpfs", folder.path(), "tmpfs", MountFlags::empty(), Some(c"size=4m"))
        .expect("the tests run as root");
    let _mount = Mount(folder.path());
    let store = writer(folder.path()).unwrap();
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![0; 1 << 20]).unwrap();
    let mut accepted = 0;
    let refused = loop {
        match store.events().append(append(accepted)).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 100, "the disk never became full");
    };
    assert!(accepted > 2, "{refused}");
    assert!(
        matches!(&refused, AppendError::Unavailable(StoreError::Unavailable(reason))
        if reason.contains("the disk is full")),
        "{refused}"
    );
    // Nothing of it was kept, and what was acknowledged is there.
    let events = store.events().read_all(0, 100, &ReadFilter::default()).await.unwrap();
    assert_eq!(events.len() as u64, accepted);
    // Once there is room, the same append goes through.
    std::fs::remove_file(&ballast).unwrap();
    let appended = store.events().append(append(accepted)).await.unwrap();
    assert_eq!((appended.last_position, appended.repeated), (accepted + 1, false));
    drop(store);
    assert_eq!(assert_whole(folder.path()).await.events, accepted + 1);
}

/// An import is one transaction: none of it is there, in memory neither, and it goes through later.
#[tokio::test]
async fn a_full_disk_refuses_an_import_and_keeps_the_log() {
    let (source, folder) = (crate::support::folder(), folder());
    let original = writer(source.path()).unwrap();
    for number in 0..8 {
        original.events().append(append(number)).await.unwrap();
    }
    let batches = original.transfer().read_batches(0, 100).await.unwrap();
    mount("tmpfs", folder.path(), "tmpfs", MountFlags::empty(), Some(c"size=8m"))
        .expect("the tests run as root");
    let _mount = Mount(folder.path());
    let store = writer(folder.path()).unwrap();
    store.transfer().write_batches(batches[..1].to_vec()).await.unwrap();
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![0; 6 << 20]).unwrap();
    let refused = store.transfer().write_batches(batches.clone()).await.unwrap_err();
    assert!(
        matches!(&refused, TransferError::Store(StoreError::Unavailable(reason))
        if reason.contains("the disk is full")),
        "{refused}"
    );
    assert_eq!(store.events().head().await.unwrap(), batches[0].head());
    std::fs::remove_file(&ballast).unwrap();
    let head = store.transfer().write_batches(batches).await.unwrap();
    assert_eq!(head, original.events().head().await.unwrap());
    let next = store.events().append(append(8)).await.unwrap();
    assert_eq!((next.last_position, next.repeated), (9, false));
    drop(store);
    assert_eq!(assert_whole(folder.path()).await.events, 9);
}

/// Binds a folder to itself, read-only.
fn read_only(folder: &Path) -> Mount<'_> {
    mount_bind(folder, folder).expect("the tests run as root");
    mount_remount(folder, MountFlags::BIND | MountFlags::RDONLY, "").unwrap();
    Mount(folder)
}

#[tokio::test]
async fn a_closed_store_is_read_where_nothing_can_be_written() {
    let folder = folder();
    let store = writer(folder.path()).unwrap();
    fill(&store, 20).await;
    store.close().await.unwrap();
    let _mount = read_only(folder.path());
    assert!(matches!(writer(folder.path()), Err(OpenError::Unavailable { .. })));
    let store = reader(folder.path()).unwrap();
    let events = store.events().read_all(0, 100, &ReadFilter::default()).await.unwrap();
    assert_eq!(events.len(), 60);
    assert_eq!(assert_whole(folder.path()).await.batches, 20);
    let refused = store.events().append(append(0)).await;
    assert!(refused.unwrap_err().to_string().contains("for reading only"));
    // Views are filled in memory there.
    let head = store.events().head().await.unwrap();
    let checkpoint = Checkpoint { position: head.position, hash: head.hash };
    let row = ViewRow::Pipeline(pipeline_row(1, "flights"));
    fold_at(&*store.views(), checkpoint, vec![row]).await.unwrap();
    let page =
        store.views().list_pipelines(&PipelineFilter::of("default"), 10, None).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

#[tokio::test]
async fn a_store_that_was_not_closed_asks_for_a_copy_where_nothing_can_be_written() {
    let folder = folder();
    let store = writer(folder.path()).unwrap();
    fill(&store, 5).await;
    let copy = crate::support::folder();
    for file in ["log.db", "log.db-wal"] {
        std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    {
        let _mount = read_only(copy.path());
        let refused = reader(copy.path()).unwrap_err();
        assert!(matches!(refused, OpenError::NeedsCopy { .. }), "{refused}");
        assert!(refused.to_string().contains("copy the folder"), "{refused}");
    }
    // Copied to where it can be written, here the same place, it is read to its end.
    assert_eq!(assert_whole(copy.path()).await.batches, 5);
    drop(store);
}
