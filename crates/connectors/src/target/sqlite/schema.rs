//! From a JSON Schema to columns.

use flexcore_singer::{Json, Object, SchemaMessage};

use super::Decimals;
use crate::target::error::SinkError;

/// How a column stores its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Integer,
    Real,
    Boolean,
    Text,
}

impl ColumnType {
    /// The declared type; SQLite derives the affinity from it.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Integer => "INTEGER",
            Self::Real => "REAL",
            Self::Boolean => "BOOLEAN",
            Self::Text => "TEXT",
        }
    }

    /// The type of a column that exists, by SQLite's own rules of affinity.
    pub(super) fn of_declared(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |part: &str| declared.contains(part);
        if has("INT") {
            Self::Integer
        } else if has("BOOL") {
            Self::Boolean
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else {
            Self::Text
        }
    }

    /// The narrowest type that holds the values of both.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (one, two) if one == two => one,
            (Self::Integer, Self::Real) | (Self::Real, Self::Integer) => Self::Real,
            _ => Self::Text,
        }
    }
}

/// A column that a schema asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WantedColumn {
    pub(super) name: String,
    pub(super) kind: ColumnType,
}

/// The columns of a SCHEMA: its top-level properties, in order.
pub(super) fn wanted_columns(
    message: &SchemaMessage<'_>,
    decimals: Decimals,
) -> Result<Vec<WantedColumn>, SinkError> {
    let schema = message.schema_tree().map_err(|error| SinkError::Schema(error.to_string()))?;
    let properties = schema.get("properties").and_then(Json::as_object);
    let columns: Vec<WantedColumn> = properties
        .into_iter()
        .flat_map(Object::iter)
        .map(|(name, property)| {
            let kind = column_type(property, decimals);
            WantedColumn { name: name.to_owned(), kind }
        })
        .collect();
    check_names(&columns)?;
    if columns.is_empty() {
        return Err(SinkError::Schema(
            "it names no properties, so there are no columns".to_owned(),
        ));
    }
    for key in &message.key_properties {
        if !columns.iter().any(|column| column.name == *key) {
            let problem = format!("key property '{key}' is not among its properties");
            return Err(SinkError::Schema(problem));
        }
    }
    Ok(columns)
}

fn check_names(columns: &[WantedColumn]) -> Result<(), SinkError> {
    for (index, column) in columns.iter().enumerate() {
        if column.name.contains('\0') {
            let problem =
                format!("property '{}' has a NUL in its name", column.name.escape_debug());
            return Err(SinkError::Schema(problem));
        }
        let twin = columns[..index].iter().find(|c| c.name.eq_ignore_ascii_case(&column.name));
        if let Some(twin) = twin {
            return Err(SinkError::Schema(format!(
                "SQLite does not tell the columns '{}' and '{}' apart; deselect one of them",
                twin.name, column.name
            )));
        }
    }
    Ok(())
}

fn column_type(property: &Json, decimals: Decimals) -> ColumnType {
    let mut names = Vec::new();
    collect_types(property, &mut names);
    names.retain(|name| *name != "null");
    let is_any_of = |known: &[&str]| !names.is_empty() && names.iter().all(|n| known.contains(n));
    if is_any_of(&["integer"]) {
        ColumnType::Integer
    } else if is_any_of(&["integer", "number"]) && decimals == Decimals::Real {
        ColumnType::Real
    } else if is_any_of(&["boolean"]) {
        ColumnType::Boolean
    } else {
        ColumnType::Text
    }
}

/// The types of a schema and of its alternatives. A schema that says nothing may be anything.
fn collect_types<'a>(schema: &'a Json, names: &mut Vec<&'a str>) {
    let before = names.len();
    match schema.get("type") {
        Some(Json::String(name)) => names.push(name),
        Some(Json::Array(list)) => names.extend(list.iter().filter_map(Json::as_str)),
        _ => {}
    }
    for alternatives in ["anyOf", "oneOf"].iter().filter_map(|key| schema.get(key)?.as_array()) {
        for schema in alternatives {
            collect_types(schema, names);
        }
    }
    if names.len() == before {
        names.push("any");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(properties: &str, key: &[&str]) -> Result<Vec<(String, ColumnType)>, String> {
        let message = SchemaMessage {
            stream: "s".into(),
            schema: format!("{{\"properties\":{properties}}}").into(),
            key_properties: key.iter().map(|name| (*name).to_owned()).collect(),
            bookmark_properties: Vec::new(),
        };
        wanted_columns(&message, Decimals::Real)
            .map(|columns| columns.into_iter().map(|c| (c.name, c.kind)).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn types_come_from_the_schema() {
        for (schema, kind) in [
            (r#"{"type":"integer"}"#, ColumnType::Integer),
            (r#"{"type":["null","integer"]}"#, ColumnType::Integer),
            (r#"{"type":["number","integer"]}"#, ColumnType::Real),
            (r#"{"type":"boolean"}"#, ColumnType::Boolean),
            (r#"{"type":["boolean","integer"]}"#, ColumnType::Text),
            (r#"{"type":"string","format":"date-time"}"#, ColumnType::Text),
            (r#"{"type":"string","format":"singer.decimal"}"#, ColumnType::Text),
            (r#"{"type":"object"}"#, ColumnType::Text),
            (r#"{"anyOf":[{"type":"integer"},{"type":"null"}]}"#, ColumnType::Integer),
            (r#"{"anyOf":[{"type":"integer"},{}]}"#, ColumnType::Text),
            (r"{}", ColumnType::Text),
            (r#"{"$ref":"/$defs/x"}"#, ColumnType::Text),
        ] {
            let columns = wanted(&format!("{{\"a\":{schema}}}"), &[]).unwrap();
            assert_eq!(columns, [("a".to_owned(), kind)], "{schema}");
        }
    }

    #[test]
    fn schemas_that_sqlite_cannot_hold_are_errors() {
        assert!(wanted("{}", &[]).unwrap_err().contains("names no properties"));
        assert!(wanted(r#"{"Id":{},"id":{}}"#, &[]).unwrap_err().contains("apart"));
        assert!(wanted(r#"{"a":{}}"#, &["id"]).unwrap_err().contains("'id' is not among"));
        assert!(wanted(r#"{"a\u0000":{}}"#, &[]).unwrap_err().contains("NUL"));
    }

    #[test]
    fn declared_types_follow_the_rules_of_affinity() {
        assert_eq!(ColumnType::of_declared("bigint"), ColumnType::Integer);
        assert_eq!(ColumnType::of_declared("double precision"), ColumnType::Real);
        assert_eq!(ColumnType::of_declared("boolean"), ColumnType::Boolean);
        assert_eq!(ColumnType::of_declared("varchar(20)"), ColumnType::Text);
        assert_eq!(ColumnType::of_declared(""), ColumnType::Text);
    }
}
