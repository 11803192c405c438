//! Whole streams as they were stored still lead to the same state: `golden/history/*.jsonl`, one
//! event a line. These files are never changed either.

use std::{collections::BTreeMap, fmt::Debug, fs, path::Path};

use flexcore_domain::{
    DataStream, Execution, ExecutionStatus, Pipeline, PipelineStatus, StepProgress, StepState,
    StoredOutput,
    data_stream::{Bookmark, LastSync},
    execution::StepCounts,
};
use flexcore_event_codec::StoredEvent;
use flexcore_eventsourcing::{Aggregate, Epoch, Hash, fold};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::samples::{EXECUTION, PIPELINE, at, order, small_definition, state, step_id};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(rename = "type")]
    type_name: &'a str,
    version: u16,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// The fold of a stored stream; what is read is also written again as it was.
fn folded<A>(file: &str) -> A
where
    A: Aggregate<Event: StoredEvent> + Debug,
{
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/history");
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let events: Vec<A::Event> = text
        .lines()
        .map(|line| {
            let Line { type_name, version, payload } = serde_json::from_str(line).unwrap();
            let event = A::Event::decode(type_name, version, payload.get().as_bytes()).unwrap();
            let again = event.encode();
            assert_eq!(String::from_utf8(again.payload).unwrap(), payload.get());
            event
        })
        .collect();
    fold(None, 1, &events).unwrap().unwrap()
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
    assert_eq!(folded::<Execution>("execution.jsonl"), expected);
}

#[test]
fn a_pipeline_with_a_long_life_is_what_it_was() {
    let expected = Pipeline {
        id: PIPELINE,
        status: PipelineStatus::Archived,
        version: 2,
        definition: small_definition(),
    };
    assert_eq!(folded::<Pipeline>("pipeline.jsonl"), expected);
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
    assert_eq!(folded::<DataStream>("data-stream.jsonl"), expected);
}
