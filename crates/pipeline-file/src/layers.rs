//! Settings that are put together from several places, each value knowing where it came from.
//!
//! Maps merge deeply, lists and scalars replace, `null` removes, and `select+` adds to `select`.

use std::{collections::BTreeMap, fmt};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::{language::value::FROM_HOST, shape::escape};

/// Which place a value came from, in the order of precedence: later ones win.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Layer {
    /// A plugin of the project file, or one that it inherits from.
    Plugin(String),
    /// `defaults` of the pipeline file.
    Defaults,
    /// The step itself.
    Step,
    /// Settings of a plugin in an environment.
    EnvironmentPlugin {
        /// The environment.
        environment: String,
        /// The plugin.
        plugin: String,
    },
    /// Settings of the pipeline in an environment.
    EnvironmentPipeline(String),
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plugin(name) => write!(formatter, "plugin {name}"),
            Self::Defaults => formatter.write_str("defaults"),
            Self::Step => formatter.write_str("step"),
            Self::EnvironmentPlugin { environment, plugin } => {
                write!(formatter, "environment {environment}, plugin {plugin}")
            }
            Self::EnvironmentPipeline(environment) => {
                write!(formatter, "environment {environment}, pipeline")
            }
        }
    }
}

impl Serialize for Layer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Origin {
    /// Which place won.
    pub layer: Layer,
    /// The file, as messages show it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}:{})", self.layer, self.file, self.line)
    }
}

/// Merged settings, templates unrendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings(pub(crate) Tree);

/// One value of merged settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingsEntry {
    /// The keys that lead to it.
    pub path: Vec<String>,
    /// The value as it stands in the file, templates unrendered. A variable that passes the host's
    /// value is `null`.
    pub value: Value,
    /// Where it stands.
    pub origin: Origin,
}

/// A tree of maps with values at its ends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    /// Entries in the order in which they came.
    Map(Vec<(String, Tree)>),
    /// A scalar or a list.
    Leaf(Value, Origin),
}

impl Settings {
    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self(Tree::Map(Vec::new()))
    }

    /// Every value with its path and origin, in the order of the maps.
    pub fn entries(&self) -> Vec<SettingsEntry> {
        let mut entries = Vec::new();
        collect(&self.0, &mut Vec::new(), &mut entries);
        entries
    }

    /// The merged settings as JSON. Maps whose order matters come in no particular order here;
    /// [`Settings::entries`] keeps it.
    pub fn value(&self) -> Value {
        json(&self.0)
    }

    /// The settings below a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Tree> {
        self.0.get(key)
    }
}

fn collect(tree: &Tree, path: &mut Vec<String>, entries: &mut Vec<SettingsEntry>) {
    match tree {
        Tree::Leaf(value, origin) => entries.push(SettingsEntry {
            path: path.clone(),
            value: if is_from_host(value) { Value::Null } else { value.clone() },
            origin: origin.clone(),
        }),
        Tree::Map(inner) => {
            for (key, tree) in inner {
                path.push(key.clone());
                collect(tree, path, entries);
                path.pop();
            }
        }
    }
}

