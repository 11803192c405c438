//! Plugins: those that syncs use exist, can be run, and are supported.

use std::collections::BTreeSet;

use crate::{
    diagnostic::{Code, Diagnostic},
    file::ParsedFile,
    nearest::{list_of, nearest},
    package,
    source::Position,
    tree::{Entry, Node},
};

const WAYS_TO_RUN: [&str; 3] = ["command", "path", "from"];
/// Settings of taps alone.
const OF_TAPS: [&str; 4] = ["select", "select+", "metadata", "schema"];

/// The plugins that there are: those of the project file, and the connectors of the binary.
pub(crate) struct Plugins<'a> {
    pub(crate) project: Option<&'a ParsedFile>,
    pub(crate) connectors: &'a [&'a str],
}

/// What the syncs of a pipeline can come to use in any environment.
#[derive(Debug, Default)]
pub(crate) struct Used {
    /// Plugins of the project file, with everything that they inherit from.
    pub(crate) plugins: BTreeSet<String>,
    /// Native connectors.
    pub(crate) connectors: BTreeSet<String>,
}

/// A place where a plugin is named.
struct Use<'n> {
    file: &'n ParsedFile,
    name: &'n str,
    position: Position,
    /// Whether the place itself says what to run.
    runs: bool,
    is_target: bool,
}

