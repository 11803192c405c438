//! The walls of deny.toml: which crate alone may depend on a library.
//!
//! `cargo deny` holds them over the whole dependency graph; this holds our own manifests against
//! the same lines, so that a wall stands on a machine without `cargo deny`, and says so in a
//! second.

use anyhow::Context;
use serde::Deserialize;

use crate::repository::{Package, Repository};
use crate::violation::Violation;

/// The file with the walls.
pub(super) const FILE: &str = "deny.toml";

#[derive(Deserialize)]
struct DenyFile {
    bans: Bans,
}

#[derive(Deserialize)]
struct Bans {
    #[serde(default)]
    deny: Vec<Wall>,
}

/// A library that is banned but for its wrappers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Wall {
    #[serde(rename = "crate")]
    library: String,
    #[serde(default)]
    wrappers: Vec<String>,
    reason: String,
}

/// Reads the walls.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Wall>> {
    let file: DenyFile = toml::from_str(text).context("cannot read the walls")?;
    Ok(file.bans.deny)
}

/// One crate's own dependencies against the walls; tests may look over them.
pub(super) fn check_package(
    walls: &[Wall],
    repository: &Repository,
    package: &Package,
) -> Vec<Violation> {
    let manifest = repository.relative(&package.manifest_path);
    package
        .dependencies
        .iter()
        .filter(|dependency| !dependency.is_ours() && !dependency.is_for_tests())
        .filter_map(|dependency| walls.iter().find(|wall| wall.library == dependency.name))
        .filter(|wall| !wall.wrappers.contains(&package.name))
        .map(|wall| {
            let message = format!(
                "{} must not depend on {}: {} ({FILE} names who may)",
                package.name, wall.library, wall.reason
            );
            Violation::error(manifest, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::repository::Dependency;

    const WALLS: &str = r#"
[bans]
deny = [
  { crate = "rusqlite", wrappers = ["flexcore-store-sqlite"], reason = "SQLite is an adapter's business" },
  { crate = "openssl", reason = "rustls is the one TLS library" },
]
"#;

    fn found(package: &str, dependency: Dependency) -> Vec<Violation> {
        let package = Package {
            name: package.to_owned(),
            manifest_path: PathBuf::from("Cargo.toml"),
            dependencies: vec![dependency],
        };
        check_package(&parse(WALLS).unwrap(), &Repository::at(Path::new("")), &package)
    }

    #[test]
    fn a_wrapper_may_pass_and_others_may_not() {
        assert_eq!(found("flexcore-store-sqlite", Dependency::new("rusqlite", None, false)), []);
        let violations = found("flexcore-app", Dependency::new("rusqlite", None, false));
        assert_eq!(
            violations[0].message,
            "flexcore-app must not depend on rusqlite: SQLite is an adapter's business (deny.toml names who may)"
        );
    }

    #[test]
    fn a_library_without_wrappers_is_for_nobody() {
        assert_eq!(
            found("flexcore-cli", Dependency::new("openssl", Some("build"), false)).len(),
            1
        );
    }

    #[test]
    fn tests_may_look_over_a_wall() {
        assert_eq!(found("flexcore-app", Dependency::new("rusqlite", Some("dev"), false)), []);
    }

    #[test]
    fn a_wall_without_a_reason_is_refused() {
        let error = parse("[bans]\ndeny = [{ crate = \"a\" }]\n").unwrap_err();
        assert!(format!("{error:#}").contains("reason"), "{error:#}");
    }
}
