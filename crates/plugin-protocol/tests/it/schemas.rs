//! The published schemas are those of the types, and agree with the readers about real files.

use std::{env, fs, path::PathBuf};

use flexcore_plugin_protocol::schemas;
use serde_json::Value;

use crate::support::{GRANTS, MANIFESTS};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

#[test]
fn the_published_schemas_are_current() {
    let update = env::var_os("UPDATE_SCHEMAS").is_some();
    for (name, schema) in schemas() {
        let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        let path = folder().join(name);
        if update {
            fs::write(&path, &text).unwrap();
        }
        let published = fs::read_to_string(&path).unwrap_or_default();
        assert!(published == text, "schemas/{name} is not current; run with UPDATE_SCHEMAS=1");
    }
}

#[test]
fn real_files_satisfy_the_published_schemas() {
    let manifests = MANIFESTS.map(|(file, text)| ("plugin.schema.json", file, text));
    let grants = ("grants.schema.json", "grants.toml", GRANTS);
    for (name, file, text) in manifests.into_iter().chain([grants]) {
        let (_, schema) = schemas().into_iter().find(|(known, _)| *known == name).unwrap();
        let value: Value = toml::from_str(text).unwrap();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{file}");
    }
}
