//! What the plugins say of themselves.

use std::path::Path;

use flexcore_plugin_protocol::{Manifest, PluginKind};
use flexcore_processors::{Asks, config_schema, manifest_text, manifest_text_with, names};

use crate::{SERVE, started};

#[tokio::test]
async fn manifest_schema_and_program_agree() {
    for name in names() {
        let text = manifest_text(name, Path::new(SERVE)).unwrap();
        let manifest = Manifest::parse("plugin.toml", &text).unwrap();
        assert_eq!(manifest.kind, PluginKind::Process);
        assert_eq!(manifest.entrypoint, [SERVE, "plugin-serve", name]);
        assert!(manifest.capabilities.is_empty());
        let plugin = started(name).await;
        let info = plugin.info();
        assert_eq!((&info.name, &info.version), (&manifest.name, &manifest.version));
        assert_eq!(info.stateless, manifest.pool.reuse_across_tenants);
        let schema = config_schema(name).unwrap();
        assert_eq!(plugin.config_schema().await.unwrap(), schema.to_string());
        assert!(jsonschema_is_valid(&schema), "{name}");
    }
    assert_eq!(manifest_text("other", Path::new(SERVE)), None);
}

fn jsonschema_is_valid(schema: &serde_json::Value) -> bool {
    jsonschema::meta::is_valid(schema)
}

#[test]
fn what_it_asks_for_and_odd_paths_are_written_down() {
    let asks = Asks {
        network: vec!["tcp://db.example.com:5432".to_owned()],
        secrets: vec!["warehouse".to_owned()],
    };
    let executable = Path::new("/opt/a \"b\" c/flexcore");
    let text = manifest_text_with("postgres-processor", executable, &asks).unwrap();
    let manifest = Manifest::parse("plugin.toml", &text).unwrap();
    assert_eq!(manifest.entrypoint[0], "/opt/a \"b\" c/flexcore");
    let asked: Vec<String> = manifest.capabilities.iter().map(ToString::to_string).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
}

#[test]
fn another_name_is_refused() {
    let output =
        std::process::Command::new(SERVE).args(["plugin-serve", "other"]).output().unwrap();
    assert!(!output.status.success());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("there are json-transform, data-validator, postgres-processor"));
}
