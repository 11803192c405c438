//! What the floors table means for a crate.

use crate::repository::{Dependency, Package, Repository};
use crate::violation::Violation;

use super::ARCHITECTURE;
use super::table::{Allowed, Floor, Row, Table};

/// Packages are named `flexcore-NAME`; the binary and the tools have no prefix.
const PREFIX: &str = "flexcore-";
/// The highest floor whose crates tests may use as real parts.
const REAL_PARTS: Floor = Floor::Numbered(2);

/// The crate's name in the table.
fn short(package: &str) -> &str {
    package.strip_prefix(PREFIX).unwrap_or(package)
}

/// The table itself: rows for crates that exist, arrows that point downward.
pub(super) fn check_table(table: &Table, repository: &Repository) -> Vec<Violation> {
    let exists =
        |name: &str| repository.packages().iter().any(|package| short(&package.name) == name);
    let mut violations = Vec::new();
    for (name, row) in &table.rows {
        if !exists(name) {
            let message = format!("`{name}` has a row, but there is no such crate (yet)");
            violations.push(Violation::warning(ARCHITECTURE, message).at(row.line));
        }
        violations.extend(upward_arrows(table, name, row));
    }
    violations
}

fn upward_arrows(table: &Table, name: &str, row: &Row) -> Vec<Violation> {
    let target = |allowed: &Allowed| match allowed {
        Allowed::Crate(dependency) => Some((format!("`{dependency}`"), table.floor(dependency)?)),
        Allowed::Floor(floor) => Some((floor.to_string(), *floor)),
        Allowed::EverythingBelow => None,
    };
    row.allowed
        .iter()
        .filter_map(target)
        .filter(|(_, floor)| *floor > row.floor)
        .map(|(dependency, _)| {
            let message = format!(
                "`{name}` stands on {}, so it may not depend on {dependency} above it",
                row.floor
            );
            Violation::error(ARCHITECTURE, message).at(row.line)
        })
        .collect()
}

/// One crate: it has a row, its folder is named after it, its dependencies are those of its row.
pub(super) fn check_package(
    table: &Table,
    repository: &Repository,
    package: &Package,
) -> Vec<Violation> {
    let name = short(&package.name);
    let manifest = repository.relative(&package.manifest_path);
    let Some(row) = table.rows.get(name) else {
        let message = format!("`{name}` has no row in the floors table of {ARCHITECTURE}; add one");
        return vec![Violation::error(manifest, message)];
    };
    let folder = manifest.parent().and_then(|folder| folder.file_name());
    let misnamed = folder.filter(|folder| *folder != name).map(|folder| {
        let message = format!(
            "the folder is named {}, the crate `{name}`; name them alike",
            folder.display()
        );
        Violation::error(manifest, message)
    });
    let broken = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.is_ours())
        .filter_map(|dependency| broken_rule(table, name, row, dependency))
        .map(|message| Violation::error(manifest, message));
    misnamed.into_iter().chain(broken).collect()
}

/// Why the dependency is not allowed; `None` if it is.
fn broken_rule(table: &Table, name: &str, row: &Row, dependency: &Dependency) -> Option<String> {
    let other = short(&dependency.name);
    if table.allows(row, other) || (dependency.is_for_tests() && is_for_tests(table, row, other)) {
        return None;
    }
    let reason = match table.floor(other) {
        None => format!("`{other}` has no row in the floors table of {ARCHITECTURE}"),
        Some(Floor::Beside) if row.floor != Floor::Beside => {
            format!("`{other}` is beside the floors; only tests may use testkit, nothing else")
        }
        Some(floor) if floor > row.floor => {
            format!("arrows point downward, and `{other}` stands on {floor}")
        }
        Some(_) => format!("its row in {ARCHITECTURE} (line {}) does not name `{other}`", row.line),
    };
    Some(format!("`{name}` ({}) must not depend on `{other}`: {reason}", row.floor))
}