impl<'a> Plugins<'a> {
    fn declarations(&self) -> &'a [Entry] {
        self.project
            .and_then(|file| file.node.get("plugins"))
            .map(Node::entries)
            .unwrap_or_default()
    }

    fn declaration(&self, name: &str) -> Option<&'a Entry> {
        self.declarations().iter().find(|entry| entry.key == name)
    }

    fn is_connector(&self, name: &str) -> bool {
        self.connectors.contains(&name)
    }

    /// A plugin and what it inherits from; ends at a ring.
    fn chain(&self, name: &str) -> Vec<&'a Entry> {
        let mut chain: Vec<&'a Entry> = Vec::new();
        let mut next = self.declaration(name);
        while let Some(entry) = next.filter(|entry| !chain.iter().any(|seen| seen.key == entry.key))
        {
            chain.push(entry);
            next = parent(entry).and_then(|(parent, _)| self.declaration(parent));
        }
        chain
    }

    /// Everything that is wrong with the plugins that a pipeline uses, and what they are.
    pub(crate) fn check(
        &self,
        pipeline: &'a ParsedFile,
        overrides: &[&'a Node],
    ) -> (Used, Vec<Diagnostic>) {
        let mut used = Used::default();
        let mut found = Vec::new();
        for at in self.uses(pipeline, overrides, &mut found) {
            self.check_use(&at, &mut used, &mut found);
            for replacement in self.replacements(at.name) {
                let runs = at.runs || replacement.runs;
                let at = Use { is_target: at.is_target, runs, ..replacement };
                self.check_use(&at, &mut used, &mut found);
            }
            if self.project.is_some() {
                used.plugins.insert(at.name.to_owned());
            }
        }
        found.extend(self.misspelt_in_environments());
        (used, found)
    }

    /// Plugins in environments that are none, but nearly. Others may be names that a step of some
    /// pipeline gives to its own program.
    fn misspelt_in_environments(&self) -> Vec<Diagnostic> {
        let Some(project) = self.project else { return Vec::new() };
        let environments = project.node.get("environments").map(Node::entries).unwrap_or_default();
        let settings = environments.iter().filter_map(|entry| entry.value.get("plugins"));
        let unknown = settings.flat_map(Node::entries).filter(|entry| {
            self.declaration(&entry.key).is_none() && !self.is_connector(&entry.key)
        });
        unknown
            .filter(|entry| nearest(&entry.key, &self.known()).is_some())
            .map(|entry| self.unknown(project, &entry.key, entry.key_position))
            .collect()
    }

    fn known(&self) -> Vec<&'a str> {
        let declared = self.declarations().iter().map(|entry| entry.key.as_str());
        declared.chain(self.connectors.iter().copied()).collect()
    }

    /// Every place where a sync names a plugin.
    fn uses(
        &self,
        pipeline: &'a ParsedFile,
        overrides: &[&'a Node],
        found: &mut Vec<Diagnostic>,
    ) -> Vec<Use<'a>> {
        let steps = pipeline.node.get("steps").map(Node::items).unwrap_or_default();
        let own = steps.iter().map(|step| (pipeline, step, true));
        let over = overrides.iter().filter_map(|step| Some((self.project?, *step, false)));
        let mut uses = Vec::new();
        for (file, step, must_name) in own.chain(over) {
            let Some(sync) = step.get("sync") else { continue };
            for end in ["tap", "target"] {
                let Some(entry) = sync.entry(end) else { continue };
                let named = match entry.value.as_text() {
                    Some(name) => Some((name, entry.value.position)),
                    None => entry.value.get("plugin").and_then(named),
                };
                let runs = WAYS_TO_RUN.iter().any(|way| entry.value.get(way).is_some());
                let is_target = end == "target";
                match named {
                    Some((name, position)) => {
                        uses.push(Use { file, name, position, runs, is_target });
                    }
                    None if runs || !must_name || entry.value.entries().is_empty() => {}
                    None => {
                        let message = format!("`{end}` does not say which plugin it is");
                        let hint = "add `plugin: NAME`, or `command: [./program]`";
                        found.push(
                            file.at(Code::MissingKey, entry.key_position, message).hint(hint),
                        );
                    }
                }
            }
        }
        uses
    }

    /// The plugins that environments put in place of another.
    fn replacements(&self, name: &str) -> Vec<Use<'a>> {
        let Some(file) = self.project else { return Vec::new() };
        let environments = file.node.get("environments").map(Node::entries).unwrap_or_default();
        let settings =
            environments.iter().filter_map(|entry| entry.value.get("plugins")?.get(name));
        settings
            .filter_map(|settings| {
                let (name, position) = named(settings.get("plugin")?)?;
                let runs = WAYS_TO_RUN.iter().any(|way| settings.get(way).is_some());
                Some(Use { file, name, position, runs, is_target: false })
            })
            .collect()
    }

    fn check_use(&self, at: &Use<'_>, used: &mut Used, found: &mut Vec<Diagnostic>) {
        let chain = self.chain(at.name);
        if chain.is_empty() && !self.is_connector(at.name) {
            if !at.runs {
                found.push(self.unknown(at.file, at.name, at.position));
            }
            return;
        }
        let Some(project) = self.project.filter(|_| !chain.is_empty()) else {
            used.connectors.insert(at.name.to_owned());
            return;
        };
        used.plugins.extend(chain.iter().map(|entry| entry.key.clone()));
        for entry in &chain {
            found.extend(check_declaration(project, entry, at.is_target));
        }
        let Some(base) = chain.last() else { return };
        match parent(base) {
            Some((name, _)) if self.is_connector(name) => {
                used.connectors.insert(name.to_owned());
                used.plugins.insert(name.to_owned());
            }
            // The only other parent of a base is one of its heirs: a ring, reported with the file.
            Some((name, _)) if chain.iter().any(|entry| entry.key == name) => {}
            Some((name, position)) => found.push(self.unknown(project, name, position)),
            None if self.is_connector(&base.key) => {
                used.connectors.insert(base.key.clone());
            }
            None if at.runs || chain.iter().any(|entry| runs(entry)) => {}
            None => {
                let message = format!("plugin `{}` does not say what to run", base.key);
                let hint = "add `inherit: NAME` or `command: [./program]`";
                found.push(project.at(Code::UnknownPlugin, base.key_position, message).hint(hint));
            }
        }
    }

    fn unknown(&self, file: &ParsedFile, name: &str, position: Position) -> Diagnostic {
        let known = self.known();
        let hint = match nearest(name, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "declare it under `plugins` in flexcore.yaml, or use {}",
                list_of(&known, "or")
            ),
        };
        let message = format!("there is no plugin `{name}`");
        file.at(Code::UnknownPlugin, position, message).hint(hint)
    }
}

