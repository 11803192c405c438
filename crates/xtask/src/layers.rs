//! Arrows only downward: the crates' dependencies against the floors table of ARCHITECTURE.md and
//! the walls of deny.toml.

mod rules;
mod table;
mod walls;

use anyhow::Context;

use crate::repository::Repository;
use crate::violation::Violation;

/// Where the floors table lives.
const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Holds every workspace member against the table and the walls.
pub(crate) fn check(repository: &Repository) -> anyhow::Result<Vec<Violation>> {
    let table = table::parse(&repository.read(ARCHITECTURE)?).context(ARCHITECTURE)?;
    let walls = walls::parse(&repository.read(walls::FILE)?).context(walls::FILE)?;
    let mut violations = rules::check_table(&table, repository);
    for package in repository.packages() {
        violations.extend(rules::check_package(&table, repository, package));
        violations.extend(walls::check_package(&walls, repository, package));
        violations.extend(check_lints(repository, package)?);
    }
    Ok(violations)
}

/// The workspace's lints hold in a crate only if its manifest asks for them.
fn check_lints(
    repository: &Repository,
    package: &crate::repository::Package,
) -> anyhow::Result<Option<Violation>> {
    let manifest = repository.relative(&package.manifest_path);
    let inherits = inherits_lints(&repository.read(manifest)?)
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    Ok((!inherits).then(|| {
        Violation::error(
            manifest,
            "the workspace's lints do not hold here; add `[lints] workspace = true`",
        )
    }))
}

fn inherits_lints(manifest: &str) -> anyhow::Result<bool> {
    let manifest: toml::Table = manifest.parse()?;
    Ok(manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        .and_then(toml::Value::as_bool)
        .unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_explicit_true_inherits_the_lints() {
        assert!(inherits_lints("[lints]\nworkspace = true\n").unwrap());
        assert!(!inherits_lints("[lints.rust]\nunsafe_code = \"deny\"\n").unwrap());
        assert!(!inherits_lints("[package]\nname = \"a\"\n").unwrap());
        assert!(inherits_lints("[lints").is_err());
    }
}