/// Tests run on the real parts; but what is pure is tested without any.
fn is_for_tests(table: &Table, row: &Row, other: &str) -> bool {
    let real_part = table.floor(other).is_some_and(|floor| floor <= REAL_PARTS);
    other == "testkit" || (row.floor > Floor::Numbered(0) && real_part)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::layers::table;

    const DOCUMENT: &str = "<!-- check-layers: floors -->
| floor | crate | what it is | may depend on |
|---|---|---|---|
| 0 | `domain` | decides | — |
| 1 | `ports` | traits | floor 0 |
| 1 | `app` | use cases | floor 0, `ports` |
| 2 | `store` | log | floor 0, `ports` |
| 3 | `cli` | arguments | `app` |
| beside | `testkit` | tests | floor 0, floor 1 |
<!-- /check-layers -->";

    fn package(name: &str, dependencies: &[Dependency]) -> Package {
        Package {
            name: format!("{PREFIX}{name}"),
            manifest_path: PathBuf::from(format!("crates/{name}/Cargo.toml")),
            dependencies: dependencies.to_vec(),
        }
    }

    fn ours(name: &str) -> Dependency {
        Dependency::new(&format!("{PREFIX}{name}"), None, true)
    }

    fn ours_in_tests(name: &str) -> Dependency {
        Dependency::new(&format!("{PREFIX}{name}"), Some("dev"), true)
    }

    fn violations(name: &str, dependencies: &[Dependency]) -> Vec<String> {
        let table = table::parse(DOCUMENT).unwrap();
        let repository = Repository::at(Path::new(""));
        let package = package(name, dependencies);
        check_package(&table, &repository, &package).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_the_row_names_is_allowed() {
        assert_eq!(violations("app", &[ours("domain"), ours("ports")]), [""; 0]);
    }

    #[test]
    fn third_party_crates_are_not_the_tables_business() {
        assert_eq!(violations("domain", &[Dependency::new("uuid", None, false)]), [""; 0]);
    }

    #[test]
    fn an_arrow_upward_is_refused() {
        let found = violations("domain", &[ours("ports")]);
        assert_eq!(
            found,
            [
                "error: crates/domain/Cargo.toml: `domain` (floor 0) must not depend on `ports`: arrows point downward, and `ports` stands on floor 1"
            ]
        );
    }

    #[test]
    fn an_adapter_that_knows_the_application_is_refused() {
        let found = violations("store", &[ours("app")]);
        assert!(
            found[0].ends_with("its row in ARCHITECTURE.md (line 7) does not name `app`"),
            "{found:?}"
        );
    }

    #[test]
    fn a_crate_without_a_row_is_refused_as_itself_and_as_a_dependency() {
        assert!(violations("common", &[])[0].contains("`common` has no row"));
        assert!(violations("app", &[ours("common")])[0].contains("`common` has no row"));
    }

    #[test]
    fn tests_may_use_the_testkit_and_real_parts_but_nothing_above() {
        assert_eq!(violations("app", &[ours_in_tests("testkit"), ours_in_tests("store")]), [""; 0]);
        assert_eq!(violations("app", &[ours_in_tests("cli")]).len(), 1);
        assert_eq!(violations("domain", &[ours_in_tests("testkit")]), [""; 0]);
        assert_eq!(violations("domain", &[ours_in_tests("store")]).len(), 1);
    }

    #[test]
    fn the_testkit_never_ships() {
        let found = violations("app", &[ours("testkit")]);
        assert!(found[0].contains("`testkit` is beside the floors"), "{found:?}");
    }

    #[test]
    fn a_folder_with_another_name_is_reported() {
        let table = table::parse(DOCUMENT).unwrap();
        let mut package = package("ports", &[]);
        package.manifest_path = PathBuf::from("crates/traits/Cargo.toml");
        let found = check_package(&table, &Repository::at(Path::new("")), &package);
        assert!(found[0].message.contains("name them alike"), "{found:?}");
    }

    #[test]
    fn a_table_with_an_upward_arrow_or_a_stale_row_is_reported() {
        let document = DOCUMENT.replace("| decides | — |", "| decides | `app` |");
        let table = table::parse(&document).unwrap();
        let found = check_table(&table, &Repository::at(Path::new("")));
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(
            shown.iter().any(|line| line.contains("may not depend on `app` above it")),
            "{shown:?}"
        );
        assert!(
            shown.iter().any(|line| line.contains("`cli` has a row, but there is no such crate")),
            "{shown:?}"
        );
    }
}
