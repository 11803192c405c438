//! Whole streams as they were stored still lead to the same state: `golden/history/v<n>/*.jsonl`,
//! one event a line. These files are never changed either.
//!
//! When an event type gets a new version, a folder with the next number takes histories in which it
//! occurs; the older folders stay. Every version of every type occurs in a history, and every
//! history still decodes, upcasts and folds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
};

use flexcore_domain::{
    AccessIndex, ApiKey, AuditTrail, DataStream, Execution, ExecutionStatus, NameReservation,
    Pipeline, PipelineStatus, Plugin, PluginStatus, Role, StepProgress, StepState, StoredOutput,
    data_stream::{Bookmark, LastSync},
    execution::StepCounts,
    plugin::PluginCalls,
};
use flexcore_event_codec::StoredEvent;
use flexcore_eventsourcing::{Aggregate, Epoch, Hash, fold};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::samples::{
    self, EXECUTION, PIPELINE, Sample, at, order, small_definition, state, step_id,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(rename = "type")]
    type_name: &'a str,
    version: u16,
    #[serde(borrow)]
    payload: &'a RawValue,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/history")
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// The fold of a stored stream; what is read of the newest version is also written again as it was.
fn folded<A>(file: &Path) -> A
where
    A: Aggregate<Event: StoredEvent> + Debug,
{
    let text = fs::read_to_string(folder().join(file)).unwrap();
    let events: Vec<A::Event> = lines(&text)
        .map(|Line { type_name, version, payload }| {
            let event = A::Event::decode(type_name, version, payload.get().as_bytes()).unwrap();
            let again = event.encode();
            if again.schema_version == version {
                assert_eq!(String::from_utf8(again.payload).unwrap(), payload.get());
            }
            event
        })
        .collect();
    fold(None, 1, &events).unwrap().unwrap()
}

/// Every history, by its path below the folder.
fn all() -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let files = entries(&folder()).into_iter().flat_map(|version| entries(&version));
    files.map(|file| file.strip_prefix(folder()).unwrap().to_owned()).collect()
}

/// Folds a history as what its name begins with.
fn fold_any(file: &Path) -> Box<dyn Debug> {
    let stem = file.file_stem().unwrap().to_str().unwrap();
    match stem {
        "api-key" => Box::new(folded::<ApiKey>(file)),
        "role" => Box::new(folded::<Role>(file)),
        "access" => Box::new(folded::<AccessIndex>(file)),
        "audit" => Box::new(folded::<AuditTrail>(file)),
        _ if stem.starts_with("data-stream") => Box::new(folded::<DataStream>(file)),
        _ if stem.starts_with("execution") => Box::new(folded::<Execution>(file)),
        _ if stem.starts_with("pipeline-name") => Box::new(folded::<NameReservation>(file)),
        _ if stem.starts_with("pipeline") => Box::new(folded::<Pipeline>(file)),
        _ if stem.starts_with("plugin") => Box::new(folded::<Plugin>(file)),
        _ => panic!("{} is of no aggregate", file.display()),
    }
}

#[test]
fn every_history_of_every_version_decodes_upcasts_and_folds() {
    let histories = all();
    assert!(histories.len() >= 5, "only {} histories were found", histories.len());
    for file in histories {
        fold_any(&file);
    }
}

/// The newest version of each event type.
fn newest() -> BTreeMap<&'static str, u16> {
    fn of<E: StoredEvent>(samples: &[Sample<E>]) -> Vec<(&'static str, u16)> {
        let version = |(_, event): &Sample<E>| {
            let encoded = event.encode();
            (encoded.type_name, encoded.schema_version)
        };
        samples.iter().map(version).collect()
    }
    let samples = [
        of(&samples::pipeline()),
        of(&samples::names()),
        of(&samples::execution()),
        of(&samples::data_stream()),
        of(&samples::plugins::plugin()),
        of(&samples::access::api_key()),
        of(&samples::access::role()),
        of(&samples::access::index()),
        of(&samples::access::audit()),
    ];
    samples.concat().into_iter().collect()
}

