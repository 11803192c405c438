use super::*;
use crate::{EventContext, EventId};

fn stream() -> StreamName {
    StreamName::new("default", "execution", ["0190"]).unwrap()
}

fn event() -> EventData {
    EventData {
        id: EventId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001)),
        type_name: "StepStarted".into(),
        schema_version: 1,
        occurred_at: Timestamp::from_micros(1_767_225_600_000_000),
        context: EventContext {
            correlation: Some(Uuid::from_u128(7)),
            ..EventContext::json("default", "local")
        },
        payload: br#"{"step":"load"}"#.to_vec(),
    }
}

fn batch(root: Hash) -> BatchHeader {
    BatchHeader {
        first_position: 1,
        last_position: 2,
        committed_at: Timestamp::from_micros(1_767_225_600_000_001),
        writes: vec![
            BatchWrite { stream: stream(), first_version: 1, count: 1, fence: Some(Epoch(1)) },
            BatchWrite { stream: stream(), first_version: 2, count: 1, fence: None },
        ],
        root,
    }
}

/// The file is never changed: a difference means that stored logs no longer verify.
#[test]
fn every_hash_is_what_it_always_was() {
    let leaf = leaf_hash(&stream(), &event());
    let root = leaves_root(&[leaf, leaf]);
    let lines = format!(
        "leaf {leaf}\nhead {}\nroot {root}\nbatch {}\n",
        stream_head(Hash::ZERO, &[leaf]),
        batch_hash(Hash::ZERO, &batch(root)),
    );
    assert_eq!(lines, include_str!("../../golden/hashes.txt"));
}

#[test]
fn every_field_of_the_envelope_is_covered() {
    let changes: [fn(&mut EventData); 11] = [
        |event| event.id = EventId(Uuid::from_u128(1)),
        |event| event.type_name = "StepStartee".into(),
        |event| event.schema_version = 2,
        |event| event.occurred_at = Timestamp::EPOCH,
        |event| event.context.tenant = "other".into(),
        |event| event.context.actor = "other".into(),
        |event| event.context.correlation = None,
        |event| event.context.causation = Some(Uuid::from_u128(7)),
        |event| event.context.content_type = "text/plain".into(),
        |event| event.context.sealing_key = Some(Uuid::from_u128(7)),
        |event| event.payload.push(b' '),
    ];
    let original = leaf_hash(&stream(), &event());
    for change in changes {
        let mut altered = event();
        change(&mut altered);
        assert_ne!(leaf_hash(&stream(), &altered), original, "{altered:?}");
    }
    let elsewhere = StreamName::new("default", "execution", ["0191"]).unwrap();
    assert_ne!(leaf_hash(&elsewhere, &event()), original);
}

#[test]
fn moving_a_byte_between_neighbouring_fields_changes_the_leaf() {
    let mut moved = event();
    moved.context.tenant = "defaul".into();
    moved.context.actor = "tlocal".into();
    assert_ne!(leaf_hash(&stream(), &moved), leaf_hash(&stream(), &event()));
}

#[test]
fn every_field_of_a_batch_is_covered() {
    let changes: [fn(&mut BatchHeader); 8] = [
        |batch| batch.first_position = 2,
        |batch| batch.last_position = 3,
        |batch| batch.committed_at = Timestamp::EPOCH,
        |batch| batch.root = Hash::ZERO,
        |batch| batch.writes[0].first_version = 9,
        |batch| batch.writes[0].count = 9,
        |batch| batch.writes[0].fence = None,
        |batch| batch.writes.swap(0, 1),
    ];
    let root = leaves_root(&[leaf_hash(&stream(), &event())]);
    let original = batch_hash(Hash::ZERO, &batch(root));
    for change in changes {
        let mut altered = batch(root);
        change(&mut altered);
        assert_ne!(batch_hash(Hash::ZERO, &altered), original, "{altered:?}");
    }
    assert_ne!(batch_hash(root, &batch(root)), original);
}