fn named(node: &Node) -> Option<(&str, Position)> {
    node.as_text().map(|name| (name, node.position))
}

fn parent(entry: &Entry) -> Option<(&str, Position)> {
    entry.value.get("inherit").and_then(named)
}

fn runs(entry: &Entry) -> bool {
    WAYS_TO_RUN.iter().any(|way| entry.value.get(way).is_some_and(|value| !value.is_null()))
}

/// What is wrong with where a plugin comes from.
fn check_from(project: &ParsedFile, name: &str, from: &str, at: Position) -> Option<Diagnostic> {
    let wrong = |code, message: String| Some(project.at(code, at, message));
    match from.split(':').next().unwrap_or_default() {
        "path" => None,
        "registered" if package::registered(from).is_some() => None,
        "registered" => {
            let message = format!("`from` of plugin `{name}` does not say which registered plugin");
            let hint = "write `registered:NAME`; `flexcore plugin list` has the names";
            wrong(Code::IllegalValue, message).map(|found| found.hint(hint))
        }
        "pypi" if package::parse(from).is_some() => None,
        "pypi" => {
            let message = format!("`from` of plugin `{name}` is no package with an exact version");
            wrong(Code::IllegalValue, message).map(|found| found.hint("write `pypi:NAME==VERSION`"))
        }
        "git+https" => {
            let message = format!("`from: git+https:` of plugin `{name}` is not supported yet");
            let hint = "install it yourself and write `command: [path/to/program]`";
            wrong(Code::NotSupported, message).map(|found| found.hint(hint))
        }
        _ => wrong(
            Code::IllegalValue,
            "`from` begins with `path:`, `pypi:`, `registered:` or `git+https:`".to_owned(),
        ),
    }
}

/// What a used declaration may not have, or not yet.
fn check_declaration(project: &ParsedFile, entry: &Entry, is_target: bool) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let name = &entry.key;
    let from = entry.value.get("from").and_then(|node| Some((node.as_text()?, node.position)));
    found.extend(from.and_then(|(text, position)| check_from(project, name, text, position)));
    let is_package = from.is_some_and(|(text, _)| text.starts_with("pypi:"));
    if let Some(python) = entry.value.entry("python").filter(|_| !is_package) {
        let message = format!("`python` of plugin `{name}` has no meaning without `from: pypi:…`");
        found.push(project.at(Code::IllegalValue, python.key_position, message));
    }
    if is_target {
        let misplaced = OF_TAPS.iter().filter_map(|key| entry.value.entry(key));
        found.extend(misplaced.map(|misplaced| {
            let message = format!("`{}` belongs to a tap, and `{name}` is a target", misplaced.key);
            project.at(Code::IllegalValue, misplaced.key_position, message)
        }));
    }
    found
}

/// Plugins that inherit from each other in a ring.
pub(crate) fn check_rings(project: &ParsedFile) -> Vec<Diagnostic> {
    let plugins = Plugins { project: Some(project), connectors: &[] };
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for entry in plugins.declarations() {
        let chain = plugins.chain(&entry.key);
        let Some((last, (back, position))) =
            chain.last().and_then(|last| Some((last, parent(last)?)))
        else {
            continue;
        };
        let Some(start) = chain.iter().position(|entry| entry.key == back) else { continue };
        let ring: Vec<&str> = chain[start..].iter().map(|entry| entry.key.as_str()).collect();
        if ring.iter().any(|name| reported.contains(name)) {
            continue;
        }
        reported.extend(&ring);
        let names = ring.iter().chain([&back]).map(|name| format!("`{name}`"));
        let message = format!(
            "plugins inherit from each other: {}",
            names.collect::<Vec<_>>().join(" from ")
        );
        let hint = format!("let `{}` inherit from something else", last.key);
        found.push(project.at(Code::InheritanceCycle, position, message).hint(hint));
    }
    found
}