fn json(tree: &Tree) -> Value {
    match tree {
        Tree::Leaf(value, _) if is_from_host(value) => Value::Null,
        Tree::Leaf(value, _) => value.clone(),
        Tree::Map(entries) => {
            let entries = entries.iter().map(|(key, tree)| (key.clone(), json(tree)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

/// Whether a value of an environment map stands for the host's.
pub(crate) fn is_from_host(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.len() == 1 && map.contains_key(FROM_HOST))
}

impl Tree {
    /// The tree below a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => {
                entries.iter().find(|(name, _)| name == key).map(|(_, tree)| tree)
            }
            Self::Leaf(..) => None,
        }
    }

    /// Takes the tree below a key out.
    pub(crate) fn take(&mut self, key: &str) -> Option<Self> {
        match self {
            Self::Map(entries) => {
                let index = entries.iter().position(|(name, _)| name == key)?;
                Some(entries.remove(index).1)
            }
            Self::Leaf(..) => None,
        }
    }

    /// Puts a tree below a key, over what is there.
    pub(crate) fn set(&mut self, key: &str, tree: Self) {
        self.take(key);
        if let Self::Map(entries) = self {
            entries.push((key.to_owned(), tree));
        }
    }

    /// Keeps only some keys.
    pub(crate) fn only(self, keys: &[&str]) -> Self {
        match self {
            Self::Map(entries) => Self::Map(
                entries.into_iter().filter(|(key, _)| keys.contains(&key.as_str())).collect(),
            ),
            leaf @ Self::Leaf(..) => leaf,
        }
    }

    /// The same with another tree over it.
    pub(crate) fn merged(self, over: Self) -> Self {
        let (mut base, entries) = match (self, over) {
            (base @ Self::Map(_), Self::Map(entries)) => (base, entries),
            (Self::Leaf(..), Self::Map(entries)) => (Self::Map(Vec::new()), entries),
            (_, over @ Self::Leaf(..)) => return over,
        };
        for (key, over) in entries {
            base.merge_key(key, over);
        }
        base
    }

    fn merge_key(&mut self, key: String, over: Self) {
        let Self::Map(entries) = self else { return };
        if matches!(&over, Self::Leaf(Value::Null, _)) {
            entries.retain(|(name, _)| *name != key);
            return;
        }
        if key == "select+" {
            self.add_to_list("select", over);
            return;
        }
        match entries.iter_mut().find(|(name, _)| *name == key) {
            Some((_, tree)) => {
                let base = std::mem::replace(tree, Self::Map(Vec::new()));
                *tree = base.merged(over);
            }
            // Merging into nothing takes out the nulls, which have nothing to remove.
            None if matches!(over, Self::Map(_)) => {
                entries.push((key, Self::Map(Vec::new()).merged(over)));
            }
            None => entries.push((key, over)),
        }
    }

    fn add_to_list(&mut self, key: &str, more: Self) {
        let added = match (self.take(key), more) {
            (
                Some(Self::Leaf(Value::Array(mut list), _)),
                Self::Leaf(Value::Array(more), origin),
            ) => {
                list.extend(more);
                Self::Leaf(Value::Array(list), origin)
            }
            (_, more) => more,
        };
        self.set(key, added);
    }
}

/// A part of a stored document: a file's name, its content and the lines of its values.
#[derive(Debug, Clone)]
pub(crate) struct FilePart<'a> {
    pub(crate) file: String,
    pub(crate) content: &'a Value,
    pub(crate) lines: BTreeMap<&'a str, u32>,
}

impl FilePart<'_> {
    /// The settings at a JSON pointer of the content, if there are any.
    pub(crate) fn tree(&self, pointer: &str, layer: &Layer) -> Option<Tree> {
        let value = self.content.pointer(pointer)?;
        Some(self.build(value, pointer, layer))
    }

    /// The line of a pointer, or of the first value below it.
    pub(crate) fn line(&self, pointer: &str) -> u32 {
        let prefix = format!("{pointer}/");
        let below = || {
            self.lines
                .iter()
                .filter(|(key, _)| key.starts_with(&prefix))
                .map(|(_, line)| *line)
                .min()
        };
        self.lines.get(pointer).copied().or_else(below).unwrap_or(1)
    }

    fn build(&self, value: &Value, pointer: &str, layer: &Layer) -> Tree {
        if let Some(map) = value.as_object().filter(|_| !is_from_host(value)) {
            let entries = map.iter().map(|(key, value)| {
                let pointer = format!("{pointer}/{}", escape(key));
                let ordered = (key == "metadata").then(|| pairs(value)).flatten();
                let tree = match ordered {
                    Some(pairs) => self.build_pairs(&pairs, &pointer, layer),
                    None => self.build(value, &pointer, layer),
                };
                (key.clone(), tree)
            });
            return Tree::Map(entries.collect());
        }
        let origin =
            Origin { layer: layer.clone(), file: self.file.clone(), line: self.line(pointer) };
        Tree::Leaf(value.clone(), origin)
    }

    fn build_pairs(&self, pairs: &[(String, &Value)], pointer: &str, layer: &Layer) -> Tree {
        let entries = pairs.iter().enumerate().map(|(index, (key, value))| {
            (key.clone(), self.build(value, &format!("{pointer}/{index}/1"), layer))
        });
        Tree::Map(entries.collect())
    }
}

