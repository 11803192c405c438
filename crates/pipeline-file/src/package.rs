//! Packages of the Python Package Index that a project's plugins come from.

use crate::{project::Project, tree::Node};

/// What `from` begins with.
const SCHEME: &str = "pypi:";
/// Where `flexcore plugin install` leaves the programs of packages, from the project root.
const PROGRAMS: &str = ".flexcore/plugins/pypi";

/// A package that a plugin of the project comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProjectPackage {
    /// Its name, in the one form that the index knows.
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// The Python that it is to be installed with, if the project says so.
    pub python: Option<String>,
    /// The plugin that names it.
    pub plugin: String,
}

/// The package and version of `pypi:NAME==VERSION`; an exact version, because everything that runs
/// has one.
pub(crate) fn parse(from: &str) -> Option<(String, String)> {
    let (name, version) = from.strip_prefix(SCHEME)?.split_once("==")?;
    let legal = |text: &str, others: &[u8]| {
        let starts = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
        starts && text.len() <= 64 && text.bytes().all(is_legal)
    };
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    let one_form = parts.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    (legal(name, b"._-") && legal(version, b".+_-")).then(|| (one_form, version.to_owned()))
}

/// The name in `registered:NAME`.
pub(crate) fn registered(from: &str) -> Option<&str> {
    let name = from.strip_prefix("registered:")?;
    name.parse::<flexcore_domain::PluginName>().is_ok().then_some(name)
}

/// The program of `pypi:NAME==VERSION`, once it is installed.
pub(crate) fn program(from: &str) -> Option<String> {
    let (name, version) = parse(from)?;
    Some(format!("{PROGRAMS}/{name}=={version}"))
}

impl Project {
    /// The packages that plugins of the project come from, in any environment, each once.
    pub fn packages(&self) -> Vec<ProjectPackage> {
        let Some(file) = &self.file else { return Vec::new() };
        let environments = file.node.get("environments").map(Node::entries).unwrap_or_default();
        let all = std::iter::once(&file.node).chain(environments.iter().map(|entry| &entry.value));
        let declarations = all.filter_map(|node| node.get("plugins")).flat_map(Node::entries);
        let mut packages: Vec<ProjectPackage> = declarations
            .filter_map(|entry| {
                let (name, version) = parse(entry.value.get("from")?.as_text()?)?;
                let python = entry.value.get("python").and_then(Node::scalar_text);
                Some(ProjectPackage { name, version, python, plugin: entry.key.clone() })
            })
            .collect();
        packages.sort();
        packages.dedup_by(|one, other| {
            (&one.name, &one.version, &one.python) == (&other.name, &other.version, &other.python)
        });
        packages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceFile;

    #[test]
    fn a_package_has_a_name_and_an_exact_version() {
        let pair = |name: &str, version: &str| Some((name.to_owned(), version.to_owned()));
        assert_eq!(parse("pypi:Tap_JSONL==0.3.1"), pair("tap-jsonl", "0.3.1"));
        for wrong in [
            "tap==1",
            "pypi:tap",
            "pypi:tap>=1",
            "pypi:==1",
            "pypi:tap==",
            "pypi:../tap==1",
            "pypi:tap==1/2",
            "pypi:tap==1;x",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_project_lists_its_packages_once() {
        let text = "plugins:\n  a: { from: \"pypi:tap-a==1\", python: \"3.11\" }\n  \
                    b: { from: \"pypi:tap_a==1\", python: 3.11 }\n  c: { from: \"path:c\" }\n\
                    environments:\n  dev:\n    plugins: { c: { from: \"pypi:tap-c==2\" } }\n";
        let project = Project::parse("/p".into(), SourceFile::new("flexcore.yaml", text)).unwrap();
        let shown: Vec<_> = project
            .packages()
            .into_iter()
            .map(|one| (one.name, one.version, one.python, one.plugin))
            .collect();
        let expected = [("tap-a", "1", Some("3.11"), "a"), ("tap-c", "2", None, "c")];
        let expected = expected.map(|(name, version, python, plugin)| {
            (name.to_owned(), version.to_owned(), python.map(str::to_owned), plugin.to_owned())
        });
        assert_eq!(shown, expected);
    }
}
