//! What conformance finds.

use std::{fs, path::Path};

use flexcore_plugin_protocol::Manifest;
use flexcore_plugin_sdk::{
    PluginType,
    conformance::{Check, Outcome, Sample, Subject, conformance},
    testing::Cookie,
};
use serde_json::json;

use crate::Author;

fn subject(argv: Vec<String>) -> Subject {
    Subject {
        argv,
        cookie: Cookie::default(),
        environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        name: "author".to_owned(),
        version: "1.2.3".to_owned(),
        plugin_type: PluginType::Processor,
        sample: serde_json::from_value(json!({
            "config": {"greeting": "Hello"},
            "input": [{"a": 1}, {"a": 2}],
            "expect": {
                "result": {"records": 2},
                "records": {"echo": [{"a": 1}, {"a": 2}]},
            },
        }))
        .unwrap(),
    }
}

async fn checked(subject: &Subject) -> Vec<Check> {
    conformance(subject, &|_| Ok(())).await
}

fn failed(checks: &[Check]) -> Vec<(&str, &str)> {
    let failed = checks.iter().filter(|check| check.outcome == Outcome::Failed);
    failed.map(|check| (check.name, check.detail.as_deref().unwrap_or_default())).collect()
}

pub(crate) async fn a_plugin_of_the_sdk_conforms(author: Author) {
    let checks = checked(&subject(author.argv())).await;
    assert!(checks.iter().all(|check| check.outcome == Outcome::Passed), "{checks:#?}");
    assert!(checks.len() > 15, "{checks:#?}");
}

pub(crate) async fn what_differs_from_manifest_or_sample_is_found(author: Author) {
    let mut subject = subject(author.argv());
    subject.version = "2".to_owned();
    subject.sample.operation = "fail".to_owned();
    let checks = checked(&subject).await;
    assert_eq!(
        failed(&checks),
        [
            (
                "it is what its manifest says",
                "it says that its version is `1.2.3`, its manifest `2`"
            ),
            ("the sample's call completes", "it failed: the other side is away"),
            ("a large input flows within little credit", "it failed: the other side is away"),
        ],
        "{checks:#?}"
    );
    subject.sample = Sample { config: json!({"greeting": 1}), ..Sample::default() };
    let checks = checked(&subject).await;
    assert_eq!(failed(&checks).len(), 3, "{checks:#?}");
    assert!(checks.iter().any(|check| check.outcome == Outcome::Skipped), "{checks:#?}");
}

/// What `flexcore plugin new` makes.
pub(crate) async fn a_new_plugin_conforms(author: Author) {
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let folder = tempfile::tempdir().unwrap();
    let argv = match author {
        Author::Rust => vec![env!("CARGO_BIN_EXE_flexcore-plugin-sdk-template").to_owned()],
        Author::Python => {
            // As `make` there lays it out.
            let program = folder.path().join("bin/my-plugin");
            fs::create_dir(folder.path().join("bin")).unwrap();
            fs::copy(templates.join("python/main.py"), &program).unwrap();
            vec![author.argv()[0].clone(), program.to_string_lossy().into_owned()]
        }
    };
    let text = fs::read_to_string(templates.join("plugin.toml")).unwrap();
    let manifest = Manifest::parse("plugin.toml", &text).unwrap();
    let sample = fs::read(templates.join("conformance.json")).unwrap();
    let subject = Subject {
        name: manifest.name,
        version: manifest.version,
        plugin_type: PluginType::Transformer,
        sample: serde_json::from_slice(&sample).unwrap(),
        ..subject(argv)
    };
    let checks = checked(&subject).await;
    assert!(checks.iter().all(|check| check.outcome == Outcome::Passed), "{checks:#?}");
}

#[tokio::test]
async fn programs_that_are_no_plugins_are_told_why() {
    for (script, detail) in [
        ("exit 0", "without a handshake"),
        ("echo hello; exec sleep 60", "is no handshake"),
        ("echo '1|1|tcp|127.0.0.1:1|grpc'; exec sleep 60", "is no handshake"),
        ("echo oh no >&2; exit 3", "oh no"),
    ] {
        // By hand they end at once.
        let script = format!("[ -n \"$FLEXCORE_PLUGIN\" ] || exit 1; {script}");
        let argv = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
        let checks = checked(&subject(argv)).await;
        let (name, found) = *failed(&checks).last().unwrap();
        assert_eq!(name, "it starts and shakes hands", "{checks:#?}");
        assert!(found.contains(detail), "{checks:#?}");
    }
}
