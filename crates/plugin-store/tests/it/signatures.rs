//! Signed plugins, and what passes for one.

use std::{fs, path::Path};

use flexcore_plugin_protocol::ContentListing;
use flexcore_plugin_store::StoreOptions;
use minisign::KeyPair;

use crate::support::{MANIFEST, Stage, write};

/// Signs the plugin in a folder as its author would.
fn sign(stage: &Stage, folder: &Path, keys: &KeyPair, version: &str) {
    let manifest = format!(
        "{MANIFEST}[artifact]\nsha256 = \"{}\"\nsignature = \"plugin.minisig\"\n",
        listing(stage, folder).artifact_digest()
    );
    write(&folder.join("plugin.toml"), &manifest, 0o644);
    let listing = listing(stage, folder);
    let comment = format!("greeter {version} {}", listing.digest());
    let text = listing.to_string();
    let signature = minisign::sign(None, &keys.sk, text.as_bytes(), Some(&comment), None).unwrap();
    write(&folder.join("plugin.minisig"), &signature.into_string(), 0o644);
    write(&folder.join("MANIFEST.sha256"), &text, 0o644);
}

fn listing(_: &Stage, folder: &Path) -> ContentListing {
    let files = ["bin/greeter", "config.schema.json", "lib/words.txt", "plugin.toml"];
    let entry = |name: &&str| {
        let bytes = fs::read(folder.join(name)).unwrap();
        let path = flexcore_plugin_protocol::ContentPath::parse(name).unwrap();
        (path, flexcore_plugin_protocol::ContentDigest::of(&bytes))
    };
    files.iter().map(entry).collect()
}

fn trust(stage: &Stage, keys: &KeyPair) {
    let path = stage.path("state/trusted-keys/author.pub");
    write(&path, &keys.pk.to_box().unwrap().into_string(), 0o644);
}

#[tokio::test]
async fn a_trusted_signature_is_noted() {
    let stage = Stage::new();
    let keys = KeyPair::generate_unencrypted_keypair().unwrap();
    trust(&stage, &keys);
    let folder = stage.plugin();
    sign(&stage, &folder, &keys, "1.0.0");
    let kept = stage.install(&folder).await.unwrap();
    assert!(kept.signed_by.is_some_and(|id| id.len() == 16));
    assert!(kept.folder.join("plugin.minisig").is_file());
}

#[tokio::test]
async fn a_signature_of_a_stranger_is_none() {
    let stage = Stage::new();
    let folder = stage.plugin();
    sign(&stage, &folder, &KeyPair::generate_unencrypted_keypair().unwrap(), "1.0.0");
    assert_eq!(stage.install(&folder).await.unwrap().signed_by, None);

    let strict = Stage::with(StoreOptions { must_be_signed: true, ..StoreOptions::default() });
    let error = strict.install(&folder).await.unwrap_err();
    assert_eq!(error.code, "FC0671");
    assert!(strict.kept().is_empty());
}

#[tokio::test]
async fn a_signature_for_something_else_is_refused() {
    let stage = Stage::new();
    let keys = KeyPair::generate_unencrypted_keypair().unwrap();
    trust(&stage, &keys);
    let folder = stage.plugin();
    sign(&stage, &folder, &keys, "0.9.0");
    let error = stage.install(&folder).await.unwrap_err();
    assert_eq!(error.code, "FC0608", "{error}");

    sign(&stage, &folder, &keys, "1.0.0");
    write(&folder.join("bin/greeter"), "#!/bin/sh\nrm -rf ~\n", 0o755);
    assert_eq!(stage.install(&folder).await.unwrap_err().code, "FC0612");
    write(&folder.join("plugin.minisig"), "not a signature", 0o644);
    write(&folder.join("bin/greeter"), "#!/bin/sh\necho hello\n", 0o755);
    assert_eq!(stage.install(&folder).await.unwrap_err().code, "FC0608");
}

#[tokio::test]
async fn a_key_that_is_none_is_named() {
    let stage = Stage::new();
    write(&stage.path("state/trusted-keys/wrong.pub"), "hello", 0o644);
    let error = stage.install(&stage.plugin()).await.unwrap_err();
    assert_eq!(error.code, "FC0670");
    assert!(error.message.contains("wrong.pub"), "{error}");
}
