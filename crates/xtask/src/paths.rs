//! No file may name an absolute path of somebody's machine: it would be true in one place only.

use std::path::Path;

use crate::repository::Repository;
use crate::violation::Violation;

/// First components of paths that belong to one machine or one person.
const PERSONAL_ROOTS: &[&str] = &["home", "Users", "work"];
/// Folders in somebody's home, wherever that lies.
const PERSONAL_FOLDERS: &[&str] = &[".cargo", ".rustup", ".pyenv", ".ssh"];

/// Larger files are data.
const LARGEST_TEXT: usize = 1024 * 1024;

/// Looks through every text file of the repository.
pub(crate) fn check(repository: &Repository) -> anyhow::Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for file in repository.files()? {
        // What is not UTF-8 is not text.
        let Ok(text) = repository.read(&file) else { continue };
        if text.len() <= LARGEST_TEXT {
            violations.extend(violations_in(&file, &text));
        }
    }
    Ok(violations)
}

fn violations_in(file: &Path, text: &str) -> Vec<Violation> {
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, personal_path(line)?)))
        .map(|(number, path)| {
            let message = format!(
                "`{path}` exists on one machine only; use a path relative to the project, or a temporary folder"
            );
            Violation::error(file, message).at(number)
        })
        .collect()
}

/// The first absolute path in the line that is somebody's: it goes further than one of the personal
/// roots, or through one of the personal folders.
fn personal_path(line: &str) -> Option<&str> {
    line.match_indices('/').find_map(|(start, _)| {
        let path = path_from(&line[start..]);
        (starts_absolute_path(&line[..start]) && is_personal(path)).then_some(path)
    })
}

fn path_from(text: &str) -> &str {
    let is_part = |c: char| c.is_alphanumeric() || "/._-+@".contains(c);
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    &text[..end]
}

fn is_personal(path: &str) -> bool {
    let mut components = path.split('/').skip(1);
    let root = components.next().unwrap_or_default();
    let below = components.next().unwrap_or_default();
    let in_home = path.split('/').any(|component| PERSONAL_FOLDERS.contains(&component));
    in_home || (PERSONAL_ROOTS.contains(&root) && !below.is_empty())
}

/// Whether a slash after this text starts an absolute path; in `out/x`, `${PREFIX}/x` or `../x` it
/// does not.
fn starts_absolute_path(before: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || "/._-~}*)>".contains(c);
    before.ends_with("://") || before.chars().next_back().is_none_or(|c| !continues(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Put together here, so that this file does not break its own rule.
    fn below(root: &str, rest: &str) -> String {
        format!("/{root}/{rest}")
    }

    #[test]
    fn a_path_of_a_machine_is_found_wherever_it_stands() {
        let path = below("home", "ann/flexcore");
        for line in [
            path.clone(),
            format!("let x = \"{path}\";"),
            format!("cd {path} && make"),
            format!("PATH=/usr/bin:{path}"),
            format!("see file://{path}"),
            format!("[link]({path})"),
        ] {
            assert_eq!(personal_path(&line), Some(path.as_str()), "{line}");
        }
    }

    #[test]
    fn relative_and_system_paths_are_fine() {
        let relative = format!("out{}", below("home", "x"));
        let variable = format!("${{PREFIX}}{}", below("work", "x"));
        for line in [relative.as_str(), &variable, "/usr/bin/env", "/tmp/x", "/dev/shm/x", "a / b"]
        {
            assert_eq!(personal_path(line), None, "{line}");
        }
    }

    #[test]
    fn the_bare_root_is_not_a_path_of_a_machine() {
        assert_eq!(personal_path("a folder such as /home or /root"), None);
    }

    #[test]
    fn the_violation_names_file_and_line() {
        let text = format!("one\ntwo {}\n", below("root", ".cargo"));
        let violations = violations_in(Path::new("docs/a.md"), &text);
        assert_eq!(violations.len(), 1);
        let shown = violations[0].to_string();
        assert!(shown.starts_with("error: docs/a.md:2: "), "{shown}");
        assert!(shown.contains(".cargo"), "{shown}");
    }
}