/// The pairs of a map whose order matters, as a checked file holds them.
fn pairs(value: &Value) -> Option<Vec<(String, &Value)>> {
    let pair = |pair: &'_ Value| -> Option<()> {
        let pair = pair.as_array()?;
        (pair.len() == 2 && pair[0].is_string() && pair[1].is_object()).then_some(())
    };
    let list = value.as_array().filter(|list| list.iter().all(|item| pair(item).is_some()))?;
    Some(list.iter().filter_map(|item| Some((item[0].as_str()?.to_owned(), &item[1]))).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree(content: &Value, layer: &Layer) -> Tree {
        let part = FilePart { file: "f".into(), content, lines: BTreeMap::new() };
        part.tree("", layer).unwrap()
    }

    fn merged(base: &Value, over: &Value) -> Settings {
        let base = tree(base, &Layer::Defaults);
        Settings(Tree::Map(Vec::new()).merged(base).merged(tree(over, &Layer::Step)))
    }

    #[test]
    fn maps_merge_deeply_and_everything_else_replaces() {
        let settings = merged(
            &json!({"a": {"b": 1, "c": [1, 2], "d": {"e": 1}}, "f": 1}),
            &json!({"a": {"b": 2, "c": [3], "d": 4}, "g": {"h": 1}}),
        );
        assert_eq!(
            settings.value(),
            json!({"a": {"b": 2, "c": [3], "d": 4}, "f": 1, "g": {"h": 1}})
        );
    }

    #[test]
    fn null_removes() {
        let settings = merged(
            &json!({"a": 1, "b": {"c": 1, "d": 2}}),
            &json!({"a": null, "b": {"c": null}, "x": {"y": null}}),
        );
        assert_eq!(settings.value(), json!({"b": {"d": 2}, "x": {}}));
    }

    #[test]
    fn select_with_a_plus_adds() {
        let settings = merged(&json!({"select": ["a.*"]}), &json!({"select+": ["!a.b"]}));
        assert_eq!(settings.value(), json!({"select": ["a.*", "!a.b"]}));
        let alone = merged(&json!({}), &json!({"select+": ["!a.b"]}));
        assert_eq!(alone.value(), json!({"select": ["!a.b"]}));
    }

    #[test]
    fn every_value_knows_its_layer() {
        let settings = merged(&json!({"a": {"b": 1, "c": 2}}), &json!({"a": {"b": 3}}));
        let shown: Vec<_> = settings
            .entries()
            .iter()
            .map(|entry| {
                format!("{} = {} from {}", entry.path.join("."), entry.value, entry.origin)
            })
            .collect();
        assert_eq!(shown, ["a.b = 3 from step (f:1)", "a.c = 2 from defaults (f:1)"]);
    }

    #[test]
    fn metadata_keeps_the_order_of_the_file() {
        let content = json!({"metadata": [["z*", {"k": 1}], ["a*", {"k": 2}]]});
        let settings = merged(&content, &json!({"metadata": [["m", {"k": 3}], ["z*", {"j": 4}]]}));
        let paths: Vec<_> = settings.entries().iter().map(|entry| entry.path.join(" ")).collect();
        assert_eq!(paths, ["metadata z* k", "metadata z* j", "metadata a* k", "metadata m k"]);
    }
}
