//! When a catalog is asked for, and what the tap is given.

use flexcore_domain::ErrorClass;
use flexcore_ports::attempt::SyncRunner as _;

use crate::stage::{RECORD, Stage, TARGET, prints};

/// Discovers two streams; in a sync it shows its arguments and the catalog that it was given.
const TAP: &str = r#"
case "$*" in *--discover*)
    echo 'INFO looking around'
    echo '{"streams":[
        {"tap_stream_id":"orders","stream":"orders","schema":{"properties":{"id":{}}},"metadata":[]},
        {"tap_stream_id":"logs","stream":"logs","schema":{"properties":{"id":{}}},"metadata":[]}]}'
    exit;;
esac
echo "arguments: $*" >&2
while test $# -gt 0; do
    test "$1" = --catalog && cp "$2" given-catalog
    test "$1" = --state && cp "$2" given-state
    shift
done
"#;

#[tokio::test(flavor = "multi_thread")]
async fn without_rules_a_tap_is_not_asked_and_gets_no_catalog() {
    let tap = r#"case "$*" in *--discover*) exit 1;; esac; echo "arguments: $*" >&2"#;
    let stage = Stage::new(tap, TARGET).await;
    stage.completed().await;
    let log = stage.log.text();
    let arguments = log.lines().find(|line| line.contains("arguments: --config /")).unwrap();
    assert!(!arguments.contains("--catalog") && !arguments.contains("--state"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_applied_to_the_catalog_that_the_tap_is_given() {
    let mut stage = Stage::new(TAP, TARGET).await;
    stage.settings.select = vec!["orders.*".to_owned()];
    stage.settings.state = Some(r#"{"bookmarks":{"a":123456789012345678901234567890}}"#.to_owned());
    stage.completed().await;
    let catalog: serde_json::Value = serde_json::from_str(&stage.file("given-catalog")).unwrap();
    let selected =
        |stream: usize| &catalog["streams"][stream]["metadata"][0]["metadata"]["selected"];
    assert_eq!((selected(0), selected(1)), (&true.into(), &false.into()), "{catalog}");
    assert_eq!(Some(stage.file("given-state")), stage.settings.state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_that_matches_nothing_fails_before_anything_runs() {
    let mut stage = Stage::new(TAP, TARGET).await;
    stage.settings.select = vec!["custmers.*".to_owned()];
    let error = stage.failed().await;
    assert!(
        error
            .message
            .starts_with("tap `tap-x`: select pattern 'custmers.*' matches nothing in the catalog"),
        "{error:?}"
    );
    assert_eq!(error.class, ErrorClass::Refused);
    assert!(!stage.log.text().contains("arguments"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_that_cannot_discover_fails_a_step_with_rules() {
    let tap = format!(
        "case \"$*\" in *--discover*) echo 'unrecognized arguments: --discover' >&2; exit 2;; esac\n{}",
        prints(&[RECORD])
    );
    let mut stage = Stage::new(&tap, TARGET).await;
    stage.settings.select = vec!["*.*".to_owned()];
    let error = stage.failed().await;
    assert!(error.message.starts_with("tap `tap-x` cannot discover its catalog"), "{error:?}");
    assert!(error.message.ends_with("unrecognized arguments: --discover"), "{error:?}");
    assert_eq!((error.class, error.exit_code), (ErrorClass::ExitCode, Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_alone_shows_the_catalog_with_the_rules() {
    let mut stage = Stage::new(TAP, TARGET).await;
    stage.settings.only_streams = vec!["logs".to_owned()];
    let (context, settings) = (stage.context.clone(), stage.settings.clone());
    let catalog = stage.runner.discover(context, settings).await.unwrap();
    assert_eq!(catalog["streams"][0]["selected"], false);
    assert_eq!(catalog["streams"][1]["selected"], true);
    assert!(!stage.context.work_folder.exists());
}
