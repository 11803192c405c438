//! Checks and generators of this workspace: `cargo xtask NAME`.
//!
//! A rule that no tool checks does not exist, so the rules of ARCHITECTURE.md that neither rustc
//! nor clippy can hold are held here. Each check reads the repository and answers with a list of
//! [`Violation`]s; `main` prints them and fails if there are any. Text, manifests and `cargo
//! metadata` are all that they read, so they say something even while the product does not compile.
//!
//! To add a check: write a module with one `check(&Repository) -> anyhow::Result<Vec<Violation>>`,
//! test its parser beside it, and add a line to [`CHECKS`]. It is then part of `cargo xtask check`,
//! and so of `make lint`.

mod error_pages;
mod layers;
mod links;
mod paths;
mod repository;
mod schemas;
mod sizes;
mod source;
mod violation;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};

use repository::Repository;
use violation::{Severity, Violation};

/// One rule that can be held on its own.
struct Check {
    name: &'static str,
    about: &'static str,
    run: fn(&Repository) -> anyhow::Result<Vec<Violation>>,
}

/// Every check, in the order in which `cargo xtask check` runs them.
const CHECKS: &[Check] = &[
    Check {
        name: "check-layers",
        about: "hold the crates' dependencies against the floors table in ARCHITECTURE.md and the walls in deny.toml",
        run: layers::check,
    },
    Check {
        name: "check-sizes",
        about: "no file over 500 lines without tests; look again at crates over 5,000",
        run: sizes::check,
    },
    Check {
        name: "check-paths",
        about: "no file names an absolute path of somebody's machine",
        run: paths::check,
    },
    Check {
        name: "check-errors",
        about: "every stable error code has its page in docs/errors, and every page its code",
        run: error_pages::check,
    },
    Check {
        name: "check-links",
        about: "every relative link of a document leads to a file",
        run: links::check,
    },
];

/// Not among the others because it builds the binary first.
const CHECK_SCHEMAS: Check = Check {
    name: "check-schemas",
    about: "the JSON Schemas in schemas/ are those that the binary prints",
    run: schemas::check,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing is left to do if even stderr is gone.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Does what the arguments say; `false` if a rule is broken.
fn run(arguments: &[String]) -> anyhow::Result<bool> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            write!(io::stdout(), "{}", usage()).context("cannot print the usage")?;
            Ok(true)
        }
        ["schemas"] => {
            schemas::write(&Repository::find()?)?;
            Ok(true)
        }
        ["check"] => run_checks(CHECKS.iter()),
        ["check-schemas"] => run_checks(std::iter::once(&CHECK_SCHEMAS)),
        [name] => match CHECKS.iter().find(|check| check.name == *name) {
            Some(check) => run_checks(std::iter::once(check)),
            None => bail!("there is no task {name:?}; `cargo xtask help` lists them"),
        },
        _ => bail!("one task at a time; `cargo xtask help` lists them"),
    }
}

fn usage() -> String {
    let line = |(name, about): (&str, &str)| format!("  {name:<15}{about}\n");
    let checks: String = CHECKS.iter().map(|check| line((check.name, check.about))).collect();
    let rest: String = [
        (CHECK_SCHEMAS.name, CHECK_SCHEMAS.about),
        ("schemas", "write the JSON Schemas into schemas/"),
    ]
    .map(line)
    .concat();
    format!("usage: cargo xtask TASK\n\n  check          all of these:\n{checks}\n{rest}")
}

fn run_checks<'a>(checks: impl Iterator<Item = &'a Check>) -> anyhow::Result<bool> {
    let repository = Repository::find()?;
    let mut kept = true;
    for check in checks {
        let violations =
            (check.run)(&repository).with_context(|| format!("{} could not run", check.name))?;
        kept &= !violations.iter().any(|violation| violation.severity == Severity::Error);
        report(check.name, &violations)?;
    }
    Ok(kept)
}

fn report(name: &str, violations: &[Violation]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for violation in violations {
        writeln!(out, "{violation}").context("cannot print")?;
    }
    let count = violations.iter().filter(|violation| violation.severity == Severity::Error).count();
    match count {
        0 => writeln!(out, "{name}: ok"),
        _ => writeln!(out, "{name}: {count} broken"),
    }
    .context("cannot print")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_names_every_check() {
        let usage = usage();
        for check in CHECKS {
            assert!(usage.contains(check.name), "{} is missing in:\n{usage}", check.name);
        }
    }

    #[test]
    fn an_unknown_task_is_refused_by_name() {
        let error = run(&["check-nothing".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("\"check-nothing\""), "{error}");
    }
}
