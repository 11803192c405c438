//! Taking in folders.

use std::{fs, os::unix::fs::symlink};

use flexcore_plugin_protocol::ArchiveLimits;
use flexcore_plugin_store::StoreOptions;
use flexcore_ports::PluginStore as _;

use crate::support::{MANIFEST, Stage, mode, write};

#[tokio::test]
async fn a_folder_is_kept_read_only_under_its_digest() {
    let stage = Stage::new();
    let kept = stage.install(&stage.plugin()).await.unwrap();

    assert_eq!(kept.manifest.name, "greeter");
    assert_eq!(kept.manifest_text, MANIFEST);
    assert_eq!(kept.config_schema, Some(serde_json::json!({ "type": "object" })));
    assert_eq!(kept.signed_by, None);
    assert_eq!(kept.folder, stage.folders().join(kept.digest.to_string()));
    assert_eq!(mode(&kept.folder), 0o555);
    assert_eq!(mode(&kept.folder.join("bin")), 0o555);
    assert_eq!(mode(&kept.folder.join("bin/greeter")), 0o555);
    assert_eq!(mode(&kept.folder.join("lib/words.txt")), 0o444);
    let listing = fs::read_to_string(kept.folder.join("MANIFEST.sha256")).unwrap();
    assert_eq!(listing.lines().count(), 4);
    assert_eq!(stage.kept(), [kept.digest.to_string()]);
    assert_eq!(stage.store.find(&kept.digest).await.unwrap(), Some(kept));
}

#[tokio::test]
async fn the_same_plugin_twice_is_one() {
    let stage = Stage::new();
    let folder = stage.plugin();
    let first = stage.install(&folder).await.unwrap();
    assert_eq!(stage.install(&folder).await.unwrap(), first);
    write(&folder.join("lib/words.txt"), "good evening\n", 0o644);
    let other = stage.install(&folder).await.unwrap();
    assert_ne!(other.digest, first.digest);
    assert_eq!(stage.kept().len(), 2);
}

#[tokio::test]
async fn what_comes_out_of_the_store_goes_in_again_with_the_same_digest() {
    let stage = Stage::new();
    let kept = stage.install(&stage.plugin()).await.unwrap();
    assert_eq!(stage.install(&kept.folder).await.unwrap().digest, kept.digest);
}

#[tokio::test]
async fn links_to_own_files_are_kept_and_others_refused() {
    let stage = Stage::new();
    let folder = stage.plugin();
    symlink("words.txt", folder.join("lib/alias.txt")).unwrap();
    let kept = stage.install(&folder).await.unwrap();
    assert_eq!(
        fs::read_link(kept.folder.join("lib/alias.txt")).unwrap().to_str(),
        Some("words.txt")
    );

    for (target, code) in [
        ("/etc/passwd", "FC0609"),
        ("../../outside", "FC0609"),
        ("nothing", "FC0673"),
        (".", "FC0673"),
    ] {
        let link = folder.join("lib/bad");
        symlink(target, &link).unwrap();
        let error = stage.install(&folder).await.unwrap_err();
        assert_eq!(error.code, code, "{target}: {error}");
        assert!(error.message.contains("lib/bad"), "{error}");
        fs::remove_file(link).unwrap();
    }
    assert_eq!(stage.kept().len(), 1);
}

#[tokio::test]
async fn pipes_and_setuid_bits_are_refused() {
    let stage = Stage::new();
    let folder = stage.plugin();
    let pipe = folder.join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    assert_eq!(stage.install(&folder).await.unwrap_err().code, "FC0609");
    fs::remove_file(pipe).unwrap();
    write(&folder.join("bin/su"), "x", 0o4755);
    let error = stage.install(&folder).await.unwrap_err();
    assert!(error.message.contains("setuid"), "{error}");
    assert!(stage.kept().is_empty());
}

#[tokio::test]
async fn a_folder_that_is_no_plugin_says_what_is_missing() {
    let stage = Stage::new();
    let nowhere = flexcore_ports::PluginSource::Folder(stage.path("nowhere"));
    let error = stage.store.install(&nowhere).await.unwrap_err();
    assert_eq!(error.code, "FC0667");
    let empty = stage.path("empty");
    fs::create_dir(&empty).unwrap();
    let error = stage.install(&empty).await.unwrap_err();
    assert!(error.message.contains("it has no `plugin.toml`"), "{error}");

    let folder = stage.plugin();
    write(&folder.join("plugin.toml"), "manifest = 1\n[plugin]\nnam = \"x\"\n", 0o644);
    let error = stage.install(&folder).await.unwrap_err();
    assert!(error.message.contains("plugin.toml:3:1"), "{error}");

    write(&folder.join("plugin.toml"), MANIFEST, 0o644);
    write(&folder.join("bin/greeter"), "x", 0o644);
    let error = stage.install(&folder).await.unwrap_err();
    assert_eq!(error.code, "FC0672");
    assert!(error.message.contains("chmod +x"), "{error}");
    fs::remove_file(folder.join("bin/greeter")).unwrap();
    assert_eq!(stage.install(&folder).await.unwrap_err().code, "FC0672");
    write(&folder.join("bin/greeter"), "x", 0o755);
    write(&folder.join("config.schema.json"), "{", 0o644);
    assert_eq!(stage.install(&folder).await.unwrap_err().code, "FC0672");
    assert!(stage.kept().is_empty());
}

#[tokio::test]
async fn a_listing_that_does_not_fit_is_refused() {
    let stage = Stage::new();
    let kept = stage.install(&stage.plugin()).await.unwrap();
    let folder = stage.plugin();
    fs::copy(kept.folder.join("MANIFEST.sha256"), folder.join("MANIFEST.sha256")).unwrap();
    assert_eq!(stage.install(&folder).await.unwrap().digest, kept.digest);
    write(&folder.join("lib/words.txt"), "others\n", 0o644);
    let error = stage.install(&folder).await.unwrap_err();
    assert_eq!(error.code, "FC0612");
    assert!(error.message.contains("`lib/words.txt` was changed"), "{error}");
}

#[tokio::test]
async fn more_than_the_limits_is_refused() {
    let limits = ArchiveLimits { entries: 100, file_bytes: 1_000, total_bytes: 2_000 };
    let stage = Stage::with(StoreOptions { limits, must_be_signed: false });
    let folder = stage.plugin();
    write(&folder.join("lib/big"), &"x".repeat(1_001), 0o644);
    let error = stage.install(&folder).await.unwrap_err();
    assert_eq!(error.code, "FC0609");
    assert!(error.message.contains("lib/big"), "{error}");
}
