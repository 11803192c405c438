//! The published JSON Schemas in `schemas/`, checked in so that editors can refer to them.
//!
//! The binary prints them from the types of the language (`flexcore schema NAME`), so what is
//! published is what the binary accepts, and the checks compile without the product.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::repository::Repository;
use crate::violation::Violation;

const FOLDER: &str = "schemas";
/// What `flexcore schema` can print.
const NAMES: &[&str] = &["pipeline", "project"];

/// A file of `schemas/` as it ought to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Schema {
    file: PathBuf,
    text: String,
}

/// Writes every schema.
pub(crate) fn write(repository: &Repository) -> anyhow::Result<()> {
    store(repository, &generate(repository)?)
}

/// Holds the files against what the binary prints now.
pub(crate) fn check(repository: &Repository) -> anyhow::Result<Vec<Violation>> {
    Ok(compare(repository, &generate(repository)?))
}

fn generate(repository: &Repository) -> anyhow::Result<Vec<Schema>> {
    NAMES.iter().map(|name| Schema::new(name, &print(repository, name)?)).collect()
}

/// What `flexcore schema NAME` prints; builds the binary if needed.
fn print(repository: &Repository, name: &str) -> anyhow::Result<Vec<u8>> {
    let output = Command::new("cargo")
        .args(["run", "--quiet", "--package", "flexcore", "--", "schema", name])
        .current_dir(repository.path(""))
        .output()
        .context("cannot run cargo")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`flexcore schema {name}` failed: {}", error.trim());
    Ok(output.stdout)
}

impl Schema {
    /// One layout, whatever the binary's.
    fn new(name: &str, printed: &[u8]) -> anyhow::Result<Self> {
        let schema: serde_json::Value = serde_json::from_slice(printed)
            .with_context(|| format!("`flexcore schema {name}` did not print JSON"))?;
        let file = PathBuf::from(FOLDER).join(format!("{name}.schema.json"));
        Ok(Self { file, text: format!("{schema:#}\n") })
    }
}

fn store(repository: &Repository, schemas: &[Schema]) -> anyhow::Result<()> {
    fs::create_dir_all(repository.path(FOLDER)).with_context(|| format!("cannot make {FOLDER}"))?;
    for Schema { file, text } in schemas {
        fs::write(repository.path(file), text)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn compare(repository: &Repository, schemas: &[Schema]) -> Vec<Violation> {
    // A file that cannot be read is as stale as one that differs.
    let is_current =
        |schema: &&Schema| repository.read(&schema.file).is_ok_and(|text| text == schema.text);
    let stale = schemas.iter().filter(|schema| !is_current(schema));
    stale
        .map(|Schema { file, .. }| {
            Violation::error(file, "not what the types say; run `cargo xtask schemas`")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schemas() -> Vec<Schema> {
        vec![
            Schema::new("pipeline", b"{\"type\":\"object\"}").unwrap(),
            Schema::new("project", b"{\"type\":\"array\"}").unwrap(),
        ]
    }

    #[test]
    fn what_was_just_written_is_current() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::at(folder.path());
        store(&repository, &schemas()).unwrap();
        assert_eq!(compare(&repository, &schemas()), []);
        let text = repository.read("schemas/pipeline.schema.json").unwrap();
        assert_eq!(text, "{\n  \"type\": \"object\"\n}\n");
    }

    #[test]
    fn a_changed_and_a_missing_schema_are_both_reported() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::at(folder.path());
        assert_eq!(compare(&repository, &schemas()).len(), 2);
        store(&repository, &schemas()).unwrap();
        fs::write(repository.path("schemas/project.schema.json"), "{}").unwrap();
        let found = compare(&repository, &schemas());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].file, PathBuf::from("schemas/project.schema.json"));
    }

    #[test]
    fn output_that_is_no_json_is_refused_with_its_command() {
        let error = Schema::new("pipeline", b"usage: flexcore").unwrap_err();
        assert_eq!(error.to_string(), "`flexcore schema pipeline` did not print JSON");
    }
}
