//! Files and crates stay small enough to be read in one sitting. Functions and parameters are
//! clippy's.

mod exceptions;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;

use crate::repository::Repository;
use crate::source;
use crate::violation::Violation;

/// Lines of a file, without its tests, at which the check fails.
const FILE_LIMIT: usize = 500;
/// Lines of a crate, without tests, at which somebody should look again.
const CRATE_LOOK_AGAIN: usize = 5_000;
/// Where a file's right to be longer is written down.
const EXCEPTIONS: &str = ".config/size-exceptions.toml";

/// Measures every production source file and every crate.
pub(crate) fn check(repository: &Repository) -> anyhow::Result<Vec<Violation>> {
    let exceptions = exceptions::parse(&repository.read(EXCEPTIONS)?).context(EXCEPTIONS)?;
    let mut files = BTreeMap::new();
    for file in repository.files()?.into_iter().filter(|file| source::ships(file)) {
        let lines = source::without_tests(&repository.read(&file)?).len();
        files.insert(file, lines);
    }
    let mut violations = check_files(&files, &exceptions);
    violations.extend(check_crates(&files));
    Ok(violations)
}

fn check_files(
    files: &BTreeMap<PathBuf, usize>,
    exceptions: &BTreeMap<PathBuf, exceptions::Exception>,
) -> Vec<Violation> {
    let too_long = files.iter().filter_map(|(file, lines)| {
        let limit = exceptions.get(file).map_or(FILE_LIMIT, |exception| exception.limit);
        (*lines > limit).then(|| {
            let message = format!(
                "{lines} lines without tests, the limit is {limit}; split it along what it does (or, with a reason, add it to {EXCEPTIONS})"
            );
            Violation::error(file, message)
        })
    });
    let stale = exceptions.keys().filter_map(|file| {
        let lines = files.get(file).copied().unwrap_or(0);
        (lines <= FILE_LIMIT).then(|| {
            let message = format!("{} no longer needs its exception; remove it", file.display());
            Violation::error(EXCEPTIONS, message)
        })
    });
    too_long.chain(stale).collect()
}

fn check_crates(files: &BTreeMap<PathBuf, usize>) -> Vec<Violation> {
    let mut crates: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (file, lines) in files {
        *crates.entry(file.iter().take(2).collect()).or_default() += lines;
    }
    crates
        .into_iter()
        .filter(|(_, lines)| *lines > CRATE_LOOK_AGAIN)
        .map(|(folder, lines)| {
            let message = format!(
                "{lines} lines without tests, over {CRATE_LOOK_AGAIN}; look again whether it is still one thing"
            );
            Violation::warning(folder, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::violation::Severity;
    use exceptions::Exception;

    fn files(sizes: &[(&str, usize)]) -> BTreeMap<PathBuf, usize> {
        sizes.iter().map(|(file, lines)| (PathBuf::from(file), *lines)).collect()
    }

    fn exception(file: &str, limit: usize) -> BTreeMap<PathBuf, Exception> {
        BTreeMap::from([(PathBuf::from(file), Exception { limit })])
    }

    #[test]
    fn a_file_may_reach_the_limit_but_not_pass_it() {
        let none = BTreeMap::new();
        assert_eq!(check_files(&files(&[("a.rs", FILE_LIMIT)]), &none), []);
        let violations = check_files(&files(&[("a.rs", FILE_LIMIT + 1)]), &none);
        assert!(violations[0].to_string().starts_with("error: a.rs: 501 lines"), "{violations:?}");
    }

    #[test]
    fn an_exception_raises_the_limit_of_its_file_only() {
        let exceptions = exception("a.rs", 600);
        assert_eq!(check_files(&files(&[("a.rs", 600)]), &exceptions), []);
        let violations = check_files(&files(&[("a.rs", 601), ("b.rs", 550)]), &exceptions);
        assert_eq!(violations.len(), 2);
    }

    #[test]
    fn an_exception_that_is_not_needed_is_reported() {
        let short = check_files(&files(&[("a.rs", 300)]), &exception("a.rs", 600));
        assert!(short[0].message.contains("a.rs no longer needs"), "{short:?}");
        assert_eq!(check_files(&files(&[]), &exception("gone.rs", 600)).len(), 1);
    }

    #[test]
    fn a_large_crate_is_worth_another_look_and_no_more() {
        let sizes = files(&[
            ("crates/a/src/x.rs", 3_000),
            ("crates/a/src/y.rs", 2_001),
            ("crates/b/src/x.rs", 5_000),
        ]);
        let violations = check_crates(&sizes);
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].severity, Severity::Warning);
        assert_eq!(violations[0].file, Path::new("crates/a"));
    }
}
