//! Rules that choose from a catalog and correct it: `select`, `metadata`, `schema`.
//!
//! `select` means what it means in Meltano: everything is deselected, then all includes apply, then
//! all excludes (`!…`), so that excludes win whatever the order. Patterns are globs on the
//! `tap_stream_id` and, after the first dot, on the property's path; `\.` is a dot in a name. A
//! pattern without a property stands for the stream and all of its properties; a property that is
//! selected selects its parents. Only excludes therefore select nothing.

use std::fmt;

use crate::{
    catalog::{Catalog, CatalogStream},
    glob::Glob,
    json::{Json, Object},
};

/// All rules for one catalog.
#[derive(Clone, Debug, Default)]
pub struct CatalogRules {
    /// What to sync; empty means everything.
    pub select: Vec<SelectPattern>,
    /// Metadata to set, in order; the last that matches wins.
    pub metadata: Vec<MetadataRule>,
    /// Schemas of properties to set, in order; the last that matches wins.
    pub schema: Vec<SchemaRule>,
    /// Only these streams of what is selected; empty means all of it.
    pub only_streams: Vec<Glob>,
}

/// A glob for streams, and one for the dotted path of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    stream: Glob,
    property: Option<String>,
}

/// One pattern of `select`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectPattern {
    source: String,
    exclude: bool,
    target: Target,
}

/// Sets metadata of streams (`public-*`) or properties (`public-orders.total`).
#[derive(Clone, Debug)]
pub struct MetadataRule {
    source: String,
    target: Target,
    metadata: Object,
}

/// Sets the schema of properties of streams; a property that does not exist is added.
#[derive(Clone, Debug)]
pub struct SchemaRule {
    stream: Glob,
    properties: Object,
}

/// A rule that matched nothing in the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmatchedRule {
    /// Where it stands.
    pub place: RulePlace,
    /// The pattern as written.
    pub pattern: String,
}

/// The lists that rules stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulePlace {
    /// `select`.
    Select,
    /// `metadata`.
    Metadata,
    /// `schema`.
    Schema,
    /// The choice of streams for one run.
    OnlyStreams,
}

impl fmt::Display for UnmatchedRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            RulePlace::Select => "select",
            RulePlace::Metadata => "metadata",
            RulePlace::Schema => "schema",
            RulePlace::OnlyStreams => "stream",
        };
        write!(formatter, "{place} pattern '{}' matches nothing in the catalog", self.pattern)
    }
}

impl Target {
    /// Splits at the first dot that no backslash stands before.
    fn parse(pattern: &str) -> Self {
        let bytes = pattern.as_bytes();
        let dot =
            (0..bytes.len()).find(|at| bytes[*at] == b'.' && (*at == 0 || bytes[at - 1] != b'\\'));
        let stream = Glob::new(&pattern[..dot.unwrap_or(pattern.len())].replace("\\.", "."));
        Self { stream, property: dot.map(|at| pattern[at + 1..].to_owned()) }
    }

    /// The property's path and, for includes, its parents: `a.b` gives globs for `a` and `a.b` as
    /// breadcrumbs joined by dots.
    fn breadcrumb_globs(&self) -> Vec<Glob> {
        let Some(property) = &self.property else { return Vec::new() };
        let parts = split_dots(property);
        (1..=parts.len())
            .map(|count| {
                let path: Vec<_> =
                    parts[..count].iter().map(|part| format!("properties.{part}")).collect();
                Glob::new(&path.join("."))
            })
            .collect()
    }
}

/// Splits at dots that no backslash stands before, and unescapes those that one does.
fn split_dots(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = path.chars().peekable();
    while let Some(character) = characters.next() {
        let last = parts.len() - 1;
        match character {
            '\\' if characters.peek() == Some(&'.') => {
                characters.next();
                parts[last].push('.');
            }
            '.' => parts.push(String::new()),
            other => parts[last].push(other),
        }
    }
    parts
}

impl SelectPattern {
    /// Reads one pattern, such as `public-*.*` or `!*.ssn`.
    pub fn parse(pattern: &str) -> Self {
        let (exclude, rest) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        Self { source: pattern.to_owned(), exclude, target: Target::parse(rest) }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Applies the pattern to one stream; whether it matched anything.
    fn apply(&self, stream: &mut CatalogStream) -> bool {
        if !self.target.stream.matches(&stream.tap_stream_id) {
            return false;
        }
        let selected = Json::Bool(!self.exclude);
        let whole = matches!(self.target.property.as_deref(), None | Some("*"));
        if whole || !self.exclude {
            stream.metadata_entry(&[]).insert("selected", selected.clone());
        }
        let globs = match self.target.property {
            None => vec![Glob::new("properties.*")],
            Some(_) => self.target.breadcrumb_globs(),
        };
        let Some((deepest, parents)) = globs.split_last() else { return true };
        let mut matched = whole;
        for breadcrumb in stream.property_breadcrumbs() {
            let path = breadcrumb.join(".");
            let itself = deepest.matches(&path);
            matched |= itself;
            if itself || (!self.exclude && parents.iter().any(|parent| parent.matches(&path))) {
                stream.metadata_entry(&breadcrumb).insert("selected", selected.clone());
            }
        }
        matched
    }
}

impl MetadataRule {
    /// A rule that sets these members of the metadata wherever `pattern` matches.
    pub fn new(pattern: &str, metadata: Object) -> Self {
        Self { source: pattern.to_owned(), target: Target::parse(pattern), metadata }
    }

