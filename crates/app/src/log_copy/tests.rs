use flexcore_eventsourcing::{
    BatchHeader, BatchWrite, Epoch, EventContext, EventData, EventId, RecordedEvent, StreamName,
    Timestamp, batch_hash, leaf_hash, leaves_root,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn context() -> impl Strategy<Value = EventContext> {
    let ids = || prop::option::of(any::<u128>().prop_map(Uuid::from_u128));
    ("\\PC{0,9}", "\\PC{0,9}", ids(), ids(), "\\PC{0,9}", ids()).prop_map(
        |(tenant, actor, correlation, causation, content_type, sealing_key)| EventContext {
            tenant: tenant.into(),
            actor: actor.into(),
            correlation,
            causation,
            content_type: content_type.into(),
            sealing_key,
        },
    )
}

fn event() -> impl Strategy<Value = EventData> {
    let payload = prop_oneof![
        any::<Vec<u8>>(),
        "\\PC{0,40}".prop_map(String::into_bytes),
        Just(br#"{"a":"\n\u0000"}"#.to_vec()),
    ];
    (any::<u128>(), "\\PC{0,9}", any::<u16>(), any::<i64>(), context(), payload).prop_map(
        |(id, type_name, schema_version, occurred_at, context, payload)| EventData {
            id: EventId(Uuid::from_u128(id)),
            type_name: type_name.into(),
            schema_version,
            occurred_at: Timestamp::from_micros(occurred_at),
            context,
            payload,
        },
    )
}

type Write = (String, u32, Option<u64>, Vec<EventData>);

fn write() -> impl Strategy<Value = Write> {
    let events = prop::collection::vec(event(), 1..4);
    ("[a-zé/ ]{1,9}", any::<u32>(), prop::option::of(any::<u64>()), events)
}

/// A batch as a store commits it after `before`.
fn committed(before: LogHead, committed_at: i64, writes: Vec<Write>) -> LogBatch {
    let committed_at = Timestamp::from_micros(committed_at);
    let first_position = before.position + 1;
    let (mut events, mut header_writes) = (Vec::new(), Vec::new());
    for (key, version, fence, data) in writes {
        let stream = StreamName::new("default", "note", [key.as_str()]).unwrap();
        let first_version = u64::from(version) + 1;
        let count = u32::try_from(data.len()).unwrap();
        let fence = fence.map(Epoch);
        header_writes.push(BatchWrite { stream: stream.clone(), first_version, count, fence });
        for (version, event) in (first_version..).zip(data) {
            let leaf = leaf_hash(&stream, &event);
            let position = first_position + events.len() as u64;
            let stream = stream.clone();
            events.push(RecordedEvent { position, stream, version, committed_at, leaf, event });
        }
    }
    let root = leaves_root(events.iter().map(|event: &RecordedEvent| &event.leaf));
    let last_position = before.position + events.len() as u64;
    let header =
        BatchHeader { first_position, last_position, committed_at, writes: header_writes, root };
    let hash = batch_hash(before.hash, &header);
    LogBatch { number: before.batch + 1, header, hash, events }
}

fn sample() -> LogBatch {
    let event = |n: u128, payload: &[u8]| EventData {
        id: EventId(Uuid::from_u128(n)),
        type_name: "Noted".into(),
        schema_version: 1,
        occurred_at: Timestamp::from_micros(1_767_225_600_000_000),
        context: EventContext::json("default", "tester"),
        payload: payload.to_vec(),
    };
    let before = LogHead { position: 4, batch: 2, hash: Hash([7; 32]) };
    let writes = vec![
        ("a".to_owned(), 0, Some(3), vec![event(1, br#"{"a":1}"#), event(2, b"\xff\x00")]),
        ("b".to_owned(), 8, None, vec![event(3, b"")]),
    ];
    committed(before, 1_767_225_600_000_001, writes)
}

#[test]
fn a_batch_is_written_as_the_golden_file_says() {
    const GOLDEN: &str = include_str!("../../tests/golden/log-copy.jsonl");
    let header = LogFileHeader::new(Some(Hash([0xab; 32])));
    assert_eq!(format!("{}\n{}\n", header.line(), batch_line(&sample())), GOLDEN);
    let (first, second) = GOLDEN.trim_end().split_once('\n').unwrap();
    assert_eq!(LogFileHeader::read(first), Ok(header));
    assert_eq!(read_batch(second), Ok(sample()));
}

#[test]
fn a_file_of_something_else_or_of_a_newer_program_is_refused() {
    for other in ["", "id,name", "{}", r#"{"format":"other","version":1}"#, "[1]"] {
        assert_eq!(LogFileHeader::read(other), Err(LogFileError::NoLog), "{other}");
    }
    let newer = r#"{"format":"flexcore-log","version":2,"more":true}"#;
    let error = LogFileHeader::read(newer).unwrap_err();
    assert_eq!(error.to_string(), "it is in version 2 of the format, this program reads version 1");
    let empty = LogFileHeader::new(None);
    assert_eq!(LogFileHeader::read(&empty.line()), Ok(empty));
}

#[test]
fn what_a_line_leaves_open_is_an_error() {
    let line = batch_line(&sample());
    let refused = |from: &str, to: &str| {
        let changed = line.replacen(from, to, 1);
        assert_ne!(changed, line);
        read_batch(&changed).unwrap_err().to_string()
    };
    let counts = refused(r#""count":2"#, r#""count":4000000000"#);
    assert_eq!(counts, "its writes have 4000000001 events, and 3 are there");
    assert!(refused("default/note/a", "a").contains("needs a tenant"));
    assert!(refused("/wA=", "/wA").contains("base64"));
    assert!(refused(r#""payload":"#, r#""pay":"#).contains("payload"));
    assert!(refused(r#""root":""#, r#""root":"A"#).contains("64 lower-case hex digits"));
    assert!(refused(r#""batch":3"#, r#""batch":3,"colour":1"#).contains("colour"));
    assert!(read_batch(&line[..line.len() - 1]).is_err());
}

#[test]
fn a_change_on_the_way_is_found() {
    let before = LogHead { position: 4, batch: 2, hash: Hash([7; 32]) };
    let line = batch_line(&sample());
    assert_eq!(prove(&[sample()], before).unwrap(), sample().head());
    for (from, to) in [
        ("tester", "nobody"),
        (r#""fence":3"#, r#""fence":2"#),
        (r#"{\"a\":1}"#, r#"{\"a\":2}"#),
        ("000001,", "000002,"),
        (r#""batch":3"#, r#""batch":4"#),
        (r#""first_version":1"#, r#""first_version":2"#),
    ] {
        let changed = line.replacen(from, to, 1);
        assert_ne!(changed, line);
        let batch = read_batch(&changed).unwrap();
        assert!(matches!(prove(&[batch], before), Err(CopyError::Unproven { .. })), "{from}");
    }
}

proptest! {
    #[test]
    fn any_batch_comes_back(
        number in 0..u64::from(u32::MAX),
        hash: [u8; 32],
        committed_at: i64,
        writes in prop::collection::vec(write(), 1..4),
    ) {
        let before = LogHead { position: number * 2, batch: number, hash: Hash(hash) };
        let batch = committed(before, committed_at, writes);
        let line = batch_line(&batch);
        prop_assert!(!line.contains('\n'));
        let read = read_batch(&line).unwrap();
        prop_assert_eq!(&read, &batch);
        prop_assert_eq!(read.check_after(before), Ok(()));
    }

    #[test]
    fn no_bytes_panic_a_reader(place: prop::sample::Index, byte: u8, text in "\\PC{0,60}") {
        let mut line = batch_line(&sample()).into_bytes();
        let place = place.index(line.len());
        line[place] = byte;
        if let Ok(line) = String::from_utf8(line)
            && let Ok(batch) = read_batch(&line)
        {
            let _ = batch.check_after(EMPTY_LOG);
        }
        let _ = (read_batch(&text), LogFileHeader::read(&text));
    }
}
