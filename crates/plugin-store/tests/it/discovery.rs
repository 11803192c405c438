//! Looking for plugins in folders.

use std::fs;

use flexcore_ports::PluginStore as _;

use crate::support::{Stage, write};

#[tokio::test]
async fn each_folder_with_a_manifest_is_a_plugin_or_says_why_not() {
    let stage = Stage::new();
    let folder = stage.plugin();
    let bad = "manifest = 1\n[plugin]\nname = \"Bad\"\n";
    write(&stage.path("broken/plugin.toml"), bad, 0o644);
    fs::create_dir(stage.path("empty")).unwrap();

    let found = stage.store.discover(stage.temporary.path()).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].folder, stage.path("broken"));
    let problems = found[0].manifest.clone().unwrap_err();
    assert!(problems.contains("broken/plugin.toml:2:2"), "{problems}");
    assert_eq!(found[1].manifest.as_ref().unwrap().name, "greeter");

    let itself = stage.store.discover(&folder).await.unwrap();
    assert_eq!(itself.len(), 1);
    assert_eq!(stage.store.discover(&stage.path("none")).await.unwrap_err().code, "FC0667");
}
