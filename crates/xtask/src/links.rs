//! Links between the documents: every relative link of a Markdown file leads to a file that is
//! there.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::repository::Repository;
use crate::violation::Violation;

/// Follows every relative link of every Markdown file.
pub(crate) fn check(repository: &Repository) -> anyhow::Result<Vec<Violation>> {
    let files = repository.files()?;
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| file.extension() == Some(OsStr::new("md"))) {
        violations.extend(broken_links(file, &repository.read(file)?, &files));
    }
    Ok(violations)
}

fn broken_links(file: &Path, text: &str, files: &[PathBuf]) -> Vec<Violation> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let leads_somewhere = |link: &str| {
        let target = normalise(&folder.join(link));
        files.iter().any(|file| file.starts_with(&target))
    };
    links(text)
        .into_iter()
        .filter(|(_, link)| !leads_somewhere(link))
        .map(|(line, link)| {
            Violation::error(file, format!("the link `{link}` leads nowhere")).at(line)
        })
        .collect()
}

/// The relative links outside code blocks, without their anchors, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            found.extend(links_of(line).map(|link| (index + 1, link)));
        }
    }
    found
}

fn links_of(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link.split('#').next().unwrap_or_default())
        .filter(|link| !link.is_empty() && !link.contains("://") && !link.starts_with("mailto:"))
}

/// Takes `.` and `..` out, without asking the file system.
fn normalise(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if normal.pop() => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> Vec<String> {
        let files = ["README.md", "docs/adr/0001-a.md", "docs/adr/README.md"].map(PathBuf::from);
        let violations = broken_links(Path::new("docs/adr/README.md"), text, &files);
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_to_files_folders_and_anchors_hold() {
        let text = "[a](0001-a.md) [b](../../README.md) [c](../../docs/) [d](0001-a.md#context)";
        assert_eq!(broken(text), [""; 0]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_reported_with_its_line() {
        let found = broken("one\n[b](0002-b.md)\n");
        assert_eq!(found, ["error: docs/adr/README.md:2: the link `0002-b.md` leads nowhere"]);
    }

    #[test]
    fn a_link_out_of_the_repository_leads_nowhere() {
        assert_eq!(broken("[b](../../../README.md)").len(), 1);
    }

    #[test]
    fn web_addresses_anchors_and_code_are_not_followed() {
        let text = "[a](https://example.com/x) [b](#here)\n```\n[c](gone.md)\n```\n";
        assert_eq!(broken(text), [""; 0]);
    }
}
