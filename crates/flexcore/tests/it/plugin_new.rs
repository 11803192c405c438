//! A plugin that `flexcore plugin new` makes, built and held against the protocol.

use std::{fs, path::Path, process::Command};

use crate::project::Project;

/// With the versions of our own lock file, so that it needs no network, and a target folder that is
/// kept: its dependencies are built once.
#[test]
fn a_new_plugin_in_rust_is_built_and_conforms() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize();
    let repository = repository.expect("the checkout");
    let project = Project::new();
    let sdk = repository.display().to_string();
    let new = ["plugin", "new", "greeter", "--language", "rust", "--sdk", &sdk];
    project.flexcore(&new).completes();
    fs::copy(repository.join("Cargo.lock"), project.path("greeter/Cargo.lock"))
        .expect("a lock file");
    let target = repository.join(".cache/plugin-new");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--quiet"])
        .current_dir(project.path("greeter"))
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .expect("cargo starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    fs::create_dir_all(project.path("dist/bin")).expect("a folder");
    fs::copy(target.join("debug/greeter"), project.path("dist/bin/greeter")).expect("a program");
    for file in ["plugin.toml", "conformance.json"] {
        fs::copy(project.path("greeter").join(file), project.path("dist").join(file)).expect(file);
    }
    let report = project.json(&["plugin", "conformance", "dist"]).completes().value();
    assert_eq!(report["conforms"], true, "{report:#}");
}