#[test]
fn every_version_of_every_event_type_has_a_golden_file_and_a_history() {
    let texts: Vec<String> =
        all().iter().map(|file| fs::read_to_string(folder().join(file)).unwrap()).collect();
    let told: BTreeSet<(&str, u16)> = texts
        .iter()
        .flat_map(|text| lines(text).map(|line| (line.type_name, line.version)))
        .collect();
    for (type_name, newest) in newest() {
        for version in 1..=newest {
            let golden = format!("{type_name}.v{version}.json");
            assert!(folder().join("..").join(&golden).exists(), "golden/{golden} is missing");
            let found = told.contains(&(type_name, version));
            assert!(found, "no history in golden/history has version {version} of {type_name}");
        }
    }
}

/// Retried by its policy, lost with its node, failed, retried by hand, cancelled.
#[test]
fn an_execution_with_a_long_life_is_what_it_was() {
    let completed = |output| StepState::Completed { output };
    let artifact = StoredOutput::Artifact { sha256: Hash([0xab; 32]), size: 70_000 };
    let progress = |state, attempts, tries| StepProgress { state, attempts, tries };
    let expected = Execution {
        order: order(),
        status: ExecutionStatus::Cancelled,
        epoch: Epoch(3),
        node: Some("node-1".into()),
        started_at: Some(at(1)),
        deadline: None,
        cancel_requested: true,
        steps: BTreeMap::from([
            (
                step_id("load"),
                progress(completed(StoredOutput::Inline(json!({ "records": 10 }))), 1, 0),
            ),
            (step_id("check"), progress(completed(artifact), 4, 0)),
            (step_id("notify"), progress(StepState::Cancelled, 1, 0)),
        ]),
    };
    assert_eq!(folded::<Execution>(Path::new("v1/execution.jsonl")), expected);
}

#[test]
fn a_pipeline_with_a_long_life_is_what_it_was() {
    let expected = Pipeline {
        id: PIPELINE,
        status: PipelineStatus::Archived,
        version: 2,
        definition: small_definition(),
    };
    assert_eq!(folded::<Pipeline>(Path::new("v1/pipeline.jsonl")), expected);
}

#[test]
fn a_data_stream_with_a_long_life_is_what_it_was() {
    let counts = StepCounts { records: 10, bytes: 1_000 };
    let expected = DataStream {
        bookmark: Some(Bookmark {
            state: state(),
            execution: Some(EXECUTION),
            line: Some(Hash([0x1f; 32])),
        }),
        plugins: None,
        holder: None,
        schemas: BTreeMap::from([("flights".into(), json!({ "properties": { "id": {} } }))]),
        last_sync: Some(LastSync { execution: EXECUTION, counts }),
    };
    assert_eq!(folded::<DataStream>(Path::new("v1/data-stream.jsonl")), expected);
}

#[test]
fn a_plugin_with_a_long_life_is_what_it_was() {
    let expected = Plugin {
        registration: samples::plugins::registration(),
        status: PluginStatus::Unregistered,
        version: 1,
        running: [].into(),
        calls: PluginCalls { started: 2, completed: 1, failed: 1, denied: 3 },
    };
    assert_eq!(folded::<Plugin>(Path::new("v1/plugin.jsonl")), expected);
}

#[test]
fn a_name_with_a_long_life_belongs_to_its_last_holder() {
    let other = "pl_01900000000070008000000000000009".parse().unwrap();
    let name = folded::<NameReservation>(Path::new("v1/pipeline-name.jsonl"));
    assert_eq!(name, NameReservation { holder: Some(other) });
}

#[test]
fn an_execution_that_went_well_is_completed() {
    let execution = folded::<Execution>(Path::new("v1/execution-completed.jsonl"));
    assert_eq!(execution.status, ExecutionStatus::Completed);
}

#[test]
fn a_key_that_was_revoked_stays_so() {
    let key = folded::<ApiKey>(Path::new("v1/api-key.jsonl"));
    assert_eq!(key, ApiKey { grant: samples::access::grant(), is_revoked: true });
}

#[test]
fn a_role_that_was_removed_gives_nothing() {
    let role = folded::<Role>(Path::new("v1/role.jsonl"));
    assert_eq!(role, Role { definition: None });
}

#[test]
fn keys_and_roles_stay_listed() {
    let index = folded::<AccessIndex>(Path::new("v1/access.jsonl"));
    let roles = ["loader".parse().unwrap()].into();
    assert_eq!(index, AccessIndex { keys: [samples::access::KEY].into(), roles });
    let trail = folded::<AuditTrail>(Path::new("v1/audit.jsonl"));
    assert_eq!(trail, AuditTrail { records: 3 });
}
