//! Golden files hold every stored form still: `golden/<type>.v<version>[.<case>].json`, the payload
//! and one line feed.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
};

use flexcore_domain::{
    access::{api_key::ApiKeyEvent, audit::AuditEvent, index::AccessIndexEvent, role::RoleEvent},
    data_stream::DataStreamEvent,
    execution::ExecutionEvent,
    pipeline::PipelineEvent,
    pipeline_name::NameEvent,
    plugin::PluginEvent,
};
use flexcore_event_codec::{DecodeError, Encoded, StoredEvent};

use crate::samples::{self, Sample};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn file_of(encoded: &Encoded, case: &str) -> PathBuf {
    let case = if case.is_empty() { String::new() } else { format!(".{case}") };
    folder().join(format!("{}.v{}{case}.json", encoded.type_name, encoded.schema_version))
}

fn payload_in(file: &Path) -> Vec<u8> {
    let mut payload = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(payload.pop(), Some(b'\n'), "{} ends with a line feed", file.display());
    payload
}

fn check<E: StoredEvent + Debug + PartialEq>(samples: &[Sample<E>]) {
    for (case, event) in samples {
        let encoded = event.encode();
        let file = file_of(&encoded, case);
        let text = String::from_utf8(encoded.payload.clone()).unwrap();
        assert!(file.exists(), "{} is missing; it should hold\n{text}", file.display());
        let golden = payload_in(&file);
        assert_eq!(text, String::from_utf8(golden.clone()).unwrap(), "{}", file.display());
        let decoded = E::decode(encoded.type_name, encoded.schema_version, &golden).unwrap();
        assert_eq!(&decoded, event, "{}", file.display());
    }
    let shown: BTreeSet<&str> = samples.iter().map(|(_, event)| event.encode().type_name).collect();
    let types: BTreeSet<&str> = E::TYPES.iter().copied().collect();
    assert_eq!(shown, types, "there is a sample of every type");
    assert_eq!(types.len(), E::TYPES.len(), "every type is listed once");
}

#[test]
fn pipelines_are_stored_as_the_golden_files_say() {
    check(&samples::pipeline());
}

#[test]
fn names_are_stored_as_the_golden_files_say() {
    check(&samples::names());
}

#[test]
fn executions_are_stored_as_the_golden_files_say() {
    check(&samples::execution());
}

#[test]
fn data_streams_are_stored_as_the_golden_files_say() {
    check(&samples::data_stream());
}

#[test]
fn plugins_are_stored_as_the_golden_files_say() {
    check(&samples::plugins::plugin());
}

#[test]
fn keys_roles_and_the_trail_are_stored_as_the_golden_files_say() {
    check(&samples::access::api_key());
    check(&samples::access::role());
    check(&samples::access::index());
    check(&samples::access::audit());
}

#[test]
fn a_type_name_belongs_to_one_aggregate() {
    let all = [
        PipelineEvent::TYPES,
        NameEvent::TYPES,
        ExecutionEvent::TYPES,
        DataStreamEvent::TYPES,
        PluginEvent::TYPES,
        ApiKeyEvent::TYPES,
        RoleEvent::TYPES,
        AccessIndexEvent::TYPES,
        AuditEvent::TYPES,
    ]
    .concat();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}

fn decodes(type_name: &str, version: u16, payload: &[u8]) -> Result<(), DecodeError> {
    if PipelineEvent::TYPES.contains(&type_name) {
        PipelineEvent::decode(type_name, version, payload).map(drop)
    } else if NameEvent::TYPES.contains(&type_name) {
        NameEvent::decode(type_name, version, payload).map(drop)
    } else if DataStreamEvent::TYPES.contains(&type_name) {
        DataStreamEvent::decode(type_name, version, payload).map(drop)
    } else if PluginEvent::TYPES.contains(&type_name) {
        PluginEvent::decode(type_name, version, payload).map(drop)
    } else if ApiKeyEvent::TYPES.contains(&type_name) {
        ApiKeyEvent::decode(type_name, version, payload).map(drop)
    } else if RoleEvent::TYPES.contains(&type_name) {
        RoleEvent::decode(type_name, version, payload).map(drop)
    } else if AccessIndexEvent::TYPES.contains(&type_name) {
        AccessIndexEvent::decode(type_name, version, payload).map(drop)
    } else if AuditEvent::TYPES.contains(&type_name) {
        AuditEvent::decode(type_name, version, payload).map(drop)
    } else {
        ExecutionEvent::decode(type_name, version, payload).map(drop)
    }
}

/// The current versions are compared above; this holds for the old ones too.
#[test]
fn every_golden_file_of_every_version_can_be_read() {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut count = 0;
    for file in files.filter(|file| file.is_file()) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let (type_name, rest) = name.split_once(".v").unwrap();
        let version = rest.split('.').next().unwrap().parse().unwrap();
        decodes(type_name, version, &payload_in(&file))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        count += 1;
    }
    assert!(count >= 29, "only {count} golden files were found");
}
