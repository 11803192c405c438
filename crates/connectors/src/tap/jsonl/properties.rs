//! The properties of a stream and the JSON types that each was seen with.

use std::collections::HashMap;

use flexcore_singer::{Json, Object};

/// A set of JSON types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Types(u8);

/// Names in the order in which they are written in a schema.
const NAMES: [&str; 7] = ["boolean", "integer", "number", "string", "array", "object", "null"];
const INTEGER: u8 = 1 << 1;
const NUMBER: u8 = 1 << 2;
const NULL: u8 = 1 << 6;

impl Types {
    /// The type of a sound JSON value, told by its text.
    #[inline]
    pub(super) fn of(value: &str) -> Self {
        Self(match value.as_bytes().first() {
            Some(b't' | b'f') => 1,
            Some(b'"') => 1 << 3,
            Some(b'[') => 1 << 4,
            Some(b'{') => 1 << 5,
            Some(b'n') => NULL,
            _ if value.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => NUMBER | INTEGER,
            _ => INTEGER,
        })
    }

    /// Every number type holds integers too, so that one bit test answers.
    #[inline]
    pub(super) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn join(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn is_null(self) -> bool {
        self.0 == NULL
    }

    fn to_json(self, may_be_null: bool) -> Json {
        let shown = if self.0 & NUMBER == 0 { self.0 } else { self.0 & !INTEGER };
        // What was only ever null may be anything; string is the type that holds anything.
        let shown = if shown & !NULL == 0 { shown | 1 << 3 } else { shown };
        let shown = if may_be_null { shown | NULL } else { shown & !NULL };
        let names = NAMES.iter().enumerate().filter(|(index, _)| shown >> index & 1 == 1);
        Json::Array(names.map(|(_, name)| Json::from(*name)).collect())
    }

    /// Reads a type or a list of types, as in a schema.
    fn from_json(json: &Json) -> Self {
        let names = match json {
            Json::Array(names) => names.as_slice(),
            single => std::slice::from_ref(single),
        };
        let bits = names.iter().filter_map(Json::as_str).filter_map(|name| {
            let index = NAMES.iter().position(|known| *known == name)?;
            Some(if name == "number" { NUMBER | INTEGER } else { 1 << index })
        });
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

/// One property.
#[derive(Clone, Debug)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) types: Types,
    pub(super) is_key: bool,
    pub(super) is_selected: bool,
}

/// The properties in the order in which they were first seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Properties {
    list: Vec<Property>,
    index: HashMap<String, usize>,
    key: Vec<String>,
}

impl Properties {
    pub(super) fn new(key: &[String]) -> Self {
        Self { key: key.to_vec(), ..Self::default() }
    }

    pub(super) fn list(&self) -> &[Property] {
        &self.list
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Property> {
        self.list.iter_mut()
    }

    /// Finds a property; `guess` is where it stands if records have their members in one order.
    #[inline]
    pub(super) fn find(&self, name: &str, guess: usize) -> Option<usize> {
        if self.list.get(guess).is_some_and(|property| property.name == name) {
            return Some(guess);
        }
        self.index.get(name).copied()
    }

    /// Adds a property or widens its types.
    pub(super) fn widen(&mut self, name: &str, types: Types) {
        if let Some(index) = self.find(name, usize::MAX) {
            let property = &mut self.list[index];
            property.types = property.types.join(types);
            return;
        }
        self.index.insert(name.to_owned(), self.list.len());
        self.list.push(Property {
            name: name.to_owned(),
            types,
            is_key: self.key.iter().any(|key| key == name),
            is_selected: true,
        });
    }

    /// Widens to types as [`Self::to_types`] or a catalog's schema has them.
    pub(super) fn widen_to(&mut self, name: &str, types: &Json) {
        self.widen(name, Types::from_json(types));
    }

    /// The types seen, for the bookmark.
    pub(super) fn to_types(&self) -> Object {
        let types = |p: &Property| p.types.to_json(p.types.contains(Types(NULL)));
        self.list
            .iter()
            .filter(|p| !p.types.is_null())
            .map(|p| (p.name.as_str(), types(p)))
            .collect()
    }

    /// The schema of what is sent.
    pub(super) fn schema(&self) -> Json {
        let properties: Object = self
            .list
            .iter()
            .filter(|property| property.is_selected)
            .map(|property| {
                let types = property.types.to_json(!property.is_key);
                let schema: Object = [("type", types)].into_iter().collect();
                (property.name.as_str(), Json::from(schema))
            })
            .collect();
        let schema: Object =
            [("type", "object".into()), ("properties", properties.into())].into_iter().collect();
        schema.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_by_the_text_and_numbers_hold_integers() {
        let number = Types::of("1.5");
        assert!(number.contains(Types::of("1")));
        assert!(!Types::of("1").contains(number));
        for text in ["true", "1", "1.5", "1e5", "\"x\"", "[]", "{}"] {
            let types = Types::of(text);
            assert_eq!(Types::from_json(&types.to_json(false)), types, "{text}");
        }
    }

    #[test]
    fn schemas_name_the_types_in_one_order() {
        let mut properties = Properties::new(&["id".to_owned()]);
        for (name, value) in [("id", "1"), ("x", "\"a\""), ("x", "2.5"), ("x", "3"), ("n", "null")]
        {
            properties.widen(name, Types::of(value));
        }
        assert_eq!(
            properties.schema().to_string(),
            r#"{"type":"object","properties":{"id":{"type":["integer"]},"x":{"type":["number","string","null"]},"n":{"type":["string","null"]}}}"#
        );
        assert_eq!(
            Json::from(properties.to_types()).to_string(),
            r#"{"id":["integer"],"x":["number","string"]}"#
        );
    }
}
