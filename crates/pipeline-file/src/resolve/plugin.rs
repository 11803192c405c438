//! The two plugins of a sync: which they are, what they run and with which settings.

use serde_json::Value;

use super::{Resolver, StepPlace, merge_all};
use crate::{
    document::{environment_plugin_pointer, plugin_pointer},
    layers::{Layer, Origin, Tree},
    package,
};

/// Settings of a plugin that belong to its process.
const OF_PROCESS: &[&str] = &["command", "path", "from", "config", "env"];
/// Settings of a tap that belong to the sync.
const OF_SYNC: &[&str] = &["select", "select+", "metadata", "schema"];

impl Resolver<'_> {
    /// The merged settings of a sync, and the native connectors that its tap and target are.
    pub(super) fn sync(&self, at: &StepPlace) -> Option<(Tree, Ends)> {
        let tap = self.plugin(at, "tap")?;
        let target = self.plugin(at, "target")?;
        let own = self.kind_settings_without_plugins(at);
        let mut settings = merge_all([tap.of_sync, own.0, tap.of_sync_in_environment, own.1]);
        settings.set("tap", tap.settings);
        settings.set("target", target.settings);
        Some((settings, Ends { tap: tap.native, target: target.native }))
    }

    fn kind_settings_without_plugins(&self, at: &StepPlace) -> (Option<Tree>, Option<Tree>) {
        let without = |tree: Option<Tree>| {
            tree.map(|mut tree| {
                tree.take("tap");
                tree.take("target");
                tree
            })
        };
        let own = self.document.pipeline.tree(&format!("{}/sync", at.own), &Layer::Step);
        let over = self.project_tree(&format!("{}/sync", at.over), &self.pipeline_layer());
        (without(own), without(over))
    }

    fn plugin(&self, at: &StepPlace, end: &str) -> Option<Plugin> {
        let own = self.document.pipeline.tree(&format!("{}/sync/{end}", at.own), &Layer::Step);
        let over = self.project_tree(&format!("{}/sync/{end}", at.over), &self.pipeline_layer());
        let named = over.as_ref().and_then(named).or_else(|| own.as_ref().and_then(named));
        let declared = named.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
        let in_environment = self.project_tree(
            &environment_plugin_pointer(self.environment, &declared),
            &Layer::EnvironmentPlugin {
                environment: self.environment.to_owned(),
                plugin: declared.clone(),
            },
        );
        // A plugin that an environment puts in place of another brings its own settings.
        let replaced = in_environment.as_ref().and_then(|tree| leaf(tree.get("plugin")));
        let chain = self.chain(replaced.as_ref().map_or(&declared, |(name, _)| name));
        let declaration = merge_all(chain.iter().map(|name| self.declaration(name)));
        let layers = [
            Some(declaration.clone()),
            own.and_then(as_settings),
            in_environment.clone(),
            over.and_then(as_settings),
        ];
        let mut settings = layers
            .into_iter()
            .flatten()
            .map(|tree| tree.only(OF_PROCESS))
            .fold(Tree::Map(Vec::new()), replace_program);
        name_program(&mut settings);
        let runs_program = ["command", "registered"].iter().any(|way| settings.get(way).is_some());
        let native = if runs_program { None } else { Some(self.native(chain.first())?) };
        let (name, origin) =
            replaced.or(named).or_else(|| named_by_program(settings.get("command")))?;
        settings.set("plugin", Tree::Leaf(Value::String(name), origin));
        Some(Plugin {
            native,
            settings,
            of_sync: Some(declaration.only(OF_SYNC)),
            of_sync_in_environment: in_environment.map(|tree| tree.only(OF_SYNC)),
        })
    }

    /// A plugin and what it inherits from, the base first. Cycles were refused when the file was
    /// loaded; here they end the walk.
    fn chain(&self, name: &str) -> Vec<String> {
        let mut chain = vec![name.to_owned()];
        while let Some(parent) = chain
            .last()
            .and_then(|name| {
                self.document.project_value(&format!("{}/inherit", plugin_pointer(name)))
            })
            .and_then(Value::as_str)
            .filter(|parent| !chain.iter().any(|seen| seen == parent))
        {
            chain.push(parent.to_owned());
        }
        chain.reverse();
        chain
    }

    fn declaration(&self, name: &str) -> Option<Tree> {
        self.project_tree(&plugin_pointer(name), &Layer::Plugin(name.to_owned()))
    }

    /// The native connector at the base of a chain.
    fn native(&self, base: Option<&String>) -> Option<String> {
        base.filter(|base| self.document.connectors.contains(base.as_str())).cloned()
    }
}

/// The native connectors at the ends of a sync; `None` where a program is run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ends {
    pub(crate) tap: Option<String>,
    pub(crate) target: Option<String>,
}

struct Plugin {
    native: Option<String>,
    settings: Tree,
    of_sync: Option<Tree>,
    of_sync_in_environment: Option<Tree>,
}

/// Leaves `command` as the only way in which a program is named, or `registered` with the name of a
/// plugin whose manifest names it.
fn name_program(settings: &mut Tree) {
    let path = leaf(settings.take("path").as_ref());
    let from = leaf(settings.take("from").as_ref());
    if let Some((name, origin)) =
        from.as_ref().and_then(|(from, origin)| Some((package::registered(from)?, origin)))
    {
        settings.set("registered", Tree::Leaf(Value::from(name), origin.clone()));
        return;
    }
    let from = from.and_then(|(from, origin)| Some((program_of(&from)?, origin)));
    if let Some((path, origin)) = path.or(from) {
        settings.set("command", Tree::Leaf(Value::from(vec![path]), origin));
    }
}

/// The program that `from` means.
fn program_of(from: &str) -> Option<String> {
    from.strip_prefix("path:").map(str::to_owned).or_else(|| package::program(from))
}

/// The three ways to name a program replace each other as one.
fn replace_program(mut base: Tree, over: Tree) -> Tree {
    const WAYS: [&str; 3] = ["command", "path", "from"];
    if WAYS.iter().any(|way| over.get(way).is_some()) {
        for way in WAYS {
            base.take(way);
        }
    }
    base.merged(over)
}

/// The plugin that a step names: `tap: name`, or `tap: { plugin: name }`.
fn named(tree: &Tree) -> Option<(String, Origin)> {
    match tree {
        Tree::Leaf(..) => leaf(Some(tree)),
        Tree::Map(_) => leaf(tree.get("plugin")),
    }
}

/// What a step says about a plugin besides its name.
fn as_settings(tree: Tree) -> Option<Tree> {
    matches!(tree, Tree::Map(_)).then_some(tree)
}

/// A plugin that a step brings without a name is called after its program.
fn named_by_program(command: Option<&Tree>) -> Option<(String, Origin)> {
    match command? {
        Tree::Leaf(Value::Array(words), origin) => {
            let file = words.first()?.as_str()?.rsplit('/').next()?;
            Some((file.to_owned(), origin.clone()))
        }
        _ => None,
    }
}

fn leaf(tree: Option<&Tree>) -> Option<(String, Origin)> {
    match tree? {
        Tree::Leaf(value, origin) => Some((value.as_str()?.to_owned(), origin.clone())),
        Tree::Map(_) => None,
    }
}
