//! The JSON Schemas of the language, generated from its types.

use std::sync::LazyLock;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use crate::language::{PipelineFile, ProjectFile};

/// The schema of pipeline files, as checked and as published.
pub(crate) static PIPELINE: LazyLock<Value> = LazyLock::new(generate::<PipelineFile>);
/// The schema of project files, as checked and as published.
pub(crate) static PROJECT: LazyLock<Value> = LazyLock::new(generate::<ProjectFile>);

/// The published JSON Schemas (draft 2020-12): the file's name in `schemas/` and its content.
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![("pipeline.schema.json", PIPELINE.clone()), ("project.schema.json", PROJECT.clone())]
}

fn generate<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<T>().to_value()
}
