//! The published JSON Schemas, generated from the types that read the files.

use serde_json::Value;

use crate::{grants::Grants, manifest::Manifest};

/// The published JSON Schemas (draft 2020-12): the file's name in `schemas/` and its content.
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![("plugin.schema.json", Manifest::schema()), ("grants.schema.json", Grants::schema())]
}
