//! What the plugin says of itself, and how it takes settings.

use flexcore_plugin_protocol::protobuf::v1;
use serde_json::{Value, json};

use super::{Complaint, Subject, Verdict};
use crate::testing::TestPlugin;

/// The longest payload that the protocol allows.
const LONGEST_PAYLOAD: u64 = 15 * 1024 * 1024;

pub(super) fn info(plugin: &TestPlugin, subject: &Subject) -> Verdict {
    let info = plugin.info();
    let manifest_type = v1::PluginType::from(subject.plugin_type);
    for (what, said, manifest) in [
        ("name", info.name.clone(), subject.name.clone()),
        ("version", info.version.clone(), subject.version.clone()),
        (
            "type",
            info.plugin_type().as_str_name().to_owned(),
            manifest_type.as_str_name().to_owned(),
        ),
    ] {
        if said != manifest {
            return Err(Complaint::new(
                format!("it says that its {what} is `{said}`, its manifest `{manifest}`"),
                "make the two the same, and build it again",
            ));
        }
    }
    if !info.encodings().any(|encoding| encoding == v1::Encoding::Jsonl) {
        let hint = "list JSONL in `encodings`: every host speaks it";
        return Err(Complaint::new("it does not speak JSON lines", hint));
    }
    match info.initial_credit {
        Some(credit) if credit.bytes < LONGEST_PAYLOAD || credit.chunks == 0 => {
            Err(Complaint::new(
                format!("executions begin with credit for {} bytes", credit.bytes),
                "begin with 15 MiB at least, so that the longest record can come",
            ))
        }
        _ => Ok(()),
    }
}

pub(super) async fn schema(
    plugin: &TestPlugin,
    is_schema: &(dyn Fn(&Value) -> Result<(), String> + Sync),
) -> Verdict {
    const HINT: &str = "answer Schema with a JSON Schema (draft 2020-12) in `config_schema_json`";
    let text = plugin.config_schema().await?;
    let schema: Value = serde_json::from_str(&text)
        .map_err(|error| Complaint::new(format!("it is no JSON: {error}"), HINT))?;
    if !schema.is_object() {
        return Err(Complaint::new("it is no object", HINT));
    }
    is_schema(&schema).map_err(|error| Complaint::new(error, HINT))
}

/// Texts that cannot be settings. A status is as good a refusal as a problem.
pub(super) async fn nonsense(plugin: &TestPlugin) -> Verdict {
    for text in ["", "{", "[]", "null", "\u{0}", "{} {}"] {
        if plugin.validate_text(text.to_owned()).await.is_ok_and(|problems| problems.is_empty()) {
            return Err(Complaint::new(
                format!("it finds nothing wrong with `{}`", text.escape_debug()),
                "answer Validate with a problem where the settings are no JSON object",
            ));
        }
    }
    // Values that no schema can want; it may know no setting, so that this may be right.
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let _ = plugin.validate_text(deep).await;
    match plugin.is_serving().await {
        Ok(true) => Ok(()),
        _ => Err(Complaint::new(
            "it does not survive settings that are nested 100000 levels deep",
            "use a JSON parser with a limit",
        )),
    }
}

pub(super) async fn sample(plugin: &TestPlugin, subject: &Subject) -> Verdict {
    const HINT: &str = "correct the settings in conformance.json, or what Validate says";
    let problems = plugin.validate(&subject.sample.config).await?;
    match problems.iter().find(|problem| !problem.warning) {
        None => Ok(()),
        Some(problem) => {
            Err(Complaint::new(format!("{} {}", problem.pointer, problem.message), HINT))
        }
    }
}

pub(super) async fn initialize(plugin: &TestPlugin, subject: &Subject) -> Verdict {
    const HINT: &str = "put settings that are right, and secrets that it needs, into \
                        conformance.json";
    let secrets: Vec<(&str, &str)> = subject
        .sample
        .secrets
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let initialize = async || plugin.initialize(&subject.sample.config, &secrets).await;
    initialize().await.map_err(|error| Complaint::new(error.to_string(), HINT))?;
    // Hosts that reuse a process initialize it again, with the same settings or others; wrong ones
    // must not end it.
    let _ = plugin.initialize(&json!([]), &[]).await;
    initialize().await.map_err(|error| {
        let hint = "Initialize may come again: the new settings take the place of the old ones";
        Complaint::new(format!("the second time it fails: {error}"), hint)
    })?;
    Ok(())
}