    fn apply(&self, stream: &mut CatalogStream) -> bool {
        if !self.target.stream.matches(&stream.tap_stream_id) {
            return false;
        }
        let Some(glob) = self.target.breadcrumb_globs().pop() else {
            for (key, value) in self.metadata.iter() {
                stream.metadata_entry(&[]).insert(key, value.clone());
                // Legacy taps read these from the stream itself, spelled with underscores.
                stream.rest.insert(key.replace('-', "_"), value.clone());
            }
            return true;
        };
        let mut matched = false;
        for breadcrumb in stream.property_breadcrumbs() {
            if glob.matches(&breadcrumb.join(".")) {
                matched = true;
                for (key, value) in self.metadata.iter() {
                    stream.metadata_entry(&breadcrumb).insert(key, value.clone());
                }
            }
        }
        matched
    }
}

impl SchemaRule {
    /// A rule that sets the schemas of these properties in each stream that `stream` matches.
    pub fn new(stream: &str, properties: Object) -> Self {
        Self { stream: Glob::new(&stream.replace("\\.", ".")), properties }
    }

    fn apply(&self, stream: &mut CatalogStream) -> bool {
        if !self.stream.matches(&stream.tap_stream_id) {
            return false;
        }
        if stream.schema.as_object().is_none() {
            stream.schema = Json::Object(Object::new());
        }
        let Some(schema) = stream.schema.as_object_mut() else { return true };
        let properties = schema.object_entry("properties");
        for (name, rule) in self.properties.iter() {
            match (properties.get_mut(name), rule) {
                (Some(Json::Object(existing)), Json::Object(rule)) => {
                    rule.iter().for_each(|(key, value)| existing.insert(key, value.clone()));
                }
                _ => properties.insert(name, rule.clone()),
            }
        }
        true
    }
}

impl Catalog {
    /// Applies rules: `schema`, then `select`, then `metadata`, then the choice of streams.
    ///
    /// The outcome stands in the metadata and, for legacy taps, in the flags `selected` of the
    /// stream and of its schemas. Returns the rules that matched nothing.
    pub fn apply(&mut self, rules: &CatalogRules) -> Vec<UnmatchedRule> {
        let mut unmatched = Vec::new();
        let mut note = |matched: bool, place: RulePlace, pattern: &str| {
            if !matched {
                unmatched.push(UnmatchedRule { place, pattern: pattern.to_owned() });
            }
        };
        for rule in &rules.schema {
            let matched = self.each(|stream| rule.apply(stream));
            note(matched, RulePlace::Schema, rule.stream.as_str());
        }
        if !rules.select.is_empty() {
            let nothing = SelectPattern::parse("!*.*");
            self.each(|stream| nothing.apply(stream));
            for exclude in [false, true] {
                for pattern in rules.select.iter().filter(|p| p.exclude == exclude) {
                    let matched = self.each(|stream| pattern.apply(stream));
                    note(matched, RulePlace::Select, &pattern.source);
                }
            }
        }
        for rule in &rules.metadata {
            let matched = self.each(|stream| rule.apply(stream));
            note(matched, RulePlace::Metadata, &rule.source);
        }
        for glob in &rules.only_streams {
            let matched = self.streams.iter().any(|stream| glob.matches(&stream.tap_stream_id));
            note(matched, RulePlace::OnlyStreams, glob.as_str());
        }
        self.keep_only(&rules.only_streams);
        self.streams.iter_mut().for_each(write_legacy_flags);
        unmatched
    }

    /// Runs `rule` on every stream; whether any said that it matched.
    fn each(&mut self, rule: impl Fn(&mut CatalogStream) -> bool) -> bool {
        self.streams.iter_mut().fold(false, |matched, stream| rule(stream) | matched)
    }

    fn keep_only(&mut self, only: &[Glob]) {
        if only.is_empty() {
            return;
        }
        for stream in &mut self.streams {
            if !only.iter().any(|glob| glob.matches(&stream.tap_stream_id)) {
                stream.metadata_entry(&[]).insert("selected", Json::Bool(false));
            }
        }
    }
}

/// Repeats the resolved choice where taps from before metadata look for it.
fn write_legacy_flags(stream: &mut CatalogStream) {
    let selected = Json::Bool(stream.is_selected());
    stream.rest.insert("selected", selected.clone());
    if let Some(schema) = stream.schema.as_object_mut() {
        schema.insert("selected", selected);
    }
    for breadcrumb in stream.property_breadcrumbs() {
        let selected = stream.is_property_selected(&breadcrumb);
        if let Some(property) = stream.property_mut(&breadcrumb) {
            property.insert("selected", Json::Bool(selected));
        }
    }
}

#[cfg(test)]
mod tests;
