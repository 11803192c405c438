//! What becomes of plugins in the store: found, tampered with, repaired, removed.

use std::{fs, os::unix::fs::PermissionsExt as _};

use flexcore_plugin_protocol::ContentDigest;
use flexcore_plugin_store::{FolderPluginStore, StoreOptions};
use flexcore_ports::{PluginSource, PluginStore as _};

use crate::support::{Stage, write};

#[tokio::test]
async fn a_plugin_that_is_not_there_is_none() {
    let stage = Stage::new();
    let digest = ContentDigest::of(b"nothing");
    assert_eq!(stage.store.find(&digest).await, Ok(None));
    assert_eq!(stage.store.remove(&digest).await, Ok(()));
}

#[tokio::test]
async fn whoever_changes_a_kept_file_is_found_out() {
    let stage = Stage::new();
    let kept = stage.install(&stage.plugin()).await.unwrap();
    let words = kept.folder.join("lib/words.txt");
    let when = fs::metadata(&words).unwrap().modified().unwrap();
    fs::set_permissions(&words, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&words, "HELLO\n").unwrap();
    // Same length, same time: only the inode knows.
    fs::File::open(&words).unwrap().set_modified(when).unwrap();
    fs::set_permissions(&words, fs::Permissions::from_mode(0o444)).unwrap();

    let error = stage.store.find(&kept.digest).await.unwrap_err();
    assert_eq!(error.code, "FC0669");
    assert!(error.message.contains("`lib/words.txt` was changed"), "{error}");
    let fresh = FolderPluginStore::new(
        stage.path("state/plugins"),
        stage.path("keys"),
        StoreOptions::default(),
    );
    assert_eq!(fresh.find(&kept.digest).await.unwrap_err().code, "FC0669");
}

#[tokio::test]
async fn files_that_are_added_or_gone_are_found_out() {
    let stage = Stage::new();
    let kept = stage.install(&stage.plugin()).await.unwrap();
    let folder = kept.folder.join("lib");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    write(&folder.join("more"), "x", 0o644);
    let error = stage.store.find(&kept.digest).await.unwrap_err();
    assert!(error.message.contains("`lib/more` is not listed"), "{error}");
    fs::remove_file(folder.join("more")).unwrap();
    assert!(stage.store.find(&kept.digest).await.unwrap().is_some());
    fs::remove_file(folder.join("words.txt")).unwrap();
    let error = stage.store.find(&kept.digest).await.unwrap_err();
    assert!(error.message.contains("`lib/words.txt` is missing"), "{error}");
}

#[tokio::test]
async fn a_listing_cannot_be_changed_along_with_a_file() {
    let stage = Stage::new();
    let kept = stage.install(&stage.plugin()).await.unwrap();
    let listing = kept.folder.join("MANIFEST.sha256");
    fs::set_permissions(&listing, fs::Permissions::from_mode(0o644)).unwrap();
    let text = fs::read_to_string(&listing).unwrap();
    fs::write(&listing, text.replace("lib/words", "lib/swords")).unwrap();
    let error = stage.store.find(&kept.digest).await.unwrap_err();
    assert!(error.message.contains("`MANIFEST.sha256` was changed"), "{error}");
}

#[tokio::test]
async fn installing_again_repairs() {
    let stage = Stage::new();
    let folder = stage.plugin();
    let kept = stage.install(&folder).await.unwrap();
    fs::set_permissions(kept.folder.join("lib"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(kept.folder.join("lib/words.txt")).unwrap();
    assert!(stage.store.find(&kept.digest).await.is_err());
    assert_eq!(stage.install(&folder).await.unwrap(), kept);
    assert_eq!(stage.kept().len(), 1);
}

#[tokio::test]
async fn a_removed_plugin_is_gone() {
    let stage = Stage::new();
    let kept = stage.install(&stage.plugin()).await.unwrap();
    stage.store.remove(&kept.digest).await.unwrap();
    assert_eq!(stage.store.find(&kept.digest).await, Ok(None));
    assert!(stage.kept().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_install_the_same_at_once() {
    let stage = Stage::new();
    let folder = stage.plugin();
    let mut installs = tokio::task::JoinSet::new();
    for _ in 0..16 {
        // Each as another process would.
        let store = FolderPluginStore::new(
            stage.path("state/plugins"),
            stage.path("keys"),
            StoreOptions::default(),
        );
        let source = PluginSource::Folder(folder.clone());
        installs.spawn(async move { store.install(&source).await.unwrap().digest });
    }
    let digests = installs.join_all().await;
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    assert_eq!(stage.kept(), [digests[0].to_string()]);
}

#[tokio::test]
async fn what_a_crash_left_is_swept() {
    let stage = Stage::new();
    let left = stage.folders().join(".new-1-0/lib");
    fs::create_dir_all(&left).unwrap();
    write(&left.join("x"), "x", 0o444);
    fs::set_permissions(&left, fs::Permissions::from_mode(0o555)).unwrap();
    let kept = stage.install(&stage.plugin()).await.unwrap();
    assert_eq!(stage.kept(), [kept.digest.to_string()]);
}
