//! Swapping a program after it was looked at.

use std::{
    fs::{self, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use flexcore_plugin_protocol::ContentDigest;
use flexcore_sandbox::{JailSpec, VerifiedFile, VerifyError};

use super::cage::{Cage, Stage};

/// A program that says who it is, and its digest.
fn tool(cage: &Cage) -> (PathBuf, ContentDigest) {
    let path = cage.folder.path().canonicalize().unwrap().join("plugin/tool");
    fs::copy("/bin/echo", &path).unwrap();
    let digest = ContentDigest::of(&fs::read(&path).unwrap());
    (path, digest)
}

fn spec_with(cage: &Cage, file: &VerifiedFile) -> JailSpec {
    let mut spec = cage.spec();
    spec.verified.push(file.identity().clone());
    spec
}

/// Puts another program in its place, as one renames files.
fn swap(path: &Path) {
    let other = path.with_extension("other");
    fs::write(&other, "#!/bin/sh\necho ESCAPED\n").unwrap();
    fs::set_permissions(&other, Permissions::from_mode(0o755)).unwrap();
    fs::rename(&other, path).unwrap();
}

#[tokio::test]
async fn a_file_with_another_digest_and_a_link_are_not_verified() {
    let cage = Cage::new(Stage::all()[0]).await;
    let (path, digest) = tool(&cage);
    let other = ContentDigest::of(b"other");
    let different = VerifiedFile::open(&path, &other).unwrap_err();
    assert!(different.to_string().contains(&digest.to_string()), "{different}");
    let link = path.with_extension("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let refused = VerifiedFile::open(&link, &digest).unwrap_err();
    assert!(matches!(refused, VerifyError::NoFile { .. }), "{refused:?}");
}

#[tokio::test]
async fn what_was_verified_runs_and_what_was_swapped_or_written_since_does_not() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let (path, digest) = tool(&cage);
        let file = VerifiedFile::open(&path, &digest).unwrap();
        // As the jail shows it; without namespaces under the machine's own name, links resolved.
        let seen = if stage.has_namespaces() { cage.seen("plugin/tool") } else { path.clone() };
        let argv = [seen.to_str().unwrap(), "verified"];
        let (printed, _) = cage.run(&argv, spec_with(&cage, &file), &[]).await;
        assert_eq!(printed, "verified\n", "{stage:?}");

        let mut appended = fs::OpenOptions::new().append(true).open(&path).unwrap();
        appended.write_all(b"x").unwrap();
        drop(appended);
        let refused = cage.try_spawn(&argv, spec_with(&cage, &file)).await.unwrap_err();
        assert!(refused.to_string().contains("plugin/tool is no longer"), "{stage:?}: {refused}");

        fs::copy("/bin/echo", &path).unwrap();
        drop(file);
        let file = VerifiedFile::open(&path, &digest).unwrap();
        swap(&path);
        let refused = cage.try_spawn(&argv, spec_with(&cage, &file)).await.unwrap_err();
        assert!(refused.to_string().contains("plugin/tool is no longer"), "{stage:?}: {refused}");
        drop(file);
        cage.assert_clean().await;
    }
}

/// How the kernel names a program that was started from a descriptor: there is no path to swap.
#[tokio::test]
async fn a_verified_program_is_started_from_its_descriptor_and_knows_its_own_place() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let path = cage.folder.path().canonicalize().unwrap().join("plugin/escape");
        let digest = ContentDigest::of(&fs::read(&path).unwrap());
        let file = VerifiedFile::open(&path, &digest).unwrap();
        let (printed, _) = cage.escape(&["started-as"], spec_with(&cage, &file)).await;
        let seen = cage.seen("plugin/escape");
        let expected = format!(" escape-descriptor yes {}\n", seen.display());
        assert_eq!(printed, expected.trim_start(), "{stage:?}");
        let (printed, _) = cage.escape(&["started-as"], cage.spec()).await;
        assert!(printed.starts_with("escape-descriptor no "), "{stage:?}: {printed}");
        drop(file);
        cage.assert_clean().await;
    }
}

/// A script is compared and started by its name, which its interpreter needs.
#[tokio::test]
async fn a_verified_script_runs_as_long_as_it_is_what_it_was() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let path = cage.folder.path().canonicalize().unwrap().join("plugin/script");
        fs::write(&path, "#!/bin/sh\necho script $0\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let digest = ContentDigest::of(&fs::read(&path).unwrap());
        let file = VerifiedFile::open(&path, &digest).unwrap();
        let seen = cage.seen("plugin/script");
        let argv = [seen.to_str().unwrap()];
        let (printed, _) = cage.run(&argv, spec_with(&cage, &file), &[]).await;
        assert_eq!(printed, format!("script {}\n", seen.display()), "{stage:?}");
        swap(&path);
        let refused = cage.try_spawn(&argv, spec_with(&cage, &file)).await.unwrap_err();
        assert!(refused.to_string().contains("script is no longer"), "{stage:?}: {refused}");
        drop(file);
        cage.assert_clean().await;
    }
}
