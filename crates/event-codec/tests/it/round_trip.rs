//! Whatever is stored comes back; whatever is stored by anybody else is an error and no panic.

use std::fmt::Debug;

use flexcore_domain::{
    JsonText, StoredOutput, data_stream::DataStreamEvent, execution::ExecutionEvent,
    pipeline::PipelineEvent, pipeline_name::NameEvent, plugin::PluginEvent,
};
use flexcore_event_codec::{MAX_JSON_DEPTH, StoredEvent};
use flexcore_eventsourcing::{EventContext, EventId, Timestamp};
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{samples, strategies};

fn comes_back<E: StoredEvent + Debug + PartialEq>(event: &E) -> Result<(), TestCaseError> {
    let stored = event.encode();
    prop_assert!(E::TYPES.contains(&stored.type_name));
    let decoded = E::decode(stored.type_name, stored.schema_version, &stored.payload).unwrap();
    prop_assert_eq!(&decoded, event);
    prop_assert_eq!(decoded.encode(), stored);
    Ok(())
}

/// Decoding damaged payloads of an event ends, one way or the other.
fn survives_damage<E: StoredEvent + Debug>(event: &E, place: Index, byte: u8) {
    let stored = event.encode();
    let place = place.index(stored.payload.len());
    let cut = &stored.payload[..place];
    E::decode(stored.type_name, stored.schema_version, cut).unwrap_err();
    let mut damaged = stored.payload.clone();
    damaged[place] = byte;
    if let Ok(event) = E::decode(stored.type_name, stored.schema_version, &damaged) {
        event.encode();
    }
}

fn survives_bytes<E: StoredEvent + Debug>(version: u16, payload: &[u8]) {
    for type_name in E::TYPES {
        if let Ok(event) = E::decode(type_name, version, payload) {
            event.encode();
        }
    }
}

proptest! {
    #[test]
    fn any_pipeline_event_comes_back(event in strategies::pipeline()) {
        comes_back(&event)?;
    }

    #[test]
    fn any_name_event_comes_back(event in strategies::name()) {
        comes_back(&event)?;
    }

    #[test]
    fn any_execution_event_comes_back(event in strategies::execution()) {
        comes_back(&event)?;
    }

    #[test]
    fn any_data_stream_event_comes_back(event in strategies::data_stream()) {
        comes_back(&event)?;
    }

    #[test]
    fn any_plugin_event_comes_back(event in strategies::plugin()) {
        comes_back(&event)?;
    }

    #[test]
    fn any_event_of_access_comes_back(
        key in strategies::access::api_key(),
        role in strategies::access::role(),
        index in strategies::access::index(),
        audit in strategies::access::audit(),
        place: Index,
        byte: u8,
    ) {
        comes_back(&key)?;
        comes_back(&role)?;
        comes_back(&index)?;
        comes_back(&audit)?;
        survives_damage(&key, place, byte);
        survives_damage(&role, place, byte);
        survives_damage(&index, place, byte);
        survives_damage(&audit, place, byte);
    }

    #[test]
    fn no_damage_panics(
        plugin in strategies::plugin(),
        pipeline in strategies::pipeline(),
        execution in strategies::execution(),
        data_stream in strategies::data_stream(),
        place: Index,
        byte: u8,
    ) {
        survives_damage(&pipeline, place, byte);
        survives_damage(&execution, place, byte);
        survives_damage(&data_stream, place, byte);
        survives_damage(&plugin, place, byte);
    }

    #[test]
    fn no_bytes_panic(version in 0_u16..3, payload: Vec<u8>, name: String) {
        survives_bytes::<PipelineEvent>(version, &payload);
        survives_bytes::<NameEvent>(version, &payload);
        survives_bytes::<ExecutionEvent>(version, &payload);
        survives_bytes::<DataStreamEvent>(version, &payload);
        survives_bytes::<PluginEvent>(version, &payload);
        if !ExecutionEvent::TYPES.contains(&name.as_str()) {
            ExecutionEvent::decode(&name, version, &payload).unwrap_err();
        }
    }

    #[test]
    fn no_json_panics(payload in strategies::json()) {
        let payload = payload.to_string();
        survives_bytes::<PipelineEvent>(1, payload.as_bytes());
        survives_bytes::<NameEvent>(1, payload.as_bytes());
        survives_bytes::<ExecutionEvent>(1, payload.as_bytes());
        survives_bytes::<DataStreamEvent>(1, payload.as_bytes());
        survives_bytes::<PluginEvent>(1, payload.as_bytes());
    }

    #[test]
    fn a_text_that_is_no_json_is_still_stored_readably(text: String) {
        let stored = DataStreamEvent::BookmarkSet { state: JsonText(text.clone()) }.encode();
        let read = DataStreamEvent::decode(stored.type_name, 1, &stored.payload).unwrap();
        let DataStreamEvent::BookmarkSet { state } = read else { panic!("{read:?}") };
        let expected = match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => text.trim_matches([' ', '\t', '\r', '\n']).to_owned(),
            Err(_) => Value::from(text).to_string(),
        };
        prop_assert_eq!(state.as_str(), expected);
    }
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::Null, |inner, _| json!([inner]))
}

#[test]
fn what_serde_json_can_read_can_be_stored_inside_other_json() {
    let read: Value = serde_json::from_str(&nested(127).to_string()).unwrap();
    let params = json!({ "given": { "by": { "hand": read } } });
    let order = flexcore_domain::ExecutionOrder { params, ..samples::order() };
    comes_back(&ExecutionEvent::Created(order)).unwrap();
}

#[test]
fn json_at_the_limit_of_depth_comes_back_and_beyond_it_is_an_error() {
    let observed = |schema| DataStreamEvent::SchemaObserved { stream: "flights".into(), schema };
    comes_back(&observed(nested(MAX_JSON_DEPTH))).unwrap();
    let deeper = observed(nested(MAX_JSON_DEPTH + 1)).encode();
    let error = DataStreamEvent::decode(deeper.type_name, 1, &deeper.payload).unwrap_err();
    assert!(error.to_string().contains("nested more than 256 levels deep"), "{error}");
}

#[test]
fn a_duration_is_cut_to_microseconds() {
    let (_, event) =
        samples::execution().into_iter().find(|(case, _)| *case == "artifact").unwrap();
    let ExecutionEvent::StepCompleted { step, attempt, output, counts, .. } = event else {
        panic!("{event:?}");
    };
    let stored = |duration| {
        let (step, output) = (step.clone(), output.clone());
        ExecutionEvent::StepCompleted { step, attempt, output, duration, counts }.encode()
    };
    let micros = std::time::Duration::from_micros;
    assert_eq!(stored(micros(7) + std::time::Duration::from_nanos(999)), stored(micros(7)));
    assert_eq!(stored(std::time::Duration::MAX), stored(micros(u64::MAX)));
}

#[test]
fn an_event_goes_into_its_envelope_and_back() {
    let event = ExecutionEvent::StepCompleted {
        step: samples::step_id("load"),
        attempt: 1,
        output: StoredOutput::Inline(json!(1)),
        duration: std::time::Duration::ZERO,
        counts: flexcore_domain::StepCounts::default(),
    };
    let id = EventId(Uuid::from_u128(9));
    let context = EventContext::json("default", "tests");
    let data = event.encode().into_event_data(id, Timestamp::EPOCH, context);
    assert_eq!((&*data.type_name, data.schema_version, data.id), ("StepCompleted", 1, id));
    assert_eq!(ExecutionEvent::decode_data(&data).unwrap(), event);
}
